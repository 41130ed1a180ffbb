// What the page knows: the pictures' order under the filters, what is beside each, where one is, what is selected.
import { ask } from "/static/common.js";

const AT_ONCE = 100, MOST_AT_ONCE = 500;
export const FILTERS = { class: "", proposal: "", group: "", decided: "no", disagree: "" };

/** The pictures; it tells with an event `change` what has changed: order, items, current, selection or state. */
export class Store extends EventTarget {
  state = null;
  filters = { ...FILTERS };
  order = [];
  place = 0;
  items = new Map();
  selected = new Set();
  #asked = new Map();
  #decided = new Map(); // id -> how often this tab has decided
  unsent = () => new Set(); // ids of decisions on their way to the server

  /** The id of the picture that one looks at; undefined where there is none. */
  get current() {
    return this.order[this.place];
  }

  tell(...what) {
    this.dispatchEvent(new CustomEvent("change", { detail: new Set(what) }));
  }

  /** Take the server's state; the event says with `version` that the order or somebody else's decisions are new. */
  take(state) {
    const told = ({ version, counts }) => JSON.stringify([version, ...Object.entries(counts).sort()]);
    const isNew = this.state !== null && told(state) !== told(this.state);
    this.state = state;
    this.tell("state", ...(isNew ? ["version"] : []));
  }

  query() {
    return new URLSearchParams(Object.entries(this.filters).filter(([, value]) => value !== "")).toString();
  }

  /** Ask for the order anew and begin at a picture, or at the most doubtful one. */
  async open(filters, at = null) {
    const before = this.filters, wanted = { ...FILTERS, ...filters };
    this.filters = wanted;
    try {
      const { ids } = await ask(`/api/order?${this.query()}`);
      if (this.filters !== wanted) return; // others were chosen meanwhile
      this.order = ids;
    } catch (error) {
      if (this.filters === wanted) this.filters = before;
      throw error;
    }
    this.selected.clear();
    this.place = Math.max(0, this.order.indexOf(at));
    await this.need(this.order.slice(this.place, this.place + 30));
    this.tell("order", "current", "selection");
  }

  /** Take the new order for what is still to come; what one has passed and the picture under the hand stay. */
  async reorder() {
    const { filters } = this, { ids } = await ask(`/api/order?${this.query()}`);
    if (this.filters !== filters) return;
    const passed = this.order.slice(0, this.place + 1);
    const known = new Set(passed);
    this.order = [...passed, ...ids.filter((id) => !known.has(id))];
    this.tell("order");
  }

  /** Have the items of these pictures, from the server where they are not here yet; what is here waits for nothing. */
  async need(ids, isAnew = false) {
    const missing = ids.filter((id) => isAnew || !(this.items.has(id) || this.#asked.has(id)));
    const unknown = ids.filter((id) => !this.items.has(id)), parts = [];
    const size = missing.length > MOST_AT_ONCE ? MOST_AT_ONCE : AT_ONCE;
    for (let start = 0; start < missing.length; start += size) {
      parts.push(this.#fetch(missing.slice(start, start + size)));
    }
    await Promise.all([...parts, ...unknown.map((id) => this.#asked.get(id))]);
  }

  /** Note a decision of this tab: an answer to what was asked before does not know it. */
  decide(id, decision, newLabel) {
    this.#decided.set(id, (this.#decided.get(id) ?? 0) + 1);
    const item = this.items.get(id);
    if (item !== undefined) Object.assign(item, { decision, new_label: newLabel });
  }

  async #fetch(ids) {
    const work = ask(`/api/pictures?count=${ids.length}&ids=${ids.join(",")}`);
    for (const id of ids) this.#asked.set(id, work);
    const unsent = this.unsent(), before = new Map(ids.map((id) => [id, this.#decided.get(id)]));
    try {
      for (const item of (await work).items) {
        const known = this.items.get(item.id), isOld = unsent.has(item.id) || this.#decided.get(item.id) !== before.get(item.id);
        const { decision, new_label } = known !== undefined && isOld ? known : item;
        this.items.set(item.id, { ...item, decision, new_label });
      }
    } finally {
      for (const id of ids) if (this.#asked.get(id) === work) this.#asked.delete(id);
    }
    this.tell("items");
  }

  /** Look at another place of the order. */
  go(place) {
    const within = Math.max(0, Math.min(place, this.order.length - 1));
    if (within === this.place) return;
    this.place = within;
    this.tell("current");
  }

  /** Look at the next picture without a decision, from the end on at the first; tell whether there is one. */
  goOn() {
    const { length } = this.order;
    for (let step = 1; step < length; step += 1) {
      const next = (this.place + step) % length;
      if (!this.items.get(this.order[next])?.decision) {
        this.go(next);
        return true;
      }
    }
    return false;
  }

  /** Put pictures before the one that one looks at, where they are not in the order, and look at the first. */
  bring(ids) {
    const missing = ids.filter((id) => !this.order.includes(id));
    this.order.splice(this.place, 0, ...missing);
    const place = this.order.indexOf(ids[0]);
    if (place >= 0) this.place = place;
    this.tell("order", "current");
  }

  select(ids, isOn = true) {
    for (const id of ids) isOn ? this.selected.add(id) : this.selected.delete(id);
    this.tell("selection");
  }

  selectOnly(ids) {
    this.selected = new Set(ids);
    this.tell("selection");
  }
}
