// What is asked beside the answer. It is kept in the page's address, so that a reload and a copied address ask the same.

const NEAREST = 5;
const TOP_K = 5; // as `tlearn predict` lists
const COVERAGE = 0.9;
const MIN_ACCURACY = 0.98;

/** Read the settings from an address. `can` says what the runs have kept enough for. */
export function settingsOf(search, can) {
  const given = new URLSearchParams(search);
  const coverage = given.get("coverage");
  return {
    coverage: !can.coverage || coverage === "off" ? null : share(coverage) ?? COVERAGE,
    minAccuracy: can.minAccuracy ? share(given.get("min_accuracy")) : null,
    unknown: can.unknown && given.get("unknown") !== "false", // the honest answer; of pictures like the training's it costs 1 in 20
    nearest: can.nearest ? NEAREST : 0,
  };
}

/** Write settings as the page's own query. */
export function addressOf(settings, can) {
  const query = new URLSearchParams();
  if (can.coverage && settings.coverage !== COVERAGE) query.set("coverage", settings.coverage ?? "off");
  if (settings.minAccuracy !== null) query.set("min_accuracy", settings.minAccuracy);
  if (can.unknown && !settings.unknown) query.set("unknown", "false");
  return query.size ? `?${query}` : location.pathname;
}

/** Write settings as the query of `/predict`. */
export function queryOf(settings, runs) {
  const query = new URLSearchParams();
  if (runs.every((run) => run.task === "classification")) query.set("top_k", TOP_K);
  if (settings.coverage !== null) query.set("coverage", settings.coverage);
  if (settings.minAccuracy !== null) query.set("min_accuracy", settings.minAccuracy);
  if (settings.unknown) query.set("unknown", "true");
  if (settings.nearest) query.set("nearest", settings.nearest);
  return query.toString();
}

/** Fill the panel, keep it and the address in step, and tell of each change. */
export function settingsPanel(form, settings, can, changed) {
  const { coverage_on: coverageOn, coverage, accuracy_on: accuracyOn, accuracy, unknown } = form.elements;
  coverageOn.checked = settings.coverage !== null;
  coverage.value = tidy(100 * (settings.coverage ?? COVERAGE));
  accuracyOn.checked = settings.minAccuracy !== null;
  accuracy.value = tidy(100 * (settings.minAccuracy ?? MIN_ACCURACY));
  unknown.checked = settings.unknown;
  coverageOn.disabled = coverage.disabled = !can.coverage;
  accuracyOn.disabled = accuracy.disabled = !can.minAccuracy;
  unknown.disabled = !can.unknown;
  form.querySelector(".cannot").hidden = can.coverage && can.minAccuracy && can.unknown;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    if (event.target === coverage) coverageOn.checked = true;
    if (event.target === accuracy) accuracyOn.checked = true;
    if (!form.reportValidity()) return;
    settings.coverage = coverageOn.checked ? tidy(coverage.value / 100) : null;
    settings.minAccuracy = accuracyOn.checked ? tidy(accuracy.value / 100) : null;
    settings.unknown = unknown.checked;
    history.replaceState(null, "", addressOf(settings, can));
    changed();
  });
}

/** Say settings in a few words. */
export function settingsWords(settings, can) {
  const sets = settings.coverage === null ? "no answer sets" : `answer sets at ${tidy(100 * settings.coverage)} %`;
  const accuracy = settings.minAccuracy === null ? "" : `, answers at ${tidy(100 * settings.minAccuracy)} % accuracy`;
  const strangers = can.unknown ? `strangers ${settings.unknown ? "unknown" : "answered"}` : "strangers not told";
  return `${sets}${accuracy}, ${strangers}`;
}

function share(text) {
  const number = Number(text);
  return text !== null && number > 0 && number < 1 ? number : null;
}

function tidy(number) {
  return Number(number.toFixed(6));
}
