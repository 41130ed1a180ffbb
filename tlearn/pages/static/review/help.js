// The keys, on one screen.
import { element } from "/static/common.js";

const KEYS = [
  ["K, Enter", "keep the label"],
  ["P, Space", "change to what the network says"],
  ["C", "change to another class, also a new one"],
  ["X", "leave the picture out of training and measuring"],
  ["U", "unsure: nothing changes, but it is not shown again"],
  ["Z, Ctrl+Z", "take back"],
  ["Arrows", "look at another picture"],
  ["S, Shift+arrow, Shift+click", "select several; a decision is for all of them"],
  ["Ctrl+A, Escape", "select all under the filters; select none"],
  ["F", "filters"],
  ["M", "map of all pictures"],
];

export function showHelp() {
  const list = document.getElementById("list").textContent;
  const dialog = element("dialog", { "aria-label": "keys", class: "help" }, element("h2", {}, "Keys"),
    element("table", {}, element("tbody", {}, ...KEYS.map(([keys, what]) => element("tr", {},
      element("th", { scope: "row" }, ...keys.split(", ").flatMap((key, row) => [row ? " " : "", element("kbd", {}, key)])),
      element("td", {}, what))))),
    element("p", { class: "quiet" }, `Decisions go at once into ${list}; no picture is moved or changed. `
      + "The most doubtful come first: a network that has not seen a picture finds its label unlikely."),
    element("div", { class: "row" }, element("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
