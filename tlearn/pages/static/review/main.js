// The page of `tlearn review`: one picture after the other, a key for each decision.
import { ask, ServerEnded } from "/static/common.js";
import { haveChanged } from "/static/parts/changed.js";
import { keyButton, onKeys } from "/static/parts/keys.js";
import { banner, say, toast } from "/static/parts/toast.js";
import { chooseClass } from "/static/parts/typeahead.js";
import { confirmed } from "./confirm.js";
import { Decisions } from "./decisions.js";
import { FilterBar, fromAddress, toAddress } from "./filters.js";
import { Grid } from "./grid.js";
import { showHelp } from "./help.js";
import { SelectionBar } from "./selection.js";
import { Stage } from "./stage.js";
import { showState } from "./status.js";
import { Store } from "./store.js";

const POLL_MS = 2000;
const MANY = 30; // so many are not decided by one key without a question

const store = new Store();
const decisions = new Decisions(store);
new Stage(store);
const grid = new Grid(store);
let filterBar = null, map = null, isMap = false, isGone = false, turn = Promise.resolve();

/** The pictures that a decision is for: those selected, else the one that one looks at. */
function subjects() {
  if (store.selected.size > 0) return { ids: [...store.selected], isOne: false };
  return { ids: store.current === undefined || isMap ? [] : [store.current], isOne: true };
}

/** Act after all that was asked for before: of two keys while a picture is on its way, the second is for the next one. */
function inTurn(work) {
  turn = turn.then(work).catch((error) => toast(error.message, { kind: "error" }));
}

/** Decide for what is selected or looked at; `labelOf` gives the label of a change, null leaves the picture out of it. */
function decide(...asked) { inTurn(() => decideNow(...asked)); }

async function decideNow(decision, labelOf = () => null, words = "", { ids, isOne } = subjects()) {
  if (ids.length === 0 && isMap) say("no picture is selected");
  await store.need(ids);
  const rows = ids.map((id) => ({ id, decision, label: labelOf(store.items.get(id)) }))
    .filter(({ label }) => decision !== "change" || label !== null);
  if (rows.length === 0) return;
  if (!isOne && (isMap || rows.length > MANY) && !(await confirmed(store, rows, words))) return;
  decisions.decide(decision === "change" ? rows : rows.map(({ id }) => ({ id, decision })));
  if (isOne && store.current === ids[0] && !store.goOn()) toast("Every picture under these filters is decided.");
  if (!isOne) store.selectOnly([]);
}

const act = {
  keep: () => decide("keep", undefined, "keep"),
  change: () => decide("change", (item) => item.proposal, "change to what the network says"),
  exclude: () => decide("exclude", undefined, "leave out"),
  unsure: () => decide("unsure", undefined, "mark as unsure"),
  async another() {
    await turn;
    const asked = subjects(), { ids } = asked; // an undo that comes meanwhile brings another picture
    if (ids.length === 0) return;
    await store.need(ids);
    const title = ids.length === 1 ? "Change to which class?" : `Change ${ids.length} pictures to which class?`;
    const first = [...new Set(ids.slice(0, 1).flatMap((id) => {
      const { proposal, neighbours } = store.items.get(id);
      return [proposal, ...neighbours.map(({ label }) => label)].filter((name) => name !== null);
    }))];
    const chosen = await chooseClass(store.state.class_names, { title, first });
    if (chosen !== null) decide("change", () => chosen.name, `change to ${chosen.name}`, asked);
  },
  undo: () => inTurn(() => {
    const ids = decisions.undo();
    if (ids.length > 0 && !isMap) store.bring(ids);
  }),
  go: (step) => store.go(store.place + step),
  select() {
    if (store.current !== undefined) store.select([store.current], !store.selected.has(store.current));
  },
  extend(step) {
    store.select([store.current]);
    store.go(store.place + step);
    store.select([store.current]);
  },
  filters: () => filterBar.toggle(),
  map: () => showMap(!isMap),
  clear: () => store.selectOnly([]),
};

async function showMap(isOn) {
  isMap = isOn;
  document.body.classList.toggle("with-map", isMap);
  document.getElementById("map").hidden = !isMap;
  document.getElementById("show-map").setAttribute("aria-pressed", String(isMap));
  toAddress(store, isMap);
  if (isMap && map === null) {
    const { PictureMap } = await import("./map.js");
    map ??= new PictureMap(store, document.getElementById("map"), look);
  }
  if (isMap) map.open();
  else map?.close();
}

/** Leave the map for one of its pictures, whatever the filters were. */
async function look(id) {
  await showMap(false);
  if (!store.order.includes(id)) await open({ decided: "all" }, id);
  else store.go(store.order.indexOf(id));
}

function makeButtons() {
  document.getElementById("actions").append(
    keyButton("Keep", "K", act.keep, { id: "keep" }),
    keyButton("Change", "P", act.change, { id: "change", class: "first" }),
    keyButton("Another class…", "C", act.another, { id: "another" }),
    keyButton("Leave out", "X", act.exclude, { id: "exclude" }),
    keyButton("Unsure", "U", act.unsure, { id: "unsure" }),
    keyButton("Undo", "Z", act.undo, { id: "undo" }));
  const filters = keyButton("Filters", "F", act.filters, { id: "show-filters", "aria-expanded": "false", "aria-controls": "filters" });
  filters.firstElementChild.after(Object.assign(document.createElement("span"), { id: "filter-count" }));
  document.getElementById("tools").append(filters,
    keyButton("Map", "M", act.map, { id: "show-map", "aria-pressed": "false" }),
    keyButton("Help", "?", showHelp, { id: "show-help" }));
}

const KEYS = {
  k: act.keep, Enter: act.keep, p: act.change, " ": act.change, c: act.another, x: act.exclude, u: act.unsure,
  z: act.undo, "Ctrl+z": act.undo, s: act.select, Escape: act.clear, f: act.filters, m: act.map, "?": showHelp,
  ArrowRight: () => act.go(1), ArrowLeft: () => act.go(-1),
  ArrowDown: () => act.go(grid.columns), ArrowUp: () => act.go(-grid.columns),
  "Shift+ArrowRight": () => act.extend(1), "Shift+ArrowLeft": () => act.extend(-1),
  "Ctrl+a": () => store.selectOnly(store.order), Home: () => store.go(0), End: () => store.go(store.order.length - 1),
};

async function open(filters, at) {
  try {
    await store.open(filters, at);
  } catch (error) {
    toast(error.message, { kind: "error" });
  }
  filterBar.show(store.filters);
}

async function poll() {
  const { outbox, given } = decisions, isQuiet = outbox.waiting.length === 0;
  try {
    if (!document.hidden) {
      const state = await ask("/api/state");
      if (haveChanged(state)) return;
      if (isQuiet && given === decisions.given) store.take(state); // else it is older than what was decided meanwhile
      if (isGone && outbox.waiting.length === 0) banner("");
      isGone = false;
    }
  } catch (error) {
    if (error instanceof ServerEnded) {
      isGone = true;
      if (decisions.outbox.waiting.length === 0) banner("The server has ended: start it again. This page goes on by itself then.");
    } else toast(error.message, { kind: "error" });
  }
  setTimeout(poll, POLL_MS);
}

/** Another tab has decided, or the order is another one. */
async function renew() {
  await Promise.all([store.reorder(), store.need(grid.shown(), true)]).catch(() => {});
}

async function start() {
  makeButtons();
  new SelectionBar(store, act);
  filterBar = new FilterBar((filters) => open(filters, store.current));
  const { filters, at, isMap: startsWithMap } = fromAddress();
  let isFirst = true;
  store.addEventListener("change", ({ detail: what }) => {
    if (what.has("state") && store.state) {
      showState(store.state, isFirst);
      filterBar.offer(store.state);
      isFirst = false;
    }
    if (what.has("version")) renew();
    if (what.has("current") || what.has("order")) toAddress(store, isMap);
  });
  const state = await ask("/api/state");
  haveChanged(state);
  store.take(state);
  await open(filters, at);
  onKeys(KEYS, { repeating: ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowLeft"] });
  if (startsWithMap) act.map();
  if (Object.entries(store.filters).some(([name, value]) => value && name !== "decided")) filterBar.form.hidden = false;
  document.body.dataset.ready = "yes";
  setTimeout(poll, POLL_MS);
}

start().catch((error) => banner(error.message));
