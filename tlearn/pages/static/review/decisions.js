// Decide, and take back: at once on the page, then to the server, in order.
import { Outbox } from "/static/parts/outbox.js";
import { banner, say, toast } from "/static/parts/toast.js";
import { counted } from "/static/parts/text.js";

const COUNT_OF = { keep: "kept", change: "changed", label: "changed", exclude: "excluded", unsure: "unsure" };
const WORDS = { keep: "kept", change: "changed", exclude: "left out", unsure: "unsure" };

/** What was decided for an item, in words. */
export function decisionWords({ decision, new_label: newLabel }) {
  if (!decision) return "";
  if (decision === "label") return `labelled ${newLabel}`;
  return decision === "change" ? `changed to ${newLabel}` : WORDS[decision];
}

/** The decisions of this tab. */
export class Decisions {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.done = [];
    this.given = 0; // decisions and undos of this tab: a state that was asked for before the last one is old
    this.isTakingBack = false;
    this.outbox = new Outbox("tlearn-review", {
      onsent: (content) => this.#take(content),
      onrefused: (error, message) => this.#refused(error, message),
      onwaiting: (count, isGone) => banner(isGone
        ? `The server has ended. ${counted(count, "decision")} of this page ${count === 1 ? "waits and is" : "wait and are"} sent when it runs again.` : ""),
    });
    store.unsent = () => new Set(this.outbox.waiting.flatMap(({ body }) => idsOf(body)));
  }

  /** Decide for pictures: rows of id, decision and, for a change, label. */
  decide(asked) {
    if (asked.length === 0) return;
    const rows = asked.map((row) => this.#meant(row));
    this.done.push(rows.map(({ id }) => this.#past(id)));
    for (const row of rows) this.#set(row.id, row.decision, row.decision === "change" ? row.label : null);
    this.#send("/api/decisions", { decisions: rows });
    this.#show(rows, asked);
  }

  /** Send what is meant for the pictures of this page, and no others. */
  #send(path, body) {
    this.given += 1;
    this.outbox.put(path, { ...body, pool: this.store.state?.pool });
  }

  /** To change a picture to the label that it has is to keep it. */
  #meant(row) {
    const isSame = row.decision === "change" && row.label === this.store.items.get(row.id)?.label;
    return isSame ? { id: row.id, decision: "keep" } : row;
  }

  #past(id) {
    const { decision, new_label: label } = this.store.items.get(id) ?? {};
    return { id, decision: decision ?? null, label: label ?? null };
  }

  /** Take the last decision of this tab back; without one here, the last of the list. Gives the ids it was about. */
  undo() {
    const last = this.done.pop();
    if (last === undefined) {
      this.isTakingBack = true;
      this.#send("/api/undo", {});
      return [];
    }
    for (const row of last) this.#set(row.id, row.decision, row.label);
    const gone = last.filter((row) => !row.decision).map(({ id }) => id);
    const before = last.filter((row) => row.decision);
    if (gone.length) this.#send("/api/undo", { ids: gone });
    if (before.length) this.#send("/api/decisions", { decisions: before });
    say(`taken back: ${counted(last.length, "decision")}`);
    this.store.tell("items", "state");
    return last.map(({ id }) => id);
  }

  #set(id, decision, label) {
    const item = this.store.items.get(id), counts = this.store.state?.counts;
    if (item === undefined) return;
    if (counts) {
      if (item.decision) { counts[COUNT_OF[item.decision]] -= 1; counts.decided -= 1; }
      if (decision) { counts[COUNT_OF[decision]] += 1; counts.decided += 1; }
    }
    this.store.decide(id, decision, decision === "keep" ? item.label : label);
  }

  #show(rows, asked) {
    const words = decisionWords(this.store.items.get(rows[0].id) ?? rows[0]);
    if (rows.length === 1) say(words);
    else toast(`${counted(rows.length, "picture")} ${WORDS[asked[0].decision]}`, { action: ["Undo", () => this.undo()] });
    this.store.tell("items", "state");
  }

  #take({ ids, state, ...rest }) {
    if (this.outbox.waiting.length === 0) {
      this.store.take(state ?? rest);
      this.store.tell("sent");
    }
    if (ids?.length && this.isTakingBack) {
      this.isTakingBack = false;
      this.store.bring(ids);
    }
    if (ids?.length) this.store.need(ids, true).catch(() => {});
  }

  async #refused(error, message) {
    toast(error.message, { kind: "error" });
    this.done = [];
    await this.store.need(idsOf(message.body), true).catch(() => {});
  }
}

/** The pictures that a message to the server is about. */
function idsOf({ ids, decisions }) { return ids ?? decisions?.map(({ id }) => id) ?? []; }
