// The plane of the map: where points stand on the screen, and how they are drawn. A class has a colour and a shape.

const COLOURS = 6; // those of the report
const MARGIN = 0.05;

/** Shapes by number, drawn round (x, y) with a radius; 7 of them and 6 colours make 42 pairs. */
const SHAPES = [
  (path, x, y, r) => { path.moveTo(x + r, y); path.arc(x, y, r, 0, 2 * Math.PI); },
  (path, x, y, r) => path.rect(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r),
  (path, x, y, r) => polygon(path, [[x, y - 1.25 * r], [x + 1.15 * r, y + 0.85 * r], [x - 1.15 * r, y + 0.85 * r]]),
  (path, x, y, r) => polygon(path, [[x, y - 1.3 * r], [x + 1.3 * r, y], [x, y + 1.3 * r], [x - 1.3 * r, y]]),
  (path, x, y, r) => polygon(path, [[x, y + 1.25 * r], [x + 1.15 * r, y - 0.85 * r], [x - 1.15 * r, y - 0.85 * r]]),
  (path, x, y, r) => { path.rect(x - 1.2 * r, y - 0.4 * r, 2.4 * r, 0.8 * r); path.rect(x - 0.4 * r, y - 1.2 * r, 0.8 * r, 2.4 * r); },
  (path, x, y, r) => { path.rect(x - 1.2 * r, y - 0.55 * r, 2.4 * r, 1.1 * r); },
];

function polygon(path, corners) {
  corners.forEach(([x, y], row) => (row ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
}

/** Draw the shape of a class into a path. */
export const addShape = (path, number, x, y, r) => SHAPES[Math.max(0, number) % SHAPES.length](path, x, y, r);

/** The colour of a class, as the report has it now, in the light or in the dark; grey without one. */
export function colourOf(number) {
  const name = number < 0 ? "--none" : `--s${number % COLOURS}`;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** What of the map is on the screen: zoomed and moved. */
export class View {
  zoom = 1;
  left = 0;
  top = 0;

  /** Take the size of the canvas, in CSS pixels. */
  fit(width, height) {
    this.side = Math.min(width, height) * (1 - 2 * MARGIN);
    this.offset = [(width - this.side) / 2, (height - this.side) / 2];
  }

  reset() {
    [this.zoom, this.left, this.top] = [1, 0, 0];
  }

  toScreen(x, y) {
    return [this.offset[0] + this.left + x * this.side * this.zoom, this.offset[1] + this.top + y * this.side * this.zoom];
  }

  /** Zoom so that the point under (x, y) of the screen stays where it is. */
  zoomAt(x, y, factor) {
    const zoom = Math.max(0.8, Math.min(60, this.zoom * factor)), by = zoom / this.zoom;
    this.left = x - this.offset[0] - (x - this.offset[0] - this.left) * by;
    this.top = y - this.offset[1] - (y - this.offset[1] - this.top) * by;
    this.zoom = zoom;
  }

  move(x, y) {
    this.left += x;
    this.top += y;
  }
}

/** Tell whether (x, y) lies inside a closed line of corners, by the even-odd rule. */
export function isInside(corners, x, y) {
  let isIn = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i, i += 1) {
    const [xi, yi] = corners[i], [xj, yj] = corners[j];
    if ((yi > y) !== (yj > y) && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) isIn = !isIn;
  }
  return isIn;
}

/**
 * Draw all points, by class; rings round those where the network says another class, heavy lines round those selected.
 * @param {{x: number[], y: number[], labels: number[], proposals: number[], decided: number[]}} points
 */
export function drawPoints(context, view, points, selected, lit) {
  const { width, height } = context.canvas, ratio = devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width / ratio, height / ratio);
  const radius = Math.min(9, 3.2 * Math.sqrt(view.zoom)), paths = new Map(), rings = new Path2D(), chosen = new Path2D();
  for (let id = 0; id < points.x.length; id += 1) {
    const [x, y] = view.toScreen(points.x[id], points.y[id]);
    if (x < -20 || y < -20 || x > width / ratio + 20 || y > height / ratio + 20) continue;
    const label = points.labels[id];
    if (!paths.has(label)) paths.set(label, new Path2D());
    addShape(paths.get(label), label, x, y, radius);
    if (points.proposals[id] >= 0 && points.proposals[id] !== label && !points.decided[id]) addShape(rings, 0, x, y, radius + 3);
    if (selected.has(id)) addShape(chosen, 0, x, y, radius + 2);
  }
  for (const [label, path] of paths) {
    context.globalAlpha = lit === null || lit === label ? 0.85 : 0.12;
    context.fillStyle = colourOf(label);
    context.fill(path);
  }
  context.globalAlpha = 1;
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink");
  context.strokeStyle = ink;
  context.lineWidth = 1;
  context.stroke(rings);
  context.lineWidth = 3;
  context.stroke(chosen);
}
