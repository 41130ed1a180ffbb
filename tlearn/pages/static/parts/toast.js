// Short messages that go by themselves, and a banner that stays until its cause is gone.
import { element } from "/static/common.js";

const STAYS_MS = 6000;
const MOST = 3;

let place = null;
let spoken = null;

function region() {
  if (place === null) {
    place = element("div", { class: "toasts" });
    document.body.append(place);
  }
  return place;
}

/** Say something to screen readers alone. */
export function say(text) {
  if (spoken === null) {
    spoken = element("p", { class: "unseen", role: "status" });
    document.body.append(spoken);
  }
  spoken.textContent = text;
}

/**
 * Show a message for some seconds.
 * @param {string} text
 * @param {{kind?: "info"|"error", action?: [string, () => void]}} options `action` is a button beside it.
 */
export function toast(text, { kind = "info", action } = {}) {
  const message = element("div", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    element("span", {}, text));
  const close = () => message.remove();
  let timer = setTimeout(close, STAYS_MS);
  if (action) {
    const [words, act] = action;
    message.append(element("button", { type: "button", onclick: () => { close(); act(); } }, words));
  }
  message.addEventListener("pointerenter", () => clearTimeout(timer));
  message.addEventListener("pointerleave", () => { timer = setTimeout(close, STAYS_MS); });
  const all = region();
  while (all.childElementCount >= MOST) all.firstElementChild.remove();
  all.append(message);
}

/** Show a line on top until `banner("")`. */
export function banner(text) {
  let line = document.querySelector(".banner");
  if (line === null) {
    line = element("p", { class: "banner", role: "alert", hidden: true });
    document.body.prepend(line);
  }
  if (line.textContent !== text) line.textContent = text;
  line.hidden = text === "";
}
