// What the answers come to, in a line. Nothing of the page.

import { counted } from "/static/parts/text.js";

/** What a run answers in the end; two runs agree where this is the same. `null` is "unknown", as a class may be called so. */
export function verdictOf(answer, task) {
  if (task === "multilabel") return [...answer.classes, ...answer.unknown_classes.map((name) => `${name}?`)].sort().join("; ");
  return answer.unknown ? null : answer.class;
}

/** Tell whether the runs that answered give different answers; two values of regressions always differ a little. */
export function disagree(item, runs) {
  const answered = runs.filter((run) => run.task !== "regression" && item.answers[run.name]);
  return new Set(answered.map((run) => verdictOf(item.answers[run.name], run.task))).size > 1;
}

/** Say how many pictures are of which class, and where runs differ. */
export function summaryOf(items, runs) {
  const answered = items.filter((item) => item.state === "answered");
  const failed = items.filter((item) => item.state === "failed").length;
  const parts = [];
  if (answered.length && runs.filter((run) => run.task !== "regression").length > 1) {
    const same = answered.filter((item) => !disagree(item, runs)).length;
    parts.push(`The runs agree on ${same} of ${counted(answered.length, "picture")}`);
  } else if (answered.length && runs[0].task === "classification") {
    parts.push(`${counted(answered.length, "picture")}: ${classCounts(answered)}`);
  } else if (answered.length) {
    parts.push(`${counted(answered.length, "picture")} answered`);
  }
  if (failed) parts.push(`${counted(failed, "picture")} could not be read`);
  return parts.length ? `${parts.join("; ")}.` : "";
}

function classCounts(items) {
  const counts = new Map();
  for (const item of items) {
    const [answer] = Object.values(item.answers);
    const name = answer.unknown ? null : answer.class; // a class may be called "unknown" too
    counts.set(name, (counts.get(name) || 0) + 1);
  }
  const unknown = counts.get(null) || 0;
  counts.delete(null);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]), shown = sorted.slice(0, 6);
  const rest = sorted.slice(6).reduce((sum, [, count]) => sum + count, 0);
  const texts = shown.map(([name, count]) => `${name} ${count.toLocaleString("en")}`);
  if (rest) texts.push(`${sorted.length - 6} other classes ${rest}`);
  if (unknown) texts.push(`unknown ${unknown}`);
  return texts.join(", ");
}
