// What is selected, and what can be done with all of it.
import { keyButton } from "/static/parts/keys.js";
import { counted } from "/static/parts/text.js";

/** A bar of decisions for the pictures that are selected. */
export class SelectionBar {
  constructor(store, act) {
    this.store = store;
    this.bar = document.getElementById("selection");
    this.count = Object.assign(document.createElement("b"), { id: "selected-count" });
    this.count.setAttribute("role", "status");
    this.hint = Object.assign(document.createElement("span"), { className: "quiet", textContent: "Shift+click selects several" });
    this.buttons = [
      keyButton("Keep", "K", act.keep), keyButton("As the network says", "P", act.change),
      keyButton("Another class…", "C", act.another), keyButton("Leave out", "X", act.exclude),
      keyButton("Unsure", "U", act.unsure), keyButton("None", "Esc", act.clear),
    ];
    this.bar.append(this.hint, this.count, ...this.buttons);
    store.addEventListener("change", ({ detail: what }) => { if (what.has("selection")) this.show(); });
    this.show();
  }

  show() {
    const { size } = this.store.selected;
    this.hint.hidden = size > 0;
    this.count.textContent = size ? counted(size, "selected", "selected") : "";
    for (const button of this.buttons) button.hidden = size === 0;
    document.body.classList.toggle("with-selection", size > 0);
  }
}
