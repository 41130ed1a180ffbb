// The page of `tlearn serve`: pictures in, answers out.

import { ask } from "/static/common.js";
import { Card } from "./card.js";
import { listen } from "./intake.js";
import { listenToKeys } from "./keys.js";
import { post } from "./post.js";
import { Queue } from "./queue.js";
import { described, runHeads } from "./runs.js";
import { queryOf, settingsOf, settingsPanel, settingsWords } from "./settings.js";
import { toolbar } from "./toolbar.js";
import { counted } from "/static/parts/text.js";

const MOST_PICTURES = 1000; // on one page; more are for `tlearn predict`
const $ = (id) => document.getElementById(id);
const cards = new Map(); // item -> Card
let nextId = 1;

start().catch((error) => alarm(error.message, "Reload", () => location.reload()));

async function start() {
  const { runs, can, limits, needsToken, corrects } = described(await ask("/health"));
  const settings = settingsOf(location.search, can);
  const answering = { runs, settings, corrects, remove };
  const queue = new Queue((files, signal) => answersOf(files, signal, runs, settings), limits, told, fault);
  const bar = toolbar(queue, answering, { needsToken, only: (isOn) => $("cards").classList.toggle("only-disagreeing", isOn) });

  if (runs.length > 1) $("title").textContent = `${runs.length} runs side by side`;
  $("runs").replaceChildren(...runHeads(runs));
  $("cards").classList.toggle("broad", runs.length > 1);
  const sayNow = () => { $("settings-now").textContent = settingsWords(settings, can); };
  sayNow();
  settingsPanel($("settings"), settings, can, () => {
    sayNow();
    queue.again();
  });
  listen({ inputs: [$("files"), $("camera")], buttons: [[$("choose"), $("files")], [$("take"), $("camera")]], zone: $("intake") }, take);
  listenToKeys($("cards"), (root) => [...cards.values()].find((card) => card.root === root), () => $("files").click());
  document.body.dataset.ready = "true";

  function take(files) {
    const left = MOST_PICTURES - queue.items.length;
    if (files.length > left) alarm(`${MOST_PICTURES.toLocaleString("en-US")} pictures at a time: the last ${files.length - left} were left out. For many, use: tlearn predict`);
    const added = files.slice(0, Math.max(0, left)).map((file) => (
      { id: nextId++, file, name: file.name, state: "waiting", answers: {}, error: "", kept: null }));
    const fragment = document.createDocumentFragment();
    for (const item of added) {
      cards.set(item, new Card(item, answering));
      fragment.append(cards.get(item).root);
    }
    $("cards").prepend(fragment); // the newest is at hand
    queue.add(added);
  }

  function remove(item) {
    const { root } = cards.get(item), after = root.nextElementSibling || root.previousElementSibling;
    cards.get(item).close();
    cards.delete(item);
    root.remove();
    queue.remove(item);
    (after || $("choose")).focus();
  }

  function told(items) {
    for (const item of items) cards.get(item)?.update();
    if (!queue.items.length) {
      for (const card of cards.values()) card.close();
      cards.clear();
      $("cards").replaceChildren();
    }
    if (items.some((item) => item.state === "answered")) $("alarm").replaceChildren();
    bar.update();
  }

  function fault(error) {
    const left = queue.waiting.length;
    const line = `${error.message.replace(/[.]?$/, ".")} ${counted(left, "picture")} ${left === 1 ? "was" : "were"} not answered.`;
    if (error.status === 400) alarm(line, "Change the settings", openSettings); // such as an accuracy that nobody can promise
    else alarm(line, "Send again", () => queue.start());
    bar.update();
  }
}

/** Ask all runs for some pictures; resolves to `{answers: {run: answer}}` or `{error}` of each. */
async function answersOf(files, signal, runs, settings) {
  const form = new FormData();
  for (const file of files) form.append("pictures", file, file.name);
  const { answers } = await (await post(`/predict?${queryOf(settings, runs)}`, form, signal)).json();
  return files.map(() => { // in order; of each picture the answers of all runs, or one error
    if (answers[0].error !== undefined) return { error: answers.shift().error };
    return { answers: Object.fromEntries(answers.splice(0, runs.length).map((answer) => [answer.run, answer])) };
  });
}

function openSettings() {
  $("settings").closest("details").open = true;
  $("settings").querySelector("input:enabled")?.focus();
}

function alarm(line, name, act) {
  const button = document.createElement("button");
  button.textContent = name || "Close";
  button.addEventListener("click", () => {
    $("alarm").replaceChildren();
    act?.();
  });
  const text = document.createElement("p");
  text.textContent = line;
  $("alarm").replaceChildren(text, button);
}
