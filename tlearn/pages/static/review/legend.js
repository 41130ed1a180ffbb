// The classes of the map with colour and shape; a press selects all pictures of a label.
import { element } from "/static/common.js";
import { number } from "/static/parts/text.js";
import { addShape, colourOf } from "./plane.js";

const SWATCH_PX = 18;

/** The list of classes beside the map. */
export class Legend {
  constructor(map, list) {
    this.map = map;
    this.list = list;
  }

  show() {
    const { map } = this, { labels } = map.points, names = map.store.state.class_names, counts = new Array(names.length).fill(0);
    for (const label of labels) if (label >= 0) counts[label] += 1;
    this.list.replaceChildren(...names.map((name, row) => {
      const button = element("button", { type: "button", "aria-label": `select ${number(counts[row])} labelled ${name}` },
        swatch(row), element("span", { class: "class-name" }, name), element("span", { class: "quiet" }, number(counts[row])));
      const light = (which) => { map.lit = which; map.draw(); };
      button.addEventListener("pointerenter", () => light(row));
      button.addEventListener("pointerleave", () => light(null));
      button.addEventListener("focus", () => light(row));
      button.addEventListener("blur", () => light(null));
      button.addEventListener("click", (event) => {
        const ids = [...labels.keys()].filter((id) => labels[id] === row);
        if (event.shiftKey) map.store.select(ids);
        else map.store.selectOnly(ids);
      });
      return element("li", {}, button);
    }));
  }
}

function swatch(row) {
  const ratio = devicePixelRatio || 1;
  const canvas = element("canvas", { width: SWATCH_PX * ratio, height: SWATCH_PX * ratio, "aria-hidden": "true" });
  const context = canvas.getContext("2d"), path = new Path2D();
  context.scale(ratio, ratio);
  addShape(path, row, SWATCH_PX / 2, SWATCH_PX / 2, 6);
  context.fillStyle = colourOf(row);
  context.fill(path);
  return canvas;
}
