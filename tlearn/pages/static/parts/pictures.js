// Pictures by id, fetched before they are needed and kept decoded, so that the next one is there when its key is pressed.

/** The address of a picture, at most so many pixels wide and high. */
export const addressOf = (id, sizePx) => `/image/${id}?size_px=${sizePx}`;

/** The latest pictures, decoded. */
export class PictureCache {
  /** @param {number} sizePx @param {number} most How many are kept. */
  constructor(sizePx, most = 48) {
    this.sizePx = sizePx;
    this.most = most;
    this.kept = new Map();
  }

  /** Return the image element of a picture; it may still be on its way (`isReady` tells). */
  get(id, priority = "high") {
    let image = this.kept.get(id);
    if (image === undefined) {
      image = new Image();
      image.decoding = "async";
      image.alt = "";
      image.draggable = false;
      image.fetchPriority = priority;
      image.src = addressOf(id, this.sizePx);
      image.decode().catch(() => {});
    }
    this.kept.delete(id);
    this.kept.set(id, image);
    if (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value);
    return image;
  }

  /** Fetch pictures that may be needed next, the first of them first. */
  prefetch(ids) {
    for (const id of ids) this.get(id, "auto");
  }

  isReady(id) {
    const image = this.kept.get(id);
    return image !== undefined && image.complete && image.naturalWidth > 0;
  }
}
