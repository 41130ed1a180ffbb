// The picture that one looks at, and beside it what speaks for and against its label.
import { element } from "/static/common.js";
import { addressOf, PictureCache } from "/static/parts/pictures.js";
import { number, probability } from "/static/parts/text.js";
import { decisionWords } from "./decisions.js";

const LARGE_PX = Math.min(1600, Math.ceil(640 * (devicePixelRatio || 1))), SMALL_PX = 160;
const AHEAD = 8, BEHIND = 2;
const PATIENCE_MS = 100; // before a small picture stands for a large one that is still on its way

/** The large picture with its words. */
export class Stage {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.large = new PictureCache(LARGE_PX, 32);
    this.small = new PictureCache(SMALL_PX, 96);
    this.part = (name) => document.getElementById(name);
    store.addEventListener("change", ({ detail: what }) => {
      if (what.has("current") || what.has("order") || what.has("items")) this.show();
    });
  }

  show() {
    const { store } = this, id = store.current, item = store.items.get(id);
    this.part("one").hidden = id === undefined;
    this.part("none").hidden = id !== undefined;
    if (id === undefined) return;
    this.#picture(id, item);
    this.part("place").textContent = `${number(store.place + 1)} of ${number(store.order.length)}`;
    if (item === undefined) {
      this.#noWords();
      store.need([id]).catch(() => {});
      return;
    }
    this.#words(item);
    this.#neighbours(item);
    const { order, place } = store;
    const near = [...order.slice(place + 1, place + 1 + AHEAD), ...order.slice(Math.max(0, place - BEHIND), place)];
    this.large.prefetch(near);
    const after = order.slice(place + 1, place + 4).flatMap((next) => store.items.get(next)?.neighbours ?? []);
    this.small.prefetch(after.map((other) => other.id));
    store.need(order.slice(place, place + 3 * AHEAD)).catch(() => {});
  }

  #picture(id, item) {
    const frame = this.part("picture"), image = this.large.get(id);
    image.alt = item ? `picture ${item.name}` : "";
    if (frame.firstElementChild === image) return;
    frame.replaceChildren(image);
    image.onerror = () => image.replaceWith(element("p", { class: "gone" }, "This picture cannot be shown."));
    if (this.large.isReady(id)) return;
    setTimeout(() => {
      if (!this.large.isReady(id) && frame.firstElementChild === image) {
        const instead = element("img", { class: "instead-of-large", src: addressOf(id, SMALL_PX), alt: "" });
        frame.append(instead);
        image.decode().catch(() => {}).finally(() => instead.remove());
      }
    }, PATIENCE_MS);
  }

  /** Say nothing of a picture whose words are on their way: those of another one would be read as its own. */
  #noWords() {
    for (const name of ["labelled", "label", "name", "group", "doubt", "decided"]) this.part(name).textContent = "";
    this.part("says").hidden = this.part("findings").hidden = true;
    this.part("neighbours").replaceChildren();
  }

  #words(item) {
    const now = item.new_label ?? item.label, isOther = item.proposal !== null && item.proposal !== item.label;
    this.part("labelled").textContent = item.label ? "Labelled " : "Without a label";
    this.part("label").textContent = item.label;
    this.part("says").hidden = item.proposal === null;
    this.part("proposal").textContent = item.proposal ?? "";
    this.part("proposal").className = isOther ? "other" : "same";
    this.part("probability").textContent = item.probability === null ? "" : `(${probability(item.probability)})`;
    this.part("name").textContent = item.name;
    this.part("group").textContent = item.group === null ? "" : `group ${item.group}`;
    this.part("doubt").textContent = item.doubt === null ? "" : `doubt ${item.doubt.toFixed(2)}`;
    this.part("decided").textContent = decisionWords(item);
    this.part("decided").className = `decided ${item.decision ?? ""}`;
    this.part("findings").replaceChildren(...item.findings.map((text) => element("li", {}, text)));
    this.part("findings").hidden = item.findings.length === 0;
    const change = this.part("change");
    change.disabled = item.proposal === null;
    change.firstElementChild.textContent = isOther ? `Change to ${item.proposal}` : item.proposal ? `Set to ${item.proposal}` : "Change";
    this.part("keep").disabled = !now;
    this.part("keep").firstElementChild.textContent = `Keep ${now}`;
  }

  #neighbours(item) {
    this.part("neighbours").replaceChildren(...item.neighbours.map((other) => {
      const kind = other.label === item.label ? "same" : other.label === item.proposal ? "other" : "third";
      return element("li", { title: `${other.name}, distance ${other.distance.toFixed(2)}` },
        this.small.get(other.id), element("span", { class: kind }, other.label || "no label"));
    }));
  }
}
