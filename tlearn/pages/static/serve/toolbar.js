// Above the cards: how far it is, what the answers come to, and what can be taken along.

import { csvOf, rowsOf } from "./csv.js";
import { curlOf } from "./command.js";
import { queryOf } from "./settings.js";
import { summaryOf } from "./summary.js";
import { counted } from "/static/parts/text.js";

const $ = (id) => document.getElementById(id);
const SAID_EVERY = 20; // pictures; a reader of the screen is not to be told of each

/** Make the toolbar; `told.only` filters the cards. Call `update` of what is returned after each change. */
export function toolbar(queue, { runs, settings }, { needsToken, only }) {
  let isCopied = null;
  $("stop").addEventListener("click", () => queue.stop());
  $("resend").addEventListener("click", () => queue.start());
  $("clear").addEventListener("click", () => {
    queue.clear();
    $("choose").focus();
  });
  $("csv").addEventListener("click", () => download(csvOf(rowsOf(queue.items, runs, settings))));
  $("differ").addEventListener("change", () => only($("differ").checked));
  $("copy").addEventListener("click", async () => {
    const isDone = await copied($("curl"));
    $("copy").textContent = isDone ? "Copied" : "Press Ctrl+C";
    clearTimeout(isCopied);
    isCopied = setTimeout(() => { $("copy").textContent = "Copy"; }, 2000);
  });

  function update() {
    const { items, running } = queue, left = queue.waiting.length, done = items.length - left;
    $("results").hidden = !items.length;
    document.body.classList.toggle("begun", items.length > 0);
    $("progress").max = items.length || 1;
    $("progress").value = done;
    $("progress-line").hidden = !left;
    $("progress-text").textContent = `${running ? "" : "Stopped: "}${done} of ${counted(items.length, "picture")} answered`;
    $("stop").hidden = !running;
    $("resend").hidden = running || !left;
    const summary = summaryOf(items, runs);
    $("summary").textContent = summary;
    if (!left || done % SAID_EVERY === 0) say(left ? $("progress-text").textContent : summary);
    $("differ-line").hidden = runs.length < 2;
    $("csv").disabled = !done;
    $("curl").textContent = curlOf(location.origin, queryOf(settings, runs), items.map((item) => item.name), needsToken);
  }
  return { update };
}

function say(text) {
  if ($("said").textContent !== text) $("said").textContent = text;
}

function download(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = "predictions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Copy a text; where the clipboard is closed to pages, as on a phone over http, select it instead. */
async function copied(place) {
  try {
    await navigator.clipboard.writeText(place.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(place);
    return false;
  }
}
