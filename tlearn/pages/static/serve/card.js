// The card of a picture: the picture, what each run answers, and what can be done with it.

import { element } from "/static/common.js";
import { probability } from "/static/parts/text.js";
import { answerParts } from "./answer.js";
import { attention } from "./attention.js";
import { correct, keptLine } from "./correction.js";
import { show } from "./picture.js";
import { disagree, verdictOf } from "./summary.js";

const MOST_EXPLAINED = 5;
const STATES = { waiting: "Not sent yet.", asking: "Asking ..." };

/** Make a card; `context` is `{runs, settings, remove}`. Call `update` of what is returned when its item changed. */
export class Card {
  #look = null;

  constructor(item, context) {
    Object.assign(this, { item, context });
    this.picture = element("img", { alt: item.name, class: "picture" });
    this.frame = element("div", { class: "shot-frame" }, this.picture);
    this.answers = element("div", { class: "answers" });
    this.looking = element("div", { class: "looking" }); // beside the picture, so that a phone shows both
    this.tools = element("div", { class: "tools" });
    this.below = element("div", { class: "below" });
    this.name = element("h3", { class: "file", id: `name-${item.id}` }, item.name);
    this.root = element("li", { class: "card", tabindex: -1, "aria-labelledby": `name-${item.id}` },
      this.frame, this.looking, this.name, this.answers, this.tools, this.below);
    show(item.file, this.picture, () => this.picture.replaceWith(element("p", { class: "none" }, "No preview.")));
    this.update();
  }

  update() {
    const { item } = this, { runs } = this.context, several = runs.length > 1;
    const isOld = item.state !== "answered" && Object.keys(item.answers).length > 0; // answered with other settings
    this.root.dataset.state = item.state;
    this.root.classList.toggle("old", isOld);
    this.root.classList.toggle("disagreeing", several && disagree(item, runs));
    if (item.state === "asking" && isOld) return;
    this.answers.replaceChildren(...this.#answerParts(several));
    this.answers.classList.toggle("several", several && item.state !== "failed");
    this.#fillTools();
  }

  #answerParts(several) {
    const { item } = this, { runs, settings } = this.context;
    if (item.state === "failed") return [element("p", { class: "fault" }, item.error)];
    const answered = runs.filter((run) => item.answers[run.name]);
    if (!answered.length) return [element("p", { class: "quiet" }, STATES[item.state])];
    const parts = answered.map((run) => element("section", {},
      several ? element("h4", {}, run.name) : "", ...answerParts(item.answers[run.name], run, settings).filter(Boolean)));
    return several && disagree(item, runs) ? [element("p", { class: "differ" }, "The runs disagree."), ...parts] : parts;
  }

  #fillTools() {
    const { item } = this, made = [];
    if (item.state === "answered") {
      if (!item.kept && this.context.corrects) made.push(this.#button("This is wrong", () => this.correct()));
    }
    made.push(this.#button("Remove", () => this.remove()));
    this.tools.replaceChildren(...made);
    const looks = item.state === "answered" ? [this.#look?.panel ?? this.#button("Where did it look?", () => this.lookClosely())] : [];
    this.looking.replaceChildren(...looks);
    const kept = item.kept ? [keptLine(item.kept, () => { item.kept = null; this.update(); this.root.focus({ preventScroll: true }); })] : [];
    this.below.replaceChildren(...kept);
  }

  #button(text, act) {
    return element("button", { type: "button", onclick: act, "aria-describedby": this.name.id }, text);
  }

  /** Lay over where the network looked. */
  lookClosely() {
    if (this.#look || this.item.state !== "answered") return;
    this.#look = attention(this.item.file, this.frame, this.#explained(), () => {
      this.#look = null;
      this.#fillTools();
      this.looking.querySelector("button").focus();
    });
    this.#fillTools();
    this.#look.panel.querySelector("select").focus();
  }

  #explained() {
    const { runs } = this.context, several = runs.length > 1;
    return runs.filter((run) => this.item.answers[run.name]).flatMap((run) => {
      const start = several ? `${run.name}: ` : "", answer = this.item.answers[run.name];
      if (run.task === "regression") {
        const columns = run.classNames.length ? run.classNames : [null];
        return columns.map((name) => ({ run: run.name, class: name, text: `${start}${name ?? "the value"}` }));
      }
      return answer.probabilities.slice(0, MOST_EXPLAINED).map((each) => (
        { run: run.name, class: each.class, text: `${start}${each.class} (${probability(each.probability)})` }));
    });
  }

  /** Ask for the right label, and keep it. */
  async correct() {
    const { item } = this, { runs, corrects } = this.context;
    if (!corrects || item.state !== "answered" || item.kept) return;
    const answer = item.answers[runs[0].name], surest = answer.probabilities.map((each) => each.class).slice(1, 4);
    item.kept = await correct(item, runs, verdictOf(answer, runs[0].task) ?? "unknown", surest);
    this.#fillTools();
    this.root.focus({ preventScroll: true });
  }

  remove() {
    this.context.remove(this.item);
  }

  /** Let go of what is under way. */
  close() {
    this.#look?.close();
  }
}
