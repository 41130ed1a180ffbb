// What was decided goes to the server in its order, and is kept while no answer comes, also over a reload.
import { ask, ServerEnded } from "/static/common.js";

const AGAIN_MS = 1500;

/** The way of decisions to the server, one after the other. */
export class Outbox {
  /**
   * @param {string} key Under which what waits is kept in this tab.
   * @param {{onsent: (content: any, message: any) => void, onrefused: (error: Error, message: any) => void,
   *   onwaiting: (count: number, isGone: boolean) => void}} told What happens: the server's answer came; it refused in
   *   one line (the message is dropped); the number of those that wait, and whether the server is gone.
   */
  constructor(key, told) {
    this.key = key;
    this.told = told;
    this.waiting = JSON.parse(sessionStorage.getItem(key) ?? "[]");
    this.isBusy = false;
    addEventListener("beforeunload", (event) => { if (this.waiting.length && this.isGone) event.preventDefault(); });
    if (this.waiting.length) this.#send();
  }

  isGone = false;

  /** Send a body to a path by POST, after all that was put in before. */
  put(path, body) {
    this.waiting.push({ path, body });
    this.#keep();
    this.#send();
  }

  #keep() {
    sessionStorage.setItem(this.key, JSON.stringify(this.waiting));
  }

  async #send() {
    if (this.isBusy) return;
    this.isBusy = true;
    while (this.waiting.length) {
      const message = this.waiting[0];
      let content, fault = null;
      try {
        content = await ask(message.path, message.body);
        this.isGone = false;
      } catch (error) {
        if (error instanceof ServerEnded) {
          this.isGone = true;
          this.told.onwaiting(this.waiting.length, true);
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
          continue;
        }
        fault = error;
      }
      this.#done(); // once for each message, whatever those who are told do
      try {
        if (fault) this.told.onrefused(fault, message);
        else this.told.onsent(content, message);
      } catch (error) {
        reportError(error); // the others are sent all the same
      }
    }
    this.isBusy = false;
    this.told.onwaiting(0, false);
  }

  #done() {
    this.waiting.shift();
    this.#keep();
  }
}
