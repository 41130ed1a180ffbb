// The map of all pictures: alike ones lie together. Lasso, box or brush selects many; a decision is for all of them.
import { ask, element } from "/static/common.js";
import { keyButton } from "/static/parts/keys.js";
import { addressOf } from "/static/parts/pictures.js";
import { say } from "/static/parts/toast.js";
import { counted } from "/static/parts/text.js";
import { Legend } from "./legend.js";
import { MapHand } from "./maphand.js";
import { drawPoints, View } from "./plane.js";

const AGAIN_MS = 1500, NEAR_PX = 14, CARD_PX = 160;
const SHOWN = 24; // of those selected

/** The map in its section of the page. */
export class PictureMap {
  /** @param {import("./store.js").Store} store @param {HTMLElement} section @param {(id: number) => void} look */
  constructor(store, section, look) {
    this.store = store;
    this.section = section;
    this.look = look;
    this.view = new View();
    this.places = this.points = null;
    this.lit = null;
    this.#build();
    this.hand = new MapHand(this);
    this.legend = new Legend(this, this.list);
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.legend.show(); this.draw(); });
    store.addEventListener("change", ({ detail: what }) => {
      if (section.hidden) return;
      if (what.has("version") || what.has("sent")) this.#marks();
      if (what.has("selection")) { this.#chosen(); this.draw(); }
    });
  }

  #build() {
    const about = "Map of all pictures. Arrows move the brush, Space selects what lies in it, Backspace takes it out, "
      + "plus and minus zoom, Enter looks at the picture.";
    this.canvas = element("canvas", { tabindex: "0", role: "application", "aria-label": about });
    this.wait = element("p", { class: "wait", role: "status" }, "The map is being made …");
    this.card = element("div", { class: "card", hidden: true, "aria-hidden": "true" }, element("img", { alt: "" }), element("p"), element("p", { class: "quiet" }));
    this.tools = element("div", { class: "row map-tools", role: "group", "aria-label": "tools of the map" });
    this.list = element("ul", { class: "legend", "aria-label": "classes" });
    this.shown = element("ul", { class: "shown", "aria-label": "pictures selected" });
    this.bar = element("div", { class: "map-bar" });
    const note = element("p", { class: "quiet" }, "Alike pictures lie together. A ring: the network says another class. "
      + "Draw round some to select them; Shift adds, Alt takes away.");
    this.section.append(
      element("div", { class: "plane" }, this.canvas, this.wait, this.card),
      element("div", { class: "side" }, this.tools, note, this.bar, this.shown, element("h2", {}, "Labels"), this.list));
  }

  /** Show it, with what holds now. */
  open() {
    this.bar.append(document.getElementById("selection"));
    this.#chosen();
    if (this.places === null) this.#load().catch(() => {});
    else this.#marks();
  }

  close() {
    document.querySelector("#next .heading").append(document.getElementById("selection"));
  }

  async #load() {
    const { ready, x, y } = await ask("/api/map");
    if (!ready) return setTimeout(() => this.#load().catch(() => {}), AGAIN_MS);
    this.places = { x, y };
    await this.#marks();
  }

  async #marks() {
    if (this.places === null) return;
    try {
      this.points = { ...this.places, ...(await ask("/api/marks")) };
    } catch {
      return; // the banner says that the server has ended
    }
    this.wait.hidden = true;
    this.legend.show();
    this.draw();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas, ratio = devicePixelRatio || 1;
    if (width === 0) return;
    [this.canvas.width, this.canvas.height] = [width * ratio, height * ratio];
    this.view.fit(width, height);
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      if (this.points === null || !this.view.side) return;
      const context = this.canvas.getContext("2d");
      drawPoints(context, this.view, this.points, this.store.selected, this.lit);
      this.hand.draw(context);
    });
  }

  /** The ids of the pictures whose points on the screen pass a test. */
  where(passes) {
    const { x, y } = this.points;
    return [...x.keys()].filter((id) => passes(...this.view.toScreen(x[id], y[id])));
  }

  /** The picture nearest to a place of the screen; undefined where none is near. */
  nearest(x, y, within = NEAR_PX) {
    let found, least = within ** 2;
    this.points?.x.forEach((_, id) => {
      const [px, py] = this.view.toScreen(this.points.x[id], this.points.y[id]), far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least) [found, least] = [id, far];
    });
    return found;
  }

  /** Show the picture of a point beside it; undefined hides it. */
  async hover(id, isSpoken = false) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.card.hidden = id === undefined;
    if (id === undefined) return;
    const [image, words, below] = this.card.children;
    image.src = addressOf(id, CARD_PX);
    const [x, y] = this.view.toScreen(this.points.x[id], this.points.y[id]);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.card.style.left = `${x > width - 200 ? x - 190 : x + 14}px`;
    this.card.style.top = `${Math.max(0, Math.min(y - 20, height - 230))}px`;
    const names = this.store.state.class_names, said = names[this.points.proposals[id]];
    words.textContent = names[this.points.labels[id]] ?? "no label, or left out";
    below.textContent = said && said !== words.textContent ? `the network says ${said}` : "";
    if (isSpoken) say(`${words.textContent} ${below.textContent}`);
  }

  #chosen() {
    const ids = [...this.store.selected];
    this.shown.replaceChildren(...ids.slice(0, SHOWN).map((id) => element("li", {}, element("img", { src: addressOf(id, CARD_PX), alt: "" }))));
    if (ids.length > SHOWN) this.shown.append(element("li", { class: "quiet" }, `and ${counted(ids.length - SHOWN, "more", "more")}`));
  }

  addTool(text, key, act, attributes) {
    const button = keyButton(text, key, act, attributes);
    this.tools.append(button);
    return button;
  }
}
