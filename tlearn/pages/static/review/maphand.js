// What the hand does on the map: lasso, box, moving, zooming; by mouse, fingers and keys.
import { nameOf } from "/static/parts/keys.js";
import { say } from "/static/parts/toast.js";
import { counted } from "/static/parts/text.js";
import { isInside } from "./plane.js";

const BRUSH_PX = 30, STEP_PX = 14, CLICK_PX = 5, ZOOM = 1.35;
const TOOLS = [["Lasso", "lasso"], ["Box", "box"], ["Move", "move"]];

/** Pointer and keys of one map. */
export class MapHand {
  /** @param {import("./map.js").PictureMap} map */
  constructor(map) {
    this.map = map;
    this.tool = "lasso";
    this.line = null;
    this.brush = null;
    this.fingers = new Map();
    this.buttons = TOOLS.map(([text, tool]) => map.addTool(text, "", () => this.use(tool), { "data-tool": tool }));
    map.addTool("+", "", () => this.#zoom(ZOOM), { "aria-label": "zoom in" });
    map.addTool("−", "", () => this.#zoom(1 / ZOOM), { "aria-label": "zoom out" });
    map.addTool("Fit", "", () => { map.view.reset(); map.draw(); });
    this.use("lasso");
    const on = (name, act, options) => map.canvas.addEventListener(name, act, options);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => { this.fingers.delete(event.pointerId); this.line = null; map.draw(); });
    on("pointerleave", () => map.hover(undefined));
    on("wheel", (event) => this.#wheel(event), { passive: false });
    on("keydown", (event) => this.#key(event));
    on("blur", () => { this.brush = null; map.hover(undefined); map.draw(); });
  }

  use(tool) {
    this.tool = tool;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  }

  #zoom(factor, x = this.map.canvas.clientWidth / 2, y = this.map.canvas.clientHeight / 2) {
    this.map.view.zoomAt(x, y, factor);
    this.map.draw();
  }

  #wheel(event) {
    event.preventDefault();
    this.#zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }

  #down(event) {
    if (this.map.points === null) return;
    this.map.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.brush = null;
    this.line = this.fingers.size > 1 || this.tool === "move" || event.button === 1 ? null : [[event.offsetX, event.offsetY]];
    this.start = [event.offsetX, event.offsetY];
  }

  #move(event) {
    const { map } = this, before = this.fingers.get(event.pointerId), at = [event.offsetX, event.offsetY];
    if (before === undefined) return map.hover(map.nearest(...at));
    if (this.fingers.size > 1) this.#pinch(event.pointerId, at);
    else if (this.line === null) map.view.move(at[0] - before[0], at[1] - before[1]);
    else if (this.tool === "box") this.line = [this.start, [at[0], this.start[1]], at, [this.start[0], at[1]]];
    else this.line.push(at);
    this.fingers.set(event.pointerId, at);
    map.draw();
  }

  #pinch(finger, at) {
    const [other] = [...this.fingers].filter(([id]) => id !== finger).map(([, place]) => place);
    const was = this.fingers.get(finger), far = (a, b) => Math.max(20, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], [x, y] = middle(at, other), [px, py] = middle(was, other);
    this.map.view.move(x - px, y - py);
    this.map.view.zoomAt(x, y, far(at, other) / far(was, other));
  }

  #up(event) {
    const { map, line } = this;
    this.fingers.delete(event.pointerId);
    this.line = null;
    if (line === null || map.points === null) return map.draw();
    const isClick = Math.hypot(event.offsetX - this.start[0], event.offsetY - this.start[1]) < CLICK_PX && line.length < 8;
    const near = isClick ? map.nearest(event.offsetX, event.offsetY) : undefined;
    const found = isClick ? (near === undefined ? [] : [near]) : map.where((x, y) => isInside(line, x, y));
    if (event.altKey) map.store.select(found, false);
    else if (event.shiftKey) map.store.select(found);
    else map.store.selectOnly(found);
    map.draw();
  }

  #key(event) {
    const { map } = this, { clientWidth: width, clientHeight: height } = map.canvas;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const brush = this.brush ?? [width / 2, height / 2], name = nameOf(event), step = steps[name];
    const near = () => map.nearest(...brush, BRUSH_PX);
    if (map.points === null) return event.preventDefault();
    if (step) {
      this.brush = [Math.max(0, Math.min(width, brush[0] + STEP_PX * step[0])), Math.max(0, Math.min(height, brush[1] + STEP_PX * step[1]))];
      map.hover(map.nearest(...this.brush, BRUSH_PX), true);
    } else if (name === " " || name === "Backspace") {
      this.brush = brush;
      const found = map.where((x, y) => Math.hypot(x - brush[0], y - brush[1]) <= BRUSH_PX);
      map.store.select(found, name === " ");
      say(`${counted(map.store.selected.size, "picture")} selected`);
    } else if (name === "+" || name === "-") this.#zoom(name === "+" ? ZOOM : 1 / ZOOM, ...brush);
    else if (name !== "Enter") return;
    else if (near() !== undefined) map.look(near());
    event.preventDefault();
    map.draw();
  }

  /** Draw the lasso and the brush over the points. */
  draw(context) {
    if (this.line === null && this.brush === null) return;
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--link");
    context.lineWidth = 2;
    const path = new Path2D();
    if (this.line?.length > 1) {
      this.line.forEach(([x, y], row) => (row ? path.lineTo(x, y) : path.moveTo(x, y)));
      path.closePath();
    }
    if (this.brush) path.arc(...this.brush, BRUSH_PX, 0, 2 * Math.PI);
    context.stroke(path);
  }
}
