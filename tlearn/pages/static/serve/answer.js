// What one run answers for a picture: class, probability, set, stranger, neighbours.

import { element } from "/static/common.js";
import { probability } from "/static/parts/text.js";
import { outOf, probabilityWords, setWords, strangerWords, valueWords, whyWords } from "./words.js";

const MOST_CLASSES = 3;
const THUMBNAIL_PX = 160; // twice as shown, for the screens of phones

/** Make a bar whose length is a share; the number stands beside it, so readers of the screen pass over it. */
export function bar(share, kind = "") {
  const filled = element("i");
  filled.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  return element("span", { class: `meter ${kind}`, "aria-hidden": "true" }, filled);
}

/** Show all of an answer; `settings` are those it was asked with. */
export function answerParts(answer, run, settings) {
  if (run.task === "regression") return [...values(answer, run, settings), ...worth(answer, run, settings)];
  return [
    run.task === "multilabel" ? labels(answer, settings) : answer.unknown ? unknownHead(answer, settings) : head(answer, run),
    classes(answer, run),
    ...worth(answer, run, settings),
  ];
}

/** Several classes may hold; for some there is no answer. */
function labels(answer, settings) {
  const unknown = answer.unknown_classes;
  return element("div", {},
    element("p", { class: "verdict" }, element("b", {}, answer.classes.join(", ") || (unknown.length ? "" : "none of the classes"))),
    unknown.length ? element("p", { class: "verdict unknown" }, "unknown: ", element("b", {}, unknown.join(", "))) : "",
    answer.unknown ? element("p", {}, whyWords(answer.why_unknown, settings)) : "");
}

function head(answer, run) {
  const sure = answer.probability ?? answer.probabilities[0].probability;
  return element("div", {},
    element("p", { class: "verdict" }, element("b", {}, answer.class), " ", element("span", {}, probability(sure))),
    element("p", { class: "quiet" }, probabilityWords(sure, { isMeasured: run.can.coverage, isStranger: answer.is_stranger })));
}

function unknownHead(answer, settings) {
  const surest = answer.probabilities[0];
  return element("div", {},
    element("p", { class: "verdict unknown" }, element("b", {}, "unknown")),
    element("p", {}, whyWords(answer.why_unknown, settings)),
    surest ? element("p", { class: "quiet" }, "The surest class would be ", element("b", {}, surest.class), ` (${probability(surest.probability)}).`) : "");
}

function classes(answer, run) {
  const shown = answer.probabilities.slice(0, run.task === "multilabel" ? 2 * MOST_CLASSES : MOST_CLASSES);
  const rows = shown.map((each) => element("li", {},
    element("span", { class: "label" }, each.class), bar(each.probability), element("span", { class: "share" }, probability(each.probability))));
  return element("ol", { class: "classes", "aria-label": "the surest classes" }, ...rows);
}

/** The values of a regression, each with its interval. */
function values(answer, run, settings) {
  if (answer.unknown) return [element("p", { class: "verdict unknown" }, element("b", {}, "unknown")), element("p", {}, whyWords(answer.why_unknown, settings))];
  const several = Object.entries(answer.values || {});
  const named = several.length ? several : [[run.classNames[0] || "", answer.value]];
  return named.map(([name, value]) => {
    const ends = several.length ? answer.intervals?.[name] : answer;
    const between = typeof ends?.low === "number" && settings.coverage !== null
      ? element("p", { class: "quiet" }, `Between ${valueWords(ends.low)} and ${valueWords(ends.high)}, ${answer.is_stranger ? "of which nothing is promised here" : `in ${outOf(settings.coverage)} pictures`}.`) : "";
    return element("div", {}, element("p", { class: "verdict" }, element("b", {}, valueWords(value)), " ", element("span", {}, name)), between);
  });
}

function worth(answer, run, settings) {
  const parts = [];
  if (answer.set && settings.coverage !== null) parts.push(answerSet(answer, run, settings.coverage));
  if (typeof answer.stranger === "number" && run.can.unknown) parts.push(stranger(answer));
  if (answer.remark) parts.push(element("p", { class: "remark" }, element("b", {}, "Of the file: "), answer.remark));
  if (answer.nearest?.length) parts.push(neighbours(answer.nearest));
  return parts;
}

function answerSet({ set: names, is_stranger: isStranger }, run, coverage) {
  const words = setWords(names, coverage, { isStranger, areSeveral: run.task === "multilabel" });
  const chips = names.map((name) => element("li", {}, name));
  return element("div", { class: "set" }, element("p", { class: "quiet" }, words), names.length ? element("ul", {}, ...chips) : "");
}

function stranger(answer) {
  const words = strangerWords(answer.stranger, answer.is_stranger);
  return element("div", { class: answer.is_stranger ? "stranger is" : "stranger" },
    element("p", { class: "quiet" }, words),
    element("span", { class: "scale", "aria-hidden": "true" }, bar(answer.stranger, "strange")),
    element("span", { class: "ends", "aria-hidden": "true" }, element("span", {}, "familiar"), element("span", {}, "stranger")));
}

/** A training picture; its place stays empty where it lies no more. */
function thumbnail({ image, name }) {
  if (!image) return element("div", { class: "gone" });
  const gone = (event) => event.target.replaceWith(element("div", { class: "gone" }));
  return element("img", { src: `${image}?size_px=${THUMBNAIL_PX}`, alt: "", loading: "lazy", width: 64, height: 64, title: name, onerror: gone });
}

function neighbours(nearest) {
  const each = nearest.map((one) => element("li", {},
    thumbnail(one),
    element("span", {}, one.label),
    element("small", { title: one.name }, one.distance.toFixed(2))));
  return element("div", { class: "nearest" },
    element("p", { class: "quiet" }, "Training pictures most like it, with their labels and distance (0 is the same):"),
    element("ol", {}, ...each));
}
