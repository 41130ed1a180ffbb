// Copy buttons at commands, and pictures that open large. Without this script the page says and shows the same.
(() => {
  "use strict";
  const make = (tag, words) => Object.assign(document.createElement(tag), { type: "button", ...words });

  const copied = async (code) => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch {
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
  };
  for (const code of document.querySelectorAll(".command code")) {
    const button = make("button", { className: "copy", textContent: "Copy" });
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      button.textContent = (await copied(code)) ? "Copied" : "Selected: press Ctrl-C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    code.closest(".command").append(button);
  }

  const pictures = [...document.querySelectorAll(".shot img")];
  const view = document.createElement("dialog");
  const large = document.createElement("img");
  const words = document.createElement("p");
  const close = make("button", { textContent: "Close" });
  let at = 0;
  const show = (number) => {
    at = (number + pictures.length) % pictures.length;
    view.prepend(large);
    large.src = pictures[at].src;
    large.alt = words.textContent = pictures[at].alt;
  };
  view.className = "view";
  view.setAttribute("aria-label", "Picture, enlarged; the arrow keys show the others");
  view.append(words, close);
  document.body.append(view);
  close.addEventListener("click", () => view.close());
  view.addEventListener("click", (event) => { if (event.target === view) view.close(); });
  view.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(at + step);
  });
  pictures.forEach((picture, number) => {
    const button = make("button", { className: "open" });
    button.setAttribute("aria-label", `Enlarge: ${picture.alt}`);
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => { show(number); view.showModal(); });
  });
})();
