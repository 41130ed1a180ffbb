// Numbers in words, as the terminal and the report write them.

/** 0.9321 -> "93.2 %". */
export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** A probability without false certainty: never "100 %" nor "0 %". */
export function probability(value) {
  if (value > 0.995) return "> 99 %";
  if (value < 0.005) return "< 1 %";
  return percent(value, 0);
}

/** 12000 -> "12,000". */
export const number = (count) => count.toLocaleString("en");

/** 1, "picture" -> "1 picture"; 2 -> "2 pictures". */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
