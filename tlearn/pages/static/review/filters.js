// Which pictures are shown; the address keeps it, so that a reload comes back to the same place.
import { element } from "/static/common.js";
import { FILTERS } from "./store.js";

const LATER_MS = 300; // browsers refuse an address that changes too often

/** The filters and the picture that the address names. */
export function fromAddress() {
  const given = new URLSearchParams(location.search);
  const filters = Object.fromEntries(Object.entries(FILTERS).map(([name, usual]) => [name, given.get(name) ?? usual]));
  const at = given.get("at");
  return { filters, at: at === null ? null : Number(at), isMap: given.get("view") === "map" };
}

let later = 0;

/** Write filters, picture and view into the address. */
export function toAddress(store, isMap) {
  clearTimeout(later);
  later = setTimeout(() => {
    const changed = Object.entries(store.filters).filter(([name, value]) => value !== FILTERS[name]);
    const given = new URLSearchParams(changed);
    if (store.current !== undefined) given.set("at", store.current);
    if (isMap) given.set("view", "map");
    history.replaceState(null, "", `${location.pathname}${given.size ? `?${given}` : ""}`);
  }, LATER_MS);
}

/** Fill the choices, and call `changed` with the filters when somebody chooses. */
export class FilterBar {
  constructor(changed) {
    this.form = document.getElementById("filters");
    this.form.addEventListener("change", () => {
      changed(this.values());
      if (this.isByHand) document.activeElement.blur(); // the next key is a decision, not a class that begins so
    });
    this.form.addEventListener("pointerdown", () => { this.isByHand = true; });
    this.form.addEventListener("keydown", (event) => {
      this.isByHand = false;
      if (event.key === "Escape") this.toggle(false);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", () => setTimeout(() => changed({ ...FILTERS })));
    this.names = "";
  }

  values() {
    const given = new FormData(this.form);
    return Object.fromEntries(Object.keys(FILTERS).map((name) => [name, given.get(name) ?? ""]));
  }

  /** Offer the classes and groups there are; new classes come with the state. */
  offer({ class_names: classes, group_names: groups }) {
    const names = JSON.stringify([classes, groups]);
    if (names === this.names) return;
    this.names = names;
    for (const [field, all] of [["class", classes], ["proposal", classes], ["group", groups]]) {
      const select = this.form.elements[field], chosen = select.value;
      select.replaceChildren(element("option", { value: "" }, "any"), ...all.map((name) => element("option", { value: name }, name)));
      select.value = chosen;
    }
    this.form.elements.group.closest("label").hidden = groups.length === 0;
  }

  show(filters) {
    for (const [name, value] of Object.entries(filters)) {
      const field = this.form.elements[name];
      if (field.type === "checkbox") field.checked = value === "1";
      else field.value = value;
    }
    const count = Object.entries(filters).filter(([name, value]) => value !== FILTERS[name]).length;
    document.getElementById("filter-count").textContent = count ? ` (${count})` : "";
  }

  /** Open or close it by the keyboard. */
  toggle(isOpen = this.form.hidden) {
    this.form.hidden = !isOpen;
    document.getElementById("show-filters").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.form.elements.class.focus();
    else document.getElementById("grid").focus({ preventScroll: true });
  }
}
