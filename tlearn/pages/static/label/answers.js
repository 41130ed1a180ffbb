// The buttons that answer: one for each class, then "none of these", unsure, undo and a new class.
import { element } from "/static/common.js";
import { keyButton } from "/static/parts/keys.js";
import { probability } from "/static/parts/text.js";

const OTHERS = [["None of these", "N", "exclude"], ["Unsure", "U", "unsure"]];
const KEYS = 9;

/** The answers to the picture that is shown. */
export class Answers {
  #classes = element("div", { class: "choices" });
  #names = [];
  #buttons = new Map();
  #others = new Map();
  #marked = [];

  /** @param {HTMLElement} place @param {object} acts `label(name)`, `decide(decision)`, `undo()` and `find()`. */
  constructor(place, acts) {
    this.acts = acts;
    const others = OTHERS.map(([words, key, decision]) => {
      const button = keyButton(words, key, () => acts.decide(decision), { class: "choice", "aria-pressed": "false" });
      this.#others.set(decision, button);
      return button;
    });
    this.hint = element("p", { class: "quiet", hidden: true }, "Of the other classes, type the first letters, or ",
      element("kbd", {}, "/"), ".");
    place.append(this.#classes, this.hint, element("div", { class: "choices others" }, ...others,
      keyButton("Undo", "Z", () => acts.undo(), { class: "choice" }),
      keyButton("New class", "+", () => acts.find(), { class: "choice" })));
  }

  /** Make a button for each class; the first nine have the keys 1 to 9, whatever is proposed. */
  classes(names) {
    if (names.length === this.#names.length && names.every((name, place) => name === this.#names[place])) return;
    this.#names = [...names];
    this.#buttons = new Map(names.map((name, place) => [name, this.#button(name, place)]));
    this.#classes.replaceChildren(...this.#buttons.values());
    this.#classes.classList.toggle("two", names.length > 5);
    this.#classes.classList.toggle("many", names.length > 12);
    this.hint.hidden = names.length <= KEYS;
  }

  #button(name, place) {
    const key = place < KEYS ? String(place + 1) : "";
    const button = keyButton(name, key, () => this.acts.label(name), { class: "choice", "aria-pressed": "false" });
    button.append(element("span", { class: "guess" }));
    return button;
  }

  /** Mark what was answered, and say quietly what the network proposes. */
  show(item) {
    for (const button of this.#marked) {
      button.setAttribute("aria-pressed", "false");
      button.querySelector(".guess")?.replaceChildren();
    }
    const given = item.decision === "label" ? this.#buttons.get(item.label) : this.#others.get(item.decision);
    const proposed = item.probability === null ? undefined : this.#buttons.get(item.proposal);
    given?.setAttribute("aria-pressed", "true");
    proposed?.querySelector(".guess").append(
      element("span", { class: "source" }, "network: "), probability(item.probability));
    this.#marked = [given, proposed].filter((button) => button !== undefined);
  }
}
