// Pictures come in: chosen, taken with a camera, dropped (also in folders), or pasted.

/** Listen on the page; `take` gets a list of files. */
export function listen(page, take) {
  for (const input of page.inputs) {
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = ""; // the same file may be chosen again
    });
  }
  for (const [button, input] of page.buttons) button.addEventListener("click", () => input.click());
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  let depth = 0; // of elements that the pointer has entered
  const mark = (change) => {
    depth = Math.max(0, change === null ? 0 : depth + change);
    page.zone.classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", () => mark(1));
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    mark(null);
    take(await dropped(event.dataTransfer));
  });
}

/** Return the files of a drop, those of folders after one another. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) return files;
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (!entry.isDirectory) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), found = [];
  for (;;) { // a browser lists a hundred at a time
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) break;
    found.push(...part);
  }
  const inOrder = found.filter((each) => !each.name.startsWith(".")).sort((a, b) => (a.name < b.name ? -1 : 1));
  return (await Promise.all(inOrder.map(filesOf))).flat();
}
