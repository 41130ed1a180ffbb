// Ask before many pictures are decided at once: how many, and of which labels they are.
import { element } from "/static/common.js";
import { counted, number } from "/static/parts/text.js";

const MOST_NAMED = 6;

/** Ask whether these decisions are meant; `words` is what is done, such as "change to ants". */
export function confirmed(store, rows, words) {
  const labels = new Map();
  for (const { id } of rows) {
    const { label, new_label: newLabel } = store.items.get(id);
    labels.set(newLabel ?? label, (labels.get(newLabel ?? label) ?? 0) + 1);
  }
  const named = [...labels].sort((a, b) => b[1] - a[1]);
  const lines = named.slice(0, MOST_NAMED).map(([name, count]) => element("li", {}, `${number(count)} labelled ${name}`));
  if (named.length > MOST_NAMED) lines.push(element("li", {}, `and of ${number(named.length - MOST_NAMED)} other classes`));
  const title = `${counted(rows.length, "picture")}: ${words}?`;
  return new Promise((resolve) => {
    const answer = (text, value, kind) => element("button", { type: "button", class: kind, onclick: () => dialog.close(value) }, text);
    const dialog = element("dialog", { "aria-label": title }, element("h2", {}, title), element("ul", {}, ...lines),
      element("div", { class: "row" }, answer(`Yes, all ${number(rows.length)}`, "yes", "first"), answer("No", "", "")));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
