// A small copy of a picture for its card: a photograph of 12 million pixels would take 48 MB of memory on the page.

import { post } from "./post.js";

const SIDE_PX = 640;
let turn = Promise.resolve(); // one after the other: decoding many photographs at once fills a phone's memory

/** Show a picture in an `<img>`, upright; `failed` is called where neither browser nor server can show it. */
export function show(file, image, failed) {
  turn = turn.then(async () => {
    try {
      showBlob(image, await smallCopy(file).catch(() => previewOf(file)));
    } catch {
      failed();
    }
  });
}

/** Show bytes, whose memory is free again when they are drawn. */
export function showBlob(image, blob) {
  const address = URL.createObjectURL(blob);
  const free = () => URL.revokeObjectURL(address);
  image.addEventListener("load", free, { once: true });
  image.addEventListener("error", free, { once: true });
  image.src = address;
}

async function smallCopy(file) {
  const whole = await createImageBitmap(file);
  const scale = Math.min(1, SIDE_PX / Math.max(whole.width, whole.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * whole.width));
  canvas.height = Math.max(1, Math.round(scale * whole.height));
  const drawing = canvas.getContext("2d");
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 0.9));
  if (!blob) throw new Error("the browser cannot write the picture");
  return blob;
}

/** Ask the server for what the browser cannot read, such as HEIC and TIFF. */
async function previewOf(file) {
  const answer = await post("/preview", file);
  if (answer.status === 204) throw new Error("the file gives no picture");
  return answer.blob();
}
