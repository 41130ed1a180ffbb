// What the keys of the page do.
import { onKeys } from "/static/parts/keys.js";

const AHEAD = { ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const ACROSS = { ArrowUp: [0, -1], ArrowDown: [0, 1] }; // in the grid alone: elsewhere they scroll

/** Let the keys act. `acts` has the functions labelAt, decide, undo, find, move, all, none, grid and next. */
export function listen(acts, grid) {
  const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => [String(digit), () => acts.labelAt(digit - 1)]);
  const own = {
    n: () => acts.decide("exclude"), u: () => acts.decide("unsure"), z: acts.undo, "Ctrl+z": acts.undo, "+": acts.find,
    "/": acts.find, g: acts.grid, "Ctrl+a": acts.all, Escape: acts.none, Enter: acts.next,
  };
  for (const [steps, where] of [[AHEAD, document], [ACROSS, grid]]) {
    const table = Object.fromEntries(Object.entries(steps).flatMap(([key, step]) => [
      [key, () => acts.move(...step, false)], [`Shift+${key}`, () => acts.move(...step, true)],
    ]));
    onKeys(table, { repeating: Object.keys(table), where });
  }
  onKeys({ ...Object.fromEntries(digits), ...own }); // held, these answer once: a repeat would answer pictures unseen
  const taken = new Set(Object.keys(own));
  // Another letter begins the name of a class.
  document.addEventListener("keydown", (event) => {
    const isLetter = event.key.length === 1 && /\p{L}/u.test(event.key) && !taken.has(event.key.toLowerCase());
    if (!isLetter || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (event.target.closest("input, textarea, select") || document.querySelector("dialog[open]")) return;
    acts.find(); // the letter itself goes into the field that has the focus now
  });
}
