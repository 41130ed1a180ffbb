// The batch in work: its pictures, what was answered, where one is, which are selected. No page in it.

export class Batch {
  constructor({ round, number, items }, at) {
    this.round = round;
    this.number = number;
    this.items = items.map((item) => ({ ...item }));
    this.selected = new Set();
    this.refused = new Set(); // ids of pictures whose answers were not taken: they come before all other open ones
    this.anchor = 0;
    const place = this.items.findIndex((item) => item.id === at);
    this.at = place >= 0 ? place : Math.max(0, this.#open(0));
    this.ended = this.isDone && place < 0;
  }

  get current() { return this.items[this.at]; }
  get answered() { return this.items.filter((item) => item.decision).length; }
  get isDone() { return this.answered === this.items.length; }

  /** Return the place of the first open picture from a place on, round the end, or -1. */
  #open(from) {
    for (let step = 0; step < this.items.length; step += 1) {
      const place = (from + step) % this.items.length;
      if (!this.items[place].decision) return place;
    }
    return -1;
  }

  /** Answer some pictures, and go to the next open one; the batch ends with its last answer. */
  answer(places, decision, label = null) {
    for (const place of places) {
      Object.assign(this.items[place], { decision, label });
      this.refused.delete(this.items[place].id);
    }
    const refused = this.items.findIndex((item) => this.refused.has(item.id));
    const next = refused >= 0 ? refused : this.#open(this.at + (places.includes(this.at) ? 1 : 0));
    if (next < 0) this.ended = true;
    else if (places.includes(this.at) || this.items[this.at].decision) this.at = next;
    this.selected.clear();
  }

  /** Take the answers of some pictures back, and go to the first of them; a picture of an earlier batch is put here. */
  reopen(ids, items = []) {
    for (const item of items) {
      if (ids.includes(item.id) && !this.items.some((each) => each.id === item.id)) this.items.splice(this.at, 0, { ...item });
    }
    for (const item of this.items) if (ids.includes(item.id)) Object.assign(item, { decision: null, label: null });
    const place = this.items.findIndex((item) => ids.includes(item.id));
    if (place >= 0) this.go(place);
  }

  /** Open pictures again whose answers were refused. The next key is for the picture that one sees: they come after it. */
  refuse(ids) {
    const refused = this.items.filter((item) => ids.includes(item.id));
    for (const item of refused) {
      Object.assign(item, { decision: null, label: null });
      this.refused.add(item.id);
    }
    if (this.ended && refused.length) this.go(this.items.indexOf(refused[0]));
  }

  go(place) {
    this.at = Math.min(Math.max(place, 0), this.items.length - 1);
    this.ended = this.items.length === 0;
  }

  /** Take over answers from here that the server may not have yet. */
  apply(decisions) {
    for (const { id, decision, label = null } of decisions) {
      const item = this.items.find((each) => each.id === id);
      if (item) Object.assign(item, { decision, label });
    }
    if (this.current?.decision) this.at = Math.max(0, this.#open(this.at));
    this.ended = this.isDone;
  }

  /** Take over what other tabs and processes answered. */
  merge(items) {
    const wasDone = this.isDone;
    const mine = new Map(this.items.map((item) => [item.id, item]));
    for (const { id, decision, label } of items) {
      if (mine.has(id)) Object.assign(mine.get(id), { decision, label });
      if (decision) this.refused.delete(id);
    }
    if (this.isDone && !wasDone) this.ended = true;
    if (!this.isDone) this.ended = false;
  }

  /** Select or deselect a picture, or select all from the last one to this one. */
  select(place, isRange) {
    if (isRange) this.selectTo(place);
    else {
      const { id } = this.items[place];
      if (!this.selected.delete(id)) this.selected.add(id);
      this.anchor = place;
    }
    this.go(place);
  }

  /** Select all pictures from the last one that was selected alone to this one. */
  selectTo(place) {
    const [first, last] = [Math.min(this.anchor, place), Math.max(this.anchor, place)];
    for (const item of this.items.slice(first, last + 1)) this.selected.add(item.id);
  }

  selectAll() {
    for (const item of this.items) if (!item.decision) this.selected.add(item.id);
  }

  /** Return the places that a key answers: the selected ones, or where one is. */
  places(isGrid) {
    if (!isGrid) return [this.at];
    const chosen = [...this.items.keys()].filter((place) => this.selected.has(this.items[place].id));
    return chosen.length ? chosen : [this.at];
  }
}
