// The learning curve: what a network would score with the labels so far, how sure that is, and what more are worth.

import { element } from "/static/common.js";

const WIDTH = 380, HEIGHT = 190, LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 34;

export class Curve {
  constructor(place) {
    this.drawn = element("div");
    this.words = element("p", { class: "forecast" });
    this.table = element("details", {}, element("summary", {}, "The numbers"));
    this.about = element("p", { class: "quiet", hidden: true }, "The network's own estimate for pictures without a label; the truth may lie outside the band.");
    place.append(element("h2", {}, "What the labels are worth"), this.drawn, this.words, this.about, this.table);
  }

  /** Draw the curve of a state; before there is one, its words say why. */
  show({ curve, forecast, score_name: name = "accuracy" }) {
    const points = forecast?.points ?? [];
    this.words.textContent = forecast?.text || "Too early to say what more labels are worth.";
    this.drawn.replaceChildren(...(curve.length ? [draw(curve, points, name)] : []));
    this.table.hidden = this.about.hidden = curve.length === 0;
    if (curve.length) this.table.replaceChildren(this.table.firstChild, numbers(curve, points, name));
  }
}

function draw(curve, points, name) {
  const all = [...curve.map((each) => each.labels), ...points.map((each) => each.labels)];
  const x = scale(ticks(0, Math.max(...all), 4), LEFT, WIDTH - RIGHT);
  const scores = [...curve.flatMap((each) => [each.low, each.high]), ...points.map((each) => each.score)];
  const y = scale(ticks(100 * Math.min(...scores), 100 * Math.max(...scores), 4), HEIGHT - BOTTOM, TOP);
  const last = curve.at(-1);
  const at = (labels, score) => `${x.to(labels).toFixed(1)},${y.to(100 * score).toFixed(1)}`;
  const band = [...curve.map((each) => at(each.labels, each.high)), ...curve.map((each) => at(each.labels, each.low)).reverse()];
  return shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "learning",
    "aria-label": `${name} with ${last.labels} labels, as the network itself estimates it: ${interval(last)}. The numbers stand in the table below.` },
  ...y.ticks.map((each) => shape("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y.to(each), y2: y.to(each) })),
  ...y.ticks.map((each) => text(`${each} %`, LEFT - 6, y.to(each) + 4, "end")),
  ...x.ticks.map((each) => text(each.toLocaleString("en"), x.to(each), HEIGHT - BOTTOM + 17, "middle")),
  text("labels", WIDTH - RIGHT, HEIGHT - 3, "end"),
  shape("polygon", { class: "band", points: band.join(" ") }),
  points.length ? shape("polyline", { class: "ahead", points: [last, ...points].map((each) => at(each.labels, each.score)).join(" ") }) : "",
  shape("polyline", { class: "line s0", points: curve.map((each) => at(each.labels, each.score)).join(" ") }),
  ...curve.map((each) => shape("circle", { class: "point", cx: x.to(each.labels), cy: y.to(100 * each.score), r: each === last ? 4.5 : 2.5 })));
}

function numbers(curve, points, name) {
  const row = (labels, score, range) => element("tr", {}, element("th", { scope: "row" }, labels.toLocaleString("en")),
    element("td", { class: "n" }, score), element("td", { class: "n" }, range));
  return element("table", {}, element("caption", {}, `The ${name} as the network itself estimates it, with the range that it gives; the truth may lie outside`),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "labels"),
      element("th", { scope: "col", class: "n" }, name), element("th", { scope: "col", class: "n" }, "range"))),
    element("tbody", {}, ...curve.map((each) => row(each.labels, tenths(each.score), `${tenths(each.low)} to ${tenths(each.high)}`)),
      ...points.map((each) => row(each.labels, tenths(each.score), "forecast"))));
}

function interval(point) { return `${tenths(point.score)}, ${tenths(point.low)} to ${tenths(point.high)}`; }
function tenths(share) { return `${(100 * share).toFixed(1)} %`; }

/** Choose round numbers that span a range: steps of 1, 2 or 5 times a power of ten. */
export function ticks(low, high, count) {
  const rough = Math.max(high - low, 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
  const found = [];
  for (let each = Math.floor(low / step); ; each += 1) {
    found.push(Number((each * step).toPrecision(12)));
    if (each * step >= high) return found;
  }
}

function scale(marks, from, to) {
  const [low, high] = [marks[0], marks.at(-1)];
  return { ticks: marks, to: (value) => from + (to - from) * (value - low) / (high - low || 1) };
}

function shape(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function text(words, x, y, anchor) { return shape("text", { x, y, "text-anchor": anchor }, words); }
