// Numbers and codes of an answer, as people read them. Nothing of the page.

/** Write a share that was chosen as percent: "98 %", "99.5 %". */
export function percent(share) {
  return `${Number((100 * share).toFixed(2))} %`;
}

/** Turn a share into "90 of 100"; finer shares into "of 1,000". */
export function outOf(share) {
  const hundredth = 100 * share;
  if (Math.abs(hundredth - Math.round(hundredth)) < 1e-9) return `${Math.round(hundredth)} of 100`;
  return `${Math.round(1000 * share)} of 1,000`;
}

/** Say what a probability means: it was measured on held-out pictures, if there were any, and of strangers it is not. */
export function probabilityWords(probability, { isMeasured, isStranger }) {
  if (!isMeasured) return "how often such an answer is right, this run could not measure";
  if (isStranger) return "how often such an answer is right was not measured on pictures like this one";
  const right = Math.round(100 * probability);
  if (right >= 100) return "of 100 answers as sure as this, nearly all are right";
  return `of 100 answers as sure as this, about ${right} ${right === 1 ? "is" : "are"} right`;
}

/** Say what a set of answers promises: nothing of strangers; of several labels each by itself. */
export function setWords(names, coverage, { isStranger, areSeveral }) {
  if (isStranger) return `Answer set, of which nothing is promised here: ${names.length ? "" : "empty."}`;
  if (areSeveral) return `${names.length ? "These may hold" : "None may hold"}: each class by itself is told rightly in ${outOf(coverage)} pictures.`;
  if (!names.length) return `No class is likely enough to be among the answers that hold in ${outOf(coverage)} pictures.`;
  return `${names.length === 1 ? "This one" : "One of these"}, in ${outOf(coverage)} pictures:`;
}

/** Say why there is no answer. `codes` is a list, or one text with `;`. */
export function whyWords(codes, settings) {
  const each = Array.isArray(codes) ? codes : String(codes || "").split(";").filter(Boolean);
  const known = {
    confidence: settings.minAccuracy
      ? `less sure than ${percent(settings.minAccuracy)} accuracy needs` : "less sure than the accuracy asked for needs",
    stranger: "like none of the training pictures",
  };
  const words = each.map((code) => known[code] || code).join(", and ");
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** Say how strange a picture looks: `share` of held-out pictures look less strange. */
export function strangerWords(share, isStranger) {
  const of = Math.round(100 * share);
  if (isStranger) return `A stranger: it looks stranger than ${of} of 100 held-out pictures.`;
  return `No stranger: it looks stranger than ${of} of 100 held-out pictures.`;
}

/** Write a number of a regression. */
export function valueWords(value) {
  return Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3) ? value.toExponential(3) : String(+value.toPrecision(5));
}
