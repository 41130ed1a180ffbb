// The page of `label`: what is shown follows the batch; what is answered goes to the server in the background.
import { ask, ServerEnded } from "/static/common.js";
import { haveChanged } from "/static/parts/changed.js";
import { Outbox } from "/static/parts/outbox.js";
import { PictureCache } from "/static/parts/pictures.js";
import { counted, number } from "/static/parts/text.js";
import { banner, say, toast } from "/static/parts/toast.js";
import { chooseClass } from "/static/parts/typeahead.js";
import { Answers } from "./answers.js";
import { Batch } from "./batch.js";
import { Curve } from "./curve.js";
import { End, showCommand } from "./finish.js";
import { firstClasses } from "./first_classes.js";
import { listen } from "./keys.js";
import { answerOf, Grid, Single, Strip } from "./views.js";

const LOOK_MS = 2000;
const LARGE_PX = 1024;
const NOBODY = { decision: null, probability: null }; // the buttons show what one picture has; in the grid its tile does
const place = (id) => document.getElementById(id);
const undoable = []; // the ids of each answer from this tab, the last one at the end
const shown = new Map(); // all pictures of this tab by id: an undo may bring one of an earlier batch back
const pictures = new PictureCache(LARGE_PX);
const single = new Single(place("stage"), pictures, (step) => move(step, 0, false));
const grid = new Grid(place("stage"), (at, isRange) => { batch.select(at, isRange); show(); });
const end = new End(place("stage"), next);
const strip = new Strip(place("strip"), (at) => { batch.go(at); show(); });
const curve = new Curve(place("curve"));
const answers = new Answers(place("answers"), { label, decide, undo, find });
let state, batch, outbox, upcoming = null, fault = "", answered = 0, isGrid = false, isAway = false, isLooking = false;

async function start() {
  state = await ask("/api/state");
  haveChanged(state);
  const taken = await ask("/api/next");
  // Not before: it sends at once what a reload has interrupted, and its answers need the batch.
  outbox = new Outbox(`tlearn-label ${state.list}`, { onsent: sent, onrefused: refused, onwaiting: waiting });
  begin(taken, JSON.parse(sessionStorage.getItem("tlearn-label-at")));
  place("title").textContent = state.title;
  if (state.class_names.length < 2) {
    place("first").hidden = false;
    state = { ...state, ...await firstClasses(place("first"), state.class_names, batch.items) };
  }
  place("first").hidden = true;
  place("work").hidden = place("modes").hidden = false;
  listen({ labelAt, decide, undo, find, move, all, none, grid: () => turn(!isGrid), next }, grid.list);
  place("one-mode").addEventListener("click", () => turn(false));
  place("grid-mode").addEventListener("click", () => turn(true));
  take(state);
  show();
  setInterval(look, LOOK_MS);
  addEventListener("focus", look);
  addEventListener("resize", show);
}

function begin(taken, at) {
  batch = new Batch(taken, at);
  upcoming = null;
  fault = "";
  for (const item of batch.items) shown.set(item.id, item);
  for (const message of outbox.waiting) batch.apply(message.body.decisions ?? []);
}

/** Show where the batch is. Runs at each key: nothing here may take long. */
function show() {
  const isEnd = batch.ended || batch.items.length === 0;
  single.whole.hidden = isEnd || isGrid;
  grid.list.hidden = isEnd || !isGrid;
  end.whole.hidden = !isEnd;
  place("strip").hidden = isGrid;
  place("answers").hidden = isEnd;
  if (isEnd) end.show(batch, upcoming, fault);
  else if (isGrid) grid.show(batch);
  else single.show(batch);
  if (!isGrid) strip.show(batch);
  if (!isEnd) answers.show(isGrid ? NOBODY : batch.current);
  place("progress").value = batch.answered / Math.max(1, batch.items.length);
  place("round").textContent = `${batch.answered} of ${batch.items.length}`;
  place("selected").textContent = isGrid && batch.selected.size ? `${counted(batch.selected.size, "picture")} selected` : "";
  sessionStorage.setItem("tlearn-label-at", JSON.stringify(isEnd ? null : batch.current.id));
  if (isEnd) choose();
}

/** Take what the server says: counts, classes, the curve. */
function take(next) {
  state = { ...state, ...next };
  const { pictures: total, labelled, none: out, unsure } = state.counts;
  const others = [[out, "none of these"], [unsure, "unsure"]].filter(([count]) => count).map(([count, words]) => `, ${number(count)} ${words}`);
  place("counts").textContent = `${number(labelled)} labelled of ${counted(total, "picture")}${others.join("")}`;
  place("remark").textContent = state.remark ?? "";
  answers.classes(state.class_names);
  answers.show(isGrid ? NOBODY : batch.current ?? NOBODY);
  curve.show(state);
  if (labelled && state.class_names.length > 1) showCommand(place("then"), state.command);
}

function give(places, decision, label) {
  if (batch.ended || places.length === 0 || isRefusing()) return;
  const items = places.map((at) => batch.items[at]);
  batch.answer(places, decision, label);
  undoable.push(items.map((item) => item.id));
  answered += 1;
  outbox.put("/api/decisions", { decisions: items.map(({ id, name }) => ({ id, name, decision, ...(label === null ? {} : { label }) })) });
  show();
  grid.focus(batch.at);
  say(`${answerOf(items[0])}${items.length > 1 ? ` for ${items.length} pictures` : ""}. ${batch.answered} of ${batch.items.length}.`);
  if (batch.ended) end.heading.focus({ preventScroll: true });
}

function label(name) { give(batch.places(isGrid), "label", name); }
function labelAt(row) { if (row < state.class_names.length) label(state.class_names[row]); }
function decide(decision) { give(batch.places(isGrid), decision, null); }

/** Answer with a class that is typed; a name that is not there yet is made. */
async function find() {
  if (batch.ended || isRefusing()) return;
  const ids = batch.places(isGrid).map((at) => batch.items[at].id); // an undo that comes meanwhile moves their places
  const chosen = await chooseClass(state.class_names, { title: ids.length > 1 ? `The class of these ${ids.length} pictures` : "The class of this picture" });
  if (!chosen) return;
  try {
    const made = chosen.isNew ? await ask("/api/classes", { name: chosen.name }) : null;
    if (made) take(made);
    const places = ids.map((id) => batch.items.findIndex((item) => item.id === id)).filter((at) => at >= 0);
    give(places, "label", made?.added ?? chosen.name); // the server writes a name as it is known
  } catch (error) {
    toast(error.message, { kind: "error" });
  }
}

function undo() {
  if (isRefusing()) return;
  const ids = undoable.pop();
  answered += 1;
  outbox.put("/api/undo", { ...(ids ? { ids } : {}), pool: state.pool });
  if (ids) reopen(ids, ids.map((id) => shown.get(id)));
}

function reopen(ids, items) {
  batch.reopen(ids, items);
  show();
  grid.focus(batch.at);
  say(ids.length ? `Taken back. Picture ${batch.at + 1} of ${batch.items.length}.` : "Nothing to take back.");
}

function move(x, y, isRange) {
  const at = Math.min(Math.max(batch.at + x + y * (isGrid ? grid.columns : 0), 0), batch.items.length - 1);
  if (batch.ended && x > 0) return;
  if (isGrid && isRange) batch.selectTo(at);
  batch.go(batch.ended ? batch.items.length - 1 : at);
  show();
  grid.focus(batch.at);
}

function all() { if (isGrid) { batch.selectAll(); show(); } }
function none() { batch.selected.clear(); show(); }

function turn(wantsGrid) {
  isGrid = wantsGrid;
  place("one-mode").setAttribute("aria-pressed", String(!isGrid));
  place("grid-mode").setAttribute("aria-pressed", String(isGrid));
  place("work").classList.toggle("grids", isGrid);
  batch.selected.clear();
  show();
  if (isGrid) grid.button(batch.at)?.focus();
}

function next() {
  if (fault) {
    fault = "";
    end.show(batch, upcoming, fault);
    return choose();
  }
  if (!batch.ended || !upcoming?.items.length) return;
  begin(upcoming, null);
  show();
  grid.focus(batch.at);
  say(`Batch ${batch.number}, ${counted(batch.items.length, "picture")}.`);
}

/** Let the next batch be chosen while the person rests; all answers have to be there before. */
async function choose() {
  if (isLooking || outbox.waiting.length || upcoming || fault) return; // the end of a look, and what is sent, come back here
  isLooking = true;
  try {
    upcoming = await ask(`/api/next?after=${batch.round}`);
    pictures.prefetch(upcoming.items.slice(0, 8).map((item) => item.id));
  } catch (error) {
    if (error instanceof ServerEnded) waiting(outbox.waiting.length, true);
    else fault = error.message;
  }
  isLooking = false;
  if (batch.ended) end.show(batch, upcoming, fault);
}

/** Look what other tabs and processes did. */
async function look() {
  if (isLooking || document.hidden || outbox.waiting.length) return;
  isLooking = true;
  const before = answered;
  try {
    const [found, chosen] = [await ask("/api/state"), await ask("/api/next")];
    waiting(0, false);
    if (answered === before) follow(found, chosen); // else it is older than what was answered meanwhile
  } catch (error) {
    trouble(error);
  }
  isLooking = false;
  if (batch.ended) choose();
}

function follow(found, chosen) {
  if (haveChanged(found)) return;
  take(found);
  const isNewStart = chosen.round.split("-")[0] !== batch.round.split("-")[0];
  if (chosen.round === batch.round) batch.merge(chosen.items);
  else if (isNewStart || (batch.ended && chosen.round !== upcoming?.round)) begin(chosen, null);
  show();
}

function sent(content, { path, body }) {
  const isUndo = path === "/api/undo";
  if (isUndo && !body.ids) reopen(content.ids, content.items);
  take(isUndo ? content.state : content);
  if (batch.ended) choose();
}

function refused(error, { body }) {
  const later = new Set(outbox.waiting.flatMap((message) => idsOf(message.body))); // answered anew meanwhile
  batch.refuse(idsOf({ decisions: body.decisions }).filter((id) => !later.has(id)));
  show();
  toast(error.message, { kind: "error" });
}

function idsOf({ decisions = [], ids = [] }) { return [...decisions.map(({ id }) => id), ...ids]; }

function trouble(error) {
  if (error instanceof ServerEnded) waiting(outbox.waiting.length, true);
  else toast(error.message, { kind: "error" });
}

function waiting(count, isGone) {
  isAway = isGone;
  const kept = count ? ` ${counted(count, "answer")} not saved yet: kept in this page until then.` : " All answers are saved.";
  banner(isGone ? `The server has ended. Start it again, and this page goes on.${kept}` : "");
}

function isRefusing() {
  if (isAway) say("The server has ended: this key did nothing.");
  return isAway;
}

start().catch((error) => banner(error.message));
