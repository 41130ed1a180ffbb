// The end of a batch: what was answered, what comes next, and what to type when there are labels enough.
import { element } from "/static/common.js";
import { counted } from "/static/parts/text.js";
import { answerOf } from "./views.js";

/** The end of a batch, with a button that begins the next one. */
export class End {
  constructor(place, next) {
    this.heading = element("h2", { tabindex: "-1" });
    this.counts = element("ul", { class: "given-counts" });
    this.next = element("button", { type: "button", class: "first", onclick: next });
    this.fault = element("p", { role: "alert", class: "fault" });
    this.whole = element("div", { class: "end", hidden: true }, this.heading, this.counts, this.fault, this.next,
      element("p", { class: "quiet" }, "Every answer is saved. The arrow keys and the strip lead back to the pictures."));
    place.append(this.whole);
  }

  /**
   * Show what was answered.
   * @param {object} upcoming The next batch, or nothing while it is chosen.
   * @param {string} fault Why it could not be chosen.
   */
  show(batch, upcoming, fault) {
    const counts = new Map();
    for (const item of batch.items) counts.set(answerOf(item), (counts.get(answerOf(item)) ?? 0) + 1);
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    this.heading.textContent = batch.items.length ? `Batch ${batch.number} is answered` : "Every picture has an answer";
    this.counts.replaceChildren(...sorted.map(([name, count]) =>
      element("li", {}, element("b", {}, String(count)), " ", element("span", {}, name))));
    this.next.hidden = batch.items.length === 0;
    this.next.disabled = !fault && !upcoming?.items.length;
    this.fault.textContent = fault;
    if (fault) this.next.textContent = "Try again";
    else if (!upcoming) this.next.textContent = "The next pictures are being chosen";
    else if (this.next.disabled) this.next.textContent = "Every picture has an answer";
    else this.next.replaceChildren(`Label the next ${counted(upcoming.items.length, "picture")}`, element("kbd", { "aria-hidden": "true" }, "Enter"));
  }
}

/** Show what to type when there are labels enough. */
export function showCommand(place, command) {
  if (!command || place.textContent.includes(command)) return;
  const copy = element("button", { type: "button", class: "copy", onclick: async () => {
    await navigator.clipboard.writeText(command);
    copy.textContent = "Copied";
  } }, "Copy");
  const canCopy = navigator.clipboard !== undefined; // browsers have it for this machine, and not for others without https
  place.replaceChildren(element("h2", {}, "When you have enough"),
    element("div", { class: "command" }, element("pre", {}, command), canCopy ? copy : null));
  place.hidden = false;
}
