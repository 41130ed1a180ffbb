// What comes next, as small pictures: only those on the screen are in the page, whatever there is in all.
import { element } from "/static/common.js";
import { addressOf } from "/static/parts/pictures.js";
import { probability } from "/static/parts/text.js";
import { decisionWords } from "./decisions.js";

const TILE_PX = 124, TILE_HIGH_PX = 158, SIZE_PX = 160;
const SPARE_ROWS = 2;

/** A list of choices with one active picture; several can be selected. */
export class Grid {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.box = document.getElementById("grid");
    this.inner = document.getElementById("tiles");
    this.tiles = new Map();
    this.anchor = null;
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.inner.addEventListener("click", (event) => this.#click(event));
    store.addEventListener("change", ({ detail: what }) => {
      if (what.has("current")) this.reveal();
      this.draw();
    });
  }

  get columns() {
    return Math.max(1, Math.floor(this.inner.clientWidth / TILE_PX));
  }

  get wide() {
    return this.inner.clientWidth / this.columns;
  }

  /** Bring the picture that one looks at into view. */
  reveal() {
    const top = Math.floor(this.store.place / this.columns) * TILE_HIGH_PX;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop || top + TILE_HIGH_PX > scrollTop + clientHeight) this.box.scrollTop = top;
  }

  /** The ids of what is on the screen, and of the picture that one looks at. */
  shown() {
    return [...new Set([...this.tiles.keys(), ...this.store.order.slice(this.store.place, this.store.place + 1)])];
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { store, columns, wide } = this, { scrollTop, clientHeight } = this.box;
    this.inner.style.height = `${Math.ceil(store.order.length / columns) * TILE_HIGH_PX}px`;
    const first = Math.max(0, Math.floor(scrollTop / TILE_HIGH_PX) - SPARE_ROWS) * columns;
    const last = Math.min(store.order.length, (Math.ceil((scrollTop + clientHeight) / TILE_HIGH_PX) + SPARE_ROWS) * columns);
    const shown = new Set(store.order.slice(first, last));
    for (const [id, tile] of this.tiles) {
      if (!shown.has(id)) { tile.remove(); this.tiles.delete(id); }
    }
    for (let place = first; place < last; place += 1) {
      const tile = this.#tile(store.order[place]);
      tile.style.transform = `translate(${(place % columns) * wide}px, ${Math.floor(place / columns) * TILE_HIGH_PX}px)`;
      tile.style.width = `${wide}px`;
      this.#fill(tile, place);
    }
    if (store.current !== undefined) this.box.setAttribute("aria-activedescendant", `tile-${store.current}`);
    if (clientHeight > 0) store.need([...shown]).catch(() => {});
  }

  #tile(id) {
    let tile = this.tiles.get(id);
    if (tile === undefined) {
      tile = element("div", { class: "tile", role: "option", id: `tile-${id}`, "aria-label": "a picture" },
        element("img", { src: addressOf(id, SIZE_PX), alt: "", draggable: "false", fetchpriority: "low" }),
        element("span", { class: "tick", "aria-hidden": "true" }),
        element("p", { class: "labels" }), element("p", { class: "state" }));
      tile.dataset.id = id;
      this.inner.append(tile);
      this.tiles.set(id, tile);
    }
    return tile;
  }

  #fill(tile, place) {
    const { store } = this, id = store.order[place], item = store.items.get(id);
    const isSelected = store.selected.has(id);
    tile.classList.toggle("current", place === store.place);
    tile.classList.toggle("decided", Boolean(item?.decision));
    tile.setAttribute("aria-selected", String(isSelected));
    tile.setAttribute("aria-posinset", String(place + 1));
    tile.setAttribute("aria-setsize", String(store.order.length));
    if (item === undefined) return;
    const isOther = item.proposal !== null && item.proposal !== item.label;
    const words = isOther ? `${item.label} → ${item.proposal}` : item.label;
    const decided = item.decision === "change" ? `now ${item.new_label}` : decisionWords(item);
    const state = decided || (isOther && item.probability !== null ? probability(item.probability) : "");
    const [labels, below] = tile.querySelectorAll("p");
    if (labels.textContent !== words) labels.textContent = words;
    if (below.textContent !== state) below.textContent = state;
    const says = isOther ? `, the network says ${item.proposal}` : "";
    tile.setAttribute("aria-label", `${item.label}${says}${item.decision ? `, ${decisionWords(item)}` : ""}`);
  }

  #click(event) {
    const tile = event.target.closest(".tile");
    if (tile === null) return;
    const place = this.store.order.indexOf(Number(tile.dataset.id));
    const isTick = event.target.classList.contains("tick");
    if (event.shiftKey) {
      const [from, to] = [this.anchor ?? this.store.place, place].sort((a, b) => a - b);
      this.store.select(this.store.order.slice(from, to + 1));
      getSelection().removeAllRanges();
    } else if (isTick || event.ctrlKey || event.metaKey || this.store.selected.size > 0) {
      const id = this.store.order[place];
      this.store.select([id], !this.store.selected.has(id));
      this.anchor = place;
    } else {
      this.anchor = place;
      this.store.go(place);
    }
  }
}
