// Choose a class by typing a part of its name; a name that is not there yet can be made.
import { element } from "/static/common.js";

const MOST_SHOWN = 60;

/** Sort the names that hold what was typed: those that begin so, then those with a word that does, then the others. */
export function matches(names, typed) {
  const wanted = typed.trim().toLocaleLowerCase();
  const rank = (name) => {
    const text = name.toLocaleLowerCase();
    if (text.startsWith(wanted)) return 0;
    const place = text.indexOf(wanted);
    if (place < 0) return 3;
    return /[\s_\-/.]/.test(text[place - 1]) ? 1 : 2;
  };
  return names.map((name, row) => [rank(name), row, name]).filter(([found]) => found < 3)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , name]) => name);
}

/**
 * Ask for a class.
 * @param {string[]} names
 * @param {{title: string, isOpen?: boolean, first?: string[]}} options `isOpen`: another name may be typed and becomes
 *   a class; `first`: names that stand on top.
 * @returns {Promise<{name: string, isNew: boolean} | null>} `null` if nothing was chosen.
 */
export function chooseClass(names, { title, isOpen = true, first = [] }) {
  const ordered = [...first, ...names.filter((name) => !first.includes(name))];
  return new Promise((resolve) => {
    const input = element("input", {
      type: "text", role: "combobox", "aria-label": title, "aria-expanded": "true", "aria-controls": "classes-found",
      "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
      placeholder: isOpen ? "a part of the name, or a new one" : "a part of the name",
    });
    const list = element("ul", { id: "classes-found", role: "listbox", "aria-label": "classes" });
    const rest = element("p", { class: "quiet", role: "status" });
    const cancel = element("button", { type: "button", onclick: () => leave() }, "Cancel");
    const dialog = element("dialog", { class: "chooser", "aria-label": title },
      element("h2", {}, title), input, list, rest, element("div", { class: "row" }, cancel));
    let found = [], active = 0, chosen = null;

    const choose = (row) => { chosen = found[row] ?? null; if (chosen) leave(); };
    const mark = (row) => {
      active = Math.max(0, Math.min(row, found.length - 1));
      [...list.children].forEach((line, at) => line.setAttribute("aria-selected", String(at === active)));
      list.children[active]?.scrollIntoView({ block: "nearest" });
      if (found.length) input.setAttribute("aria-activedescendant", `class-found-${active}`);
      else input.removeAttribute("aria-activedescendant");
    };
    const show = () => {
      const typed = input.value.trim(), all = matches(ordered, typed);
      found = all.slice(0, MOST_SHOWN).map((name) => ({ name, isNew: false }));
      if (isOpen && typed && !names.includes(typed)) found.push({ name: typed, isNew: true });
      list.replaceChildren(...found.map(({ name, isNew }, row) => element("li", {
        id: `class-found-${row}`, role: "option", onclick: () => choose(row), onpointermove: () => mark(row),
      }, isNew ? `new class: ${name}` : name)));
      const more = all.length - Math.min(all.length, MOST_SHOWN);
      rest.textContent = more ? `and ${more.toLocaleString("en")} more: type on` : found.length ? "" : "no class is called so";
      mark(0);
    };
    input.addEventListener("input", show);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
      if (step) mark(active + step);
      else if (event.key === "Enter") choose(active);
      else if (event.key === "Escape") leave();
      else return;
      event.preventDefault();
    });
    const before = document.activeElement;
    // At once: the event comes later, and until then the next key would go into the input.
    const leave = () => {
      dialog.close();
      dialog.remove();
      before?.focus?.({ preventScroll: true });
    };
    dialog.addEventListener("close", () => {
      if (dialog.isConnected) leave();
      resolve(chosen);
    });
    document.body.append(dialog);
    show();
    dialog.showModal();
    input.focus();
  });
}
