// Which pictures are still to be answered, sent in batches that a server takes.

import { Refusal } from "./post.js";

const LANES = 2; // one batch travels while another is computed
const TOO_LARGE = 413; // the one refusal that a picture can be the cause of; what else is wrong with it is its answer

/**
 * An item is `{file, name, state, answers, error}`; its state `waiting`, `asking`, `answered` or `failed`.
 */
export class Queue {
  #items = [];
  #stopper = new AbortController();
  #ended = Promise.resolve();
  #most;

  /**
   * @param ask Takes files and an AbortSignal, resolves to one `{answers}` or `{error}` for each.
   * @param limits `{pictures, bytes}` of one request.
   * @param told Called with the items that changed.
   * @param fault Called with an error that ends the sending.
   */
  constructor(ask, limits, told, fault) {
    Object.assign(this, { ask, limits, told, fault, running: false });
    this.#most = limits.pictures;
  }

  get items() {
    return this.#items;
  }

  get waiting() {
    return this.#items.filter((item) => item.state === "waiting" || item.state === "asking");
  }

  add(items) {
    this.#items.push(...items);
    this.start();
  }

  remove(item) {
    this.#items = this.#items.filter((each) => each !== item);
    this.told([]);
  }

  clear() {
    this.stop();
    this.#items = [];
    this.told([]);
  }

  start() {
    if (this.running || !this.waiting.length) return;
    this.running = true;
    this.#stopper = new AbortController();
    const lanes = Array.from({ length: LANES }, () => this.#lane(this.#stopper.signal));
    this.#ended = Promise.all(lanes).then(() => {
      this.running = false;
      if (!this.#stopper.signal.aborted) this.start(); // what was added while the last batch was away
      this.told([]);
    });
    this.told([]);
  }

  stop() {
    this.#stopper.abort();
  }

  /** Ask anew for all pictures, as after other settings. */
  async again() {
    this.stop();
    await this.#ended;
    for (const item of this.#items) item.state = "waiting";
    this.told(this.#items);
    this.start();
  }

  async #lane(signal) {
    for (let batch = this.#next(); batch.length && !signal.aborted; batch = this.#next()) {
      this.#become(batch, "asking");
      try {
        this.#place(batch, await this.ask(batch.map((item) => item.file), signal));
      } catch (error) {
        this.#refused(batch, error);
      }
    }
  }

  #next() {
    const batch = [];
    let bytes = 0;
    for (const item of this.#items) {
      if (item.state !== "waiting") continue;
      bytes += item.file.size;
      if (batch.length && (batch.length >= this.#most || bytes > this.limits.bytes)) break;
      batch.push(item);
    }
    return batch;
  }

  #place(batch, found) {
    batch.forEach((item, number) => {
      item.answers = found[number].answers || {};
      item.error = found[number].error || "";
      item.state = item.error ? "failed" : "answered";
    });
    this.told(batch);
  }

  #refused(batch, error) {
    const isTooLarge = error instanceof Refusal && error.status === TOO_LARGE;
    if (error.name === "AbortError") return this.#become(batch, "waiting");
    if (isTooLarge && batch.length > 1) {
      this.#most = Math.ceil(batch.length / 2);
      return this.#become(batch, "waiting");
    }
    if (isTooLarge) return this.#place(batch, [{ error: error.message }]);
    this.#become(batch, "waiting");
    this.stop();
    return this.fault(error);
  }

  #become(batch, state) {
    for (const item of batch) item.state = state;
    this.told(batch);
  }
}
