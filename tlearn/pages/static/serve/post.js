// Send pictures, and tell a refusal from a server that has ended.

import { ServerEnded } from "/static/common.js";

const TRIES = 30;
const LONGEST_WAIT_S = 5;

/** What the server refuses, in its one line. */
export class Refusal extends Error {
  constructor(line, status) {
    super(line);
    this.status = status;
  }
}

/** Send a form; a busy server is asked again. Returns the answer, whose status is good. */
export async function post(path, form, signal) {
  for (let left = TRIES; ; left -= 1) {
    const answer = await sent(path, { method: "POST", body: form, signal });
    if (answer.ok) return answer;
    const isBusy = answer.status === 503 || answer.status === 429;
    if (!isBusy || left <= 1) throw new Refusal(await lineOf(answer), answer.status);
    await wait(Math.min(Number(answer.headers.get("retry-after")) || 1, LONGEST_WAIT_S), signal);
  }
}

async function sent(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerEnded("The server has ended, or cannot be reached.");
  }
}

async function lineOf(answer) {
  const content = await answer.json().catch(() => ({}));
  return content.error || `the server answered ${answer.status}`;
}

function wait(time_s, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * time_s);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
