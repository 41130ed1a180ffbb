// Which runs answer, from `/health`.

import { element } from "/static/common.js";
import { counted } from "/static/parts/text.js";

const LIMITS = { pictures: 8, bytes: 24 * 2 ** 20 }; // of one request, so that progress is seen

/** Take what the page needs of what the server says of itself. */
export function described(health) {
  const runs = health.runs.map((each) => ({
    name: each.run, task: each.task || "classification", classNames: each.class_names || [], about: each,
    can: { coverage: each.coverage !== false, minAccuracy: each.min_accuracy !== false, unknown: each.strangers !== false, nearest: each.nearest !== false },
  }));
  const all = (key) => runs.every((run) => run.can[key]);
  const limits = health.limits || {};
  return {
    runs,
    can: { coverage: all("coverage"), minAccuracy: all("minAccuracy"), unknown: all("unknown"), nearest: all("nearest") },
    limits: { pictures: Math.min(LIMITS.pictures, limits.pictures || Infinity), bytes: Math.min(LIMITS.bytes, limits.bytes || Infinity) },
    needsToken: Boolean(health.needs_token),
    corrects: health.corrections && runs.every((run) => run.task === "classification"),
  };
}

/** Say of each run which it is, when it was trained, and what it reached on how many pictures. */
export function runHeads(runs) {
  return runs.map(({ name, task, classNames, about }) => element("div", { class: "run" },
    runs.length > 1 ? element("h2", {}, name) : "", // one alone is the title of the page
    element("p", {}, [about.network, classesWords(task, classNames)].filter(Boolean).join("; ")),
    element("p", { class: "quiet" }, [trainedWords(about), about.reached || about.score].filter(Boolean).join("; "))));
}

function trainedWords({ trained, pictures }) {
  if (!trained && !pictures) return "";
  return ["Trained", trained && `on ${trained.slice(0, 10)}`, pictures && `with ${counted(pictures, "picture")}`].filter(Boolean).join(" ");
}

function classesWords(task, names) {
  if (task === "regression") return "a value for each picture";
  const shown = names.slice(0, 6).join(", ");
  return `${names.length} classes: ${shown}${names.length > 6 ? " ..." : ""}`;
}
