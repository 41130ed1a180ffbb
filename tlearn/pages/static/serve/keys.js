// One key for each thing that is done often.

import { onKeys } from "/static/parts/keys.js";

/** Let keys act on the card that has the focus, or holds what has it; `cardOf` finds it by its element. */
export function listenToKeys(list, cardOf, choose) {
  const current = () => document.activeElement?.closest(".card");
  const act = (what) => () => { const found = cardOf(current()); if (found) what(found); };
  const step = (by) => () => {
    const all = [...list.querySelectorAll(".card")].filter((card) => card.checkVisibility());
    const from = all.indexOf(current());
    const next = all[from < 0 ? 0 : Math.max(0, Math.min(all.length - 1, from + by))];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
  };
  onKeys({
    o: choose, j: step(1), k: step(-1),
    g: act((card) => card.lookClosely()), c: act((card) => card.correct()), Delete: act((card) => card.remove()),
  }, { repeating: ["j", "k"] });
}
