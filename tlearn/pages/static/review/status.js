// How far one is, what the labels are worth, and whether the server works on the order.
import { counted, number, percent } from "/static/parts/text.js";

/** Show the state; it may come before the first score is known. */
export function showState(state, isFirst) {
  const part = (id) => document.getElementById(id), { counts } = state;
  if (isFirst) {
    document.title = `${state.title} - tlearn`;
    part("folder").textContent = state.folder;
    part("folder").title = state.folder;
    part("list").textContent = state.list;
  }
  const bar = part("progress");
  bar.max = Math.max(1, counts.pictures);
  bar.value = counts.decided;
  const parts = [[counts.changed, "changed"], [counts.excluded, "left out"], [counts.unsure, "unsure"], [counts.kept, "kept"]];
  const made = parts.filter(([count]) => count > 0).map(([count, word]) => `${number(count)} ${word}`);
  write(part("counts"), [`${number(counts.decided)} of ${number(counts.pictures)} decided`, ...made].join(" · "));
  write(part("score"), scoreWords(state));
  write(part("solving"), state.solving ? "working out the order anew …" : "");
  write(part("remark"), state.remark ?? "");
}

/** "Accuracy now 91.2 % (90.1 % to 92.2 %), 93.0 % if ...; about 40 more pictures are worth looking at". */
export function scoreWords({ score, worth_looking: worth }) {
  const left = worth > 0 ? `About ${counted(worth, "more picture is", "more pictures are")} worth looking at.` : "";
  if (score.now === null) return "No label can be checked: a class needs two pictures or more, of two groups where there are groups.";
  const now = `Accuracy now ${percent(score.now)} (${percent(score.low)} to ${percent(score.high)})`;
  const then = score.would_be === null ? "" : `, ${percent(score.would_be)} if the likely wrong labels were as the network says`;
  return `${now}${then}. ${left || "By these answers no more labels are wrong; they do not see every one."}`;
}

function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
