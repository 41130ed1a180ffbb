// One picture large, the strip of the batch, and the grid in which one class is given to many.
import { element } from "/static/common.js";
import { keyButton } from "/static/parts/keys.js";
import { addressOf } from "/static/parts/pictures.js";
import { probability } from "/static/parts/text.js";

const STRIP_PX = 96;
const TILE_PX = 320;

/** Say in words what was answered, or nothing. */
export function answerOf(item) {
  return item.decision === "label" ? item.label : { exclude: "none of these", unsure: "unsure" }[item.decision] ?? "";
}

/** One picture, with its name and why it was chosen. */
export class Single {
  constructor(place, pictures, move) {
    this.pictures = pictures;
    this.frame = element("div", { class: "frame" });
    this.gone = element("p", { class: "gone" }, "This picture cannot be shown.");
    this.name = element("span", { class: "file" });
    this.answer = element("b", { class: "given" });
    this.why = element("p", { class: "why" });
    const ways = element("div", { class: "ways" },
      keyButton("Previous", "\u2190", () => move(-1)), keyButton("Next", "\u2192", () => move(1)));
    this.whole = element("div", { class: "single" }, this.frame, element("div", { class: "below" },
      element("div", {}, element("p", { class: "about" }, this.answer, this.name), this.why), ways));
    place.append(this.whole);
  }

  show(batch) {
    const item = batch.current;
    const picture = this.pictures.get(item.id);
    picture.alt = `Picture ${batch.at + 1} of ${batch.items.length}: ${item.name}`;
    picture.onerror = () => { if (this.frame.firstChild === picture) this.frame.replaceChildren(this.gone); };
    const isBroken = picture.complete && picture.naturalWidth === 0;
    const shown = isBroken ? this.gone : picture;
    if (this.frame.firstChild !== shown) this.frame.replaceChildren(shown);
    this.name.textContent = item.name;
    this.answer.textContent = answerOf(item);
    this.why.textContent = item.why ? `Why this one: ${item.why}` : "";
    const near = [1, -1, 2, 3, 4, 5, 6, 7, 8].map((step) => batch.items[batch.at + step]);
    this.pictures.prefetch(near.filter((each) => each).map((each) => each.id));
  }
}

/** Small pictures of the whole batch, as buttons; each shows whether it was answered. */
class Tiles {
  #made = new Map();

  constructor(place, sizePx, act) {
    this.sizePx = sizePx;
    this.list = element("ol", { class: "tiles", onclick: (event) => {
      const button = event.target.closest("button");
      if (button) act([...this.list.children].indexOf(button.parentElement), event.shiftKey);
    } });
    place.append(this.list);
  }

  show(batch) {
    const tiles = batch.items.map((item) => this.#made.get(item.id) ?? this.#tile(item));
    if (tiles.length !== this.list.children.length || tiles.some((tile, place) => tile !== this.list.children[place])) {
      this.list.replaceChildren(...tiles);
      this.#made = new Map(batch.items.map((item, place) => [item.id, tiles[place]]));
    }
    batch.items.forEach((item, place) => this.mark(tiles[place].firstChild, item, place, batch));
  }

  button(place) {
    return this.list.children[place]?.firstChild;
  }

  #tile(item) {
    const picture = element("img", { src: addressOf(item.id, this.sizePx), alt: "", loading: "lazy", fetchpriority: "low", draggable: "false" });
    return element("li", {}, element("button", { type: "button", title: item.name }, picture,
      element("span", { class: "mark", "aria-hidden": "true" })));
  }

  /** Show an answer on a tile. Only what differs is written: at each key, all tiles are gone through. */
  mark(button, item, place, batch) {
    const answer = answerOf(item), open = this.open(item);
    const words = `Picture ${place + 1} of ${batch.items.length}, ${answer || (open ? `open, the network says ${open}` : "open")}`;
    if (button.getAttribute("aria-label") === words) return;
    button.setAttribute("aria-label", words);
    button.dataset.decision = item.decision ?? "";
    button.lastChild.textContent = answer || open;
  }

  /** Say what stands on a picture without an answer. */
  open() { return ""; }
}

/** The strip: where one is in the batch; a click goes there. */
export class Strip extends Tiles {
  constructor(place, go) {
    super(place, STRIP_PX, go);
    this.list.classList.add("strip");
    this.now = undefined;
  }

  show(batch) {
    super.show(batch);
    const now = batch.ended ? undefined : this.button(batch.at);
    if (now !== this.now) this.now?.removeAttribute("aria-current");
    now?.setAttribute("aria-current", "true");
    this.now = now;
    const tile = now?.parentElement;
    if (tile && this.list.scrollWidth > this.list.clientWidth) {
      this.list.scrollLeft = tile.offsetLeft - this.list.offsetLeft - (this.list.clientWidth - tile.offsetWidth) / 2;
    }
  }
}

/** The grid: pictures are selected, then the key of a class answers all of them. */
export class Grid extends Tiles {
  constructor(place, select) {
    super(place, TILE_PX, select);
    this.list.classList.add("grid");
    this.list.hidden = true;
  }

  mark(button, item, place, batch) {
    super.mark(button, item, place, batch);
    button.setAttribute("aria-pressed", String(batch.selected.has(item.id)));
    button.tabIndex = place === batch.at ? 0 : -1;
  }

  open({ proposal, probability: share }) { return proposal && share !== null ? `${proposal} ${probability(share)}` : ""; }

  /** Give the focus to a picture, if one of the grid has it. */
  focus(place) {
    if (this.list.contains(document.activeElement)) this.button(place)?.focus();
  }

  /** Return how many pictures stand in a row, for the keys up and down. */
  get columns() {
    const tops = [...this.list.children].map((tile) => tile.offsetTop);
    const next = tops.findIndex((top) => top !== tops[0]);
    return next < 0 ? tops.length : next;
  }
}
