// Where a network looked: Grad-CAM laid over the picture, for any of the surest classes.

import { element } from "/static/common.js";
import { showBlob } from "./picture.js";
import { post } from "./post.js";

const STRENGTH = 60; // percent at first: the picture is still seen

/**
 * Make the controls, and lay the map over the picture's frame. `explained` is `[{run, class, text}]`, the first of which
 * is shown at once; `done` is called when the controls are closed.
 */
export function attention(file, frame, explained, done) {
  const heat = element("img", { class: "heat", alt: "" });
  const said = element("span", { class: "quiet", role: "status" });
  const choice = element("select", { "aria-label": "Which answer is explained" });
  explained.forEach((each, number) => choice.append(element("option", { value: number }, each.text)));
  const strength = element("input", { type: "range", min: 0, max: 100, value: STRENGTH, "aria-label": "Strength of the overlay in percent" });
  const fade = () => { heat.style.opacity = strength.value / 100; };
  let asked = new AbortController();

  async function look() {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked, each = explained[choice.value];
    said.textContent = "Working it out ...";
    heat.hidden = true;
    try {
      const blob = await mapOf(file, each, signal);
      if (signal.aborted) return;
      showBlob(heat, blob);
      heat.alt = `Where the network looked for ${each.text}`;
      heat.hidden = false;
      said.textContent = "Bright parts speak for this class. A rim without colour was cut off: the network does not see it.";
    } catch (error) {
      if (error.name !== "AbortError") said.textContent = error.message;
    }
  }

  function close() {
    asked.abort();
    frame.classList.remove("explained");
    heat.remove();
    panel.remove();
    done();
  }

  const panel = element("div", { class: "attention", role: "group", "aria-label": "Where the network looked" },
    choice, strength, element("button", { type: "button", onclick: close }, "Hide"), said);
  choice.addEventListener("change", look);
  strength.addEventListener("input", fade);
  frame.append(heat);
  frame.classList.add("explained");
  fade();
  look();
  return { panel, close };
}

async function mapOf(file, each, signal) {
  const form = new FormData();
  form.append("picture", file, file.name);
  const query = new URLSearchParams({ run: each.run });
  if (each.class !== null) query.set("class", each.class);
  return (await post(`/grad_cam?${query}`, form, signal)).blob();
}
