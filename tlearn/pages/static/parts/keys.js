// Keys that act: a table from keys to what they do, silent while somebody types or a dialog is open.

const TYPED_INTO = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";
const PRESSED_BY_ENTER = "button, a[href], summary, input[type=checkbox], input[type=radio]";

/** Name a key event as the tables do: "k", "Enter", " ", "Ctrl+z", "Shift+ArrowRight". Cmd counts as Ctrl. */
export function nameOf(event) {
  const isLetter = event.key.length === 1;
  const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  const shift = event.shiftKey && !isLetter ? "Shift+" : "";
  return ctrl + shift + (isLetter ? event.key.toLowerCase() : event.key);
}

/**
 * Act on keys.
 * @param {Record<string, (event: KeyboardEvent) => void>} table What each key does, by its name.
 * @param {{repeating?: string[], where?: EventTarget}} options `repeating` keys act again while they are held down.
 */
export function onKeys(table, { repeating = [], where = document } = {}) {
  where.addEventListener("keydown", (event) => {
    const name = nameOf(event);
    if (event.defaultPrevented || event.altKey || event.isComposing || !Object.hasOwn(table, name)) return;
    if (event.repeat && !repeating.includes(name)) return event.preventDefault();
    if (event.target.closest(TYPED_INTO) || document.querySelector("dialog[open]")) return;
    if ((name === "Enter" || name === " ") && event.target.closest(PRESSED_BY_ENTER)) return;
    event.preventDefault();
    table[name](event);
  });
}

/**
 * Make a button that shows its key. After a click by the mouse it gives the focus back, so that the next Space or
 * Enter is the page's and not the button's.
 */
export function keyButton(text, key, act, attributes = {}) {
  const button = document.createElement("button");
  button.type = "button";
  for (const [name, value] of Object.entries(attributes)) button.setAttribute(name, value);
  const words = document.createElement("span");
  words.textContent = text;
  button.append(words);
  if (key) {
    const cap = document.createElement("kbd");
    cap.textContent = key;
    cap.setAttribute("aria-hidden", "true");
    button.append(cap);
    button.setAttribute("aria-keyshortcuts", key);
  }
  button.addEventListener("click", (event) => {
    act(event);
    if (event.detail > 0) button.blur();
  });
  return button;
}
