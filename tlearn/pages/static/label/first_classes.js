// A start without any class: ask for the first two or more, beside some of the pictures.
import { ask, element } from "/static/common.js";
import { addressOf } from "/static/parts/pictures.js";

const LEAST_CLASSES = 2;
const SHOWN = 12;

/** Ask for the first classes, and resolve with the state in which they are made. */
export function firstClasses(place, names, items) {
  return new Promise((resolve) => {
    let made = { class_names: names };
    const list = element("ol", { class: "made", "aria-live": "polite" });
    const fault = element("p", { id: "first-fault", role: "alert", class: "fault" });
    const name = element("input", {
      type: "text", id: "first-class", autocomplete: "off", spellcheck: "false", "aria-describedby": "first-fault",
    });
    const begin = element("button", { type: "button", class: "first" });
    const show = () => {
      list.replaceChildren(...made.class_names.map((each) => element("li", {}, each)));
      begin.disabled = made.class_names.length < LEAST_CLASSES;
      begin.textContent = begin.disabled ? `Begin: name ${LEAST_CLASSES} classes or more first` : "Begin";
    };
    const add = async (event) => {
      event.preventDefault();
      fault.textContent = "";
      const typed = name.value.trim();
      if (typed === "") return;
      name.value = ""; // at once: what is typed until the answer comes is the next name
      try {
        const answer = await ask("/api/classes", { name: typed });
        if (answer.class_names.length > made.class_names.length) made = answer; // the answer to a later name may come first
      } catch (error) {
        fault.textContent = error.message;
        name.value ||= typed;
      }
      show();
      name.focus();
    };
    begin.addEventListener("click", () => resolve(made));
    place.replaceChildren(element("div", { class: "asked" },
      element("h2", {}, "Which classes are there?"),
      element("p", {}, "Name two or more. Others can be added at any time."), list,
      element("form", { onsubmit: add }, element("label", { for: "first-class" }, "Name of a class"),
        element("div", { class: "row" }, name, element("button", { type: "submit" }, "Add"))), fault, begin),
    element("div", { class: "asked" }, element("h2", {}, "Some of the pictures"),
      element("div", { class: "some" }, ...items.slice(0, SHOWN).map((item) =>
        element("img", { src: addressOf(item.id, 256), alt: item.name })))));
    show();
    name.focus();
  });
}
