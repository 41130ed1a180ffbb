// "This is wrong: it is ...": keep a picture with its right label, for `tlearn review`.

import { element } from "/static/common.js";
import { toast } from "/static/parts/toast.js";
import { chooseClass } from "/static/parts/typeahead.js";
import { post } from "./post.js";

/**
 * Ask for the right class, and keep the picture; resolves to `{label, kept}`, or to null where nothing was kept.
 * It goes into the folder of the first run that knows the class. `surest` are names that stand on top.
 */
export async function correct(item, runs, answered, surest) {
  const names = [...new Set(runs.flatMap((run) => run.classNames))];
  const chosen = await chooseClass(names, { title: `What is ${item.name}?`, isOpen: false, first: surest });
  if (!chosen) return null;
  const run = runs.find((each) => each.classNames.includes(chosen.name));
  const form = new FormData();
  form.append("picture", item.file, item.name);
  for (const [name, value] of Object.entries({ name: item.name, class: answered, label: chosen.name })) form.append(name, value);
  try {
    const answer = await post(`/corrections?${new URLSearchParams({ run: run.name })}`, form);
    return { label: chosen.name, kept: await answer.json() };
  } catch (error) {
    toast(`Not kept: ${error.message}`, { kind: "error" });
    return null;
  }
}

/** Say what was kept and where, with a button that takes it back. */
export function keptLine({ label, kept }, undone) {
  const said = element("span", { role: "status" }, "Kept for review: ", element("b", {}, label), `, ${kept.kept}`);
  if (!kept.undo) return element("p", { class: "kept" }, said);
  const undo = element("button", { type: "button", onclick: async () => {
    undo.disabled = true;
    try {
      await post(kept.undo, new FormData());
      undone();
    } catch (error) {
      toast(`Not undone: ${error.message}`, { kind: "error" });
      undo.disabled = false;
    }
  } }, "Undo");
  return element("p", { class: "kept" }, said, " ", undo);
}
