// All answers as a table, with the columns of `tlearn predict`. Nothing of the page.

// What a spreadsheet would run as a formula; the last four are the wide forms of East Asia. As tlearn/base/files.py has it.
const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/** Write a table of rows of cells: numbers with six decimals, texts never a formula. */
export function csvOf(rows) {
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** Make the rows, the header first, of answers of several runs: `[{name, error, answers: {run: answer}}]`. */
export function rowsOf(items, runs, settings) {
  const several = runs.length > 1, hasRemarks = items.some((item) => runs.some((run) => item.answers[run.name]?.remark));
  const columns = columnsOf(items, runs, settings);
  const header = ["path", ...(several ? ["run"] : []), ...columns.map(([name]) => name), "error", ...(hasRemarks ? ["remark"] : [])];
  const rows = items.flatMap((item) => runs.map((run) => {
    const answer = item.answers[run.name];
    const cells = columns.map(([, of]) => (answer ? of(answer, run) : ""));
    const remark = hasRemarks ? [answer?.remark || ""] : [];
    return [item.name, ...(several ? [run.name] : []), ...cells, answer ? "" : item.error || "not answered", ...remark];
  }));
  return [header, ...rows];
}

function columnsOf(items, runs, settings) {
  const answers = items.flatMap((item) => Object.values(item.answers));
  const columns = [];
  if (runs.some((run) => run.task === "regression")) columns.push(...valueColumns(runs));
  if (runs.some((run) => run.task === "multilabel")) {
    columns.push(["classes", (answer) => (answer.classes || []).join(";")]);
    for (const name of new Set(runs.flatMap((run) => run.classNames))) columns.push([`p_${name}`, (answer) => shareOf(answer, name)]);
  }
  if (runs.some((run) => run.task === "classification")) {
    const most = Math.max(0, ...answers.map((answer) => answer.probabilities?.length || 0));
    for (let place = 0; place < most; place += 1) {
      const tail = place ? `_${place + 1}` : "";
      columns.push([`class${tail}`, (answer) => (place ? answer.probabilities[place]?.class : answer.class) ?? ""]);
      columns.push([`probability${tail}`, (answer) => answer.probabilities[place]?.probability ?? ""]);
    }
  }
  return [...columns, ...worthColumns(runs, answers, settings)];
}

function worthColumns(runs, answers, settings) {
  const columns = [];
  const classifies = runs.some((run) => run.task !== "regression");
  if (settings.coverage !== null && classifies) columns.push(["set", (answer) => (answer.set || []).join(";")]);
  if (settings.coverage !== null && runs.some((run) => run.task === "regression")) columns.push(...intervalColumns(runs));
  if (answers.some((answer) => typeof answer.stranger === "number")) columns.push(["stranger", (answer) => answer.stranger ?? ""]);
  for (let place = 0; place < settings.nearest; place += 1) {
    const of = (key) => (answer) => answer.nearest?.[place]?.[key] ?? "";
    const start = `nearest_${place + 1}`;
    columns.push([start, of("name")], [`${start}_label`, of("label")], [`${start}_distance`, of("distance")]);
  }
  if (settings.minAccuracy === null && !settings.unknown) return columns;
  columns.push(["why_unknown", (answer) => [answer.why_unknown || []].flat().join(";")]);
  if (runs.some((run) => run.task === "multilabel")) columns.push(["unknown_classes", (answer) => (answer.unknown_classes || []).join(";")]);
  if (runs.some((run) => run.task === "classification")) columns.push(["surest_class", (answer) => answer.probabilities?.[0]?.class ?? ""]);
  return columns;
}

function valueColumns(runs) {
  const names = runs.find((run) => run.task === "regression").classNames;
  if (!names.length) return [["value", (answer) => answer.value ?? ""]];
  return names.map((name) => [`value_${name}`, (answer) => (answer.unknown ? "" : answer.values?.[name] ?? "")]);
}

function intervalColumns(runs) {
  const names = runs.find((run) => run.task === "regression").classNames;
  const end = (key, name) => (answer) => (answer.unknown ? "" : (name ? answer.intervals?.[name] : answer)?.[key] ?? "");
  if (!names.length) return [["value_low", end("low")], ["value_high", end("high")]];
  return names.flatMap((name) => [[`value_${name}_low`, end("low", name)], [`value_${name}_high`, end("high", name)]]);
}

function shareOf(answer, name) {
  return answer.probabilities?.find((each) => each.class === name)?.probability ?? "";
}

function cell(value) {
  if (typeof value === "number") return sixDecimals(value);
  const text = FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Round a half to the even digit, as Python does and `toFixed` does not. */
function sixDecimals(number) {
  const halves = number * 128;
  if (!Number.isInteger(halves) || halves % 2 === 0) return number.toFixed(6);
  const digits = number.toFixed(7), isEven = Number(digits.at(-2)) % 2 === 0;
  return isEven ? digits.slice(0, -1) : number.toFixed(6);
}
