"use strict";
// The page, written by hand: no build, no libraries. From top to bottom: asking the server, tiles,
// masks and their history, the canvas, the views, and the frame around them.

// ---------------------------------------------------------------- asking the server

class Refused extends Error {
  constructor(status, message, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The page's server does not answer. Does it still run, and the ssh line with it?");
  }
  if (!response.ok) {
    const text = await response.text();
    let body = {};
    try { body = JSON.parse(text); } catch { body = { error: text }; }
    throw new Refused(response.status, body.error || `The server answered ${response.status}.`, body);
  }
  return response;
}

const getJson = async (path, options) => (await ask(path, options)).json();
const postJson = (path, body = {}) => getJson(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// ---------------------------------------------------------------- small things

const byId = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

function notify(text, kind = "") {
  const notice = make("div", { class: `notice ${kind}` }, text);
  byId("notices").append(notice);
  setTimeout(() => notice.remove(), kind === "error" ? 9000 : 4000);
}

const complain = (error) => { if (error.name !== "AbortError") notify(error.message, "error"); };

function confirmed(text, yes) {
  const dialog = byId("question");
  byId("question-text").textContent = text;
  byId("question-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  const question = confirmed.asked = (confirmed.asked || 0) + 1;
  return new Promise((resolve) => {
    // A browser may tell of a closing only with its next frame: by then the next question may be open.
    const answer = () => {
      const isLast = question === confirmed.asked;
      if (isLast && dialog.open) return;
      dialog.removeEventListener("close", answer);
      resolve(isLast && dialog.returnValue === "yes");
    };
    dialog.addEventListener("close", answer);
  });
}

function segments(label, names, chosen, choose) {
  const group = make("div", { class: "segments", role: "group", "aria-label": label });
  group.set = (value) => {
    for (const button of group.children) {
      button.setAttribute("aria-pressed", String(button.dataset.value === value));
    }
  };
  for (const [value, text] of names) {
    group.append(make("button", {
      type: "button", "data-value": value, onclick: () => { group.set(value); choose(value); },
    }, text));
  }
  group.set(chosen);
  return group;
}

const megapixels = (width, height) => `${(width * height / 1e6).toFixed(1)} MP`;

function bytes(count) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${unit ? count.toFixed(1) : count} ${units[unit]}`;
}

// ---------------------------------------------------------------- tiles

// A picture of the photo's size in tiles of its pyramid: the photo, a result, or a mask.
class Tiles {
  static MAX = 400;

  constructor(address, photo, changed) {
    this.address = address;
    this.photo = photo;
    this.changed = changed;
    this.loaded = new Map();
    this.stopped = new AbortController();
  }

  levelFor(scale) {
    return clamp(Math.floor(Math.log2(1 / scale) + 0.1), 0, this.photo.levels - 1);
  }

  // the tiles of a level that a part of the photo [x0, y0, x1, y1] needs
  *needed(level, [x0, y0, x1, y1]) {
    const { width, height, tile } = this.photo;
    const columns = Math.ceil(width / 2 ** level), rows = Math.ceil(height / 2 ** level);
    const [sx, sy] = [width / columns, height / rows];
    const first = (from, step) => Math.max(0, Math.floor(from / step / tile));
    const last = (to, step, count) => Math.min(Math.ceil(count / tile) - 1, Math.floor(to / step / tile));
    for (let row = first(y0, sy); row <= last(y1, sy, rows); row += 1) {
      for (let column = first(x0, sx); column <= last(x1, sx, columns); column += 1) {
        yield { key: `${level}/${column}/${row}`, x: column * tile * sx, y: row * tile * sy, sx, sy };
      }
    }
  }

  get(key) {
    const there = this.loaded.get(key);
    if (there !== undefined) {
      this.loaded.delete(key);
      this.loaded.set(key, there);
      return there;
    }
    this.loaded.set(key, null);
    this.load(key);
    return null;
  }

  async load(key) {
    try {
      const response = await ask(`${this.address}/tiles/${key}`, { signal: this.stopped.signal });
      this.loaded.set(key, await createImageBitmap(await response.blob()));
    } catch (error) {
      this.loaded.delete(key);
      if (error.name === "AbortError") return;
      if (error.status !== 404) complain(error);
      this.loaded.set(key, null);
      return;
    }
    for (const old of this.loaded.keys()) {
      if (this.loaded.size <= Tiles.MAX) break;
      this.loaded.get(old)?.close();
      this.loaded.delete(old);
    }
    this.changed();
  }

  isReady(scale, part) {
    const needed = [...this.needed(this.levelFor(scale), part)];
    return needed.map(({ key }) => this.get(key)).every(Boolean);
  }

  draw(context, scale, part) {
    const level = this.levelFor(scale), top = this.photo.levels - 1;
    const needed = [...this.needed(level, part)];
    const bitmaps = needed.map(({ key }) => this.get(key));
    if (bitmaps.every(Boolean) || level === top) {
      this.paint(context, needed, bitmaps);
    } else { // meanwhile the whole of it, coarse
      const coarse = [...this.needed(top, part)];
      this.paint(context, coarse, coarse.map(({ key }) => this.get(key)));
      this.paint(context, needed, bitmaps);
    }
  }

  paint(context, places, bitmaps) {
    context.imageSmoothingEnabled = context.getTransform().a < 3;
    context.imageSmoothingQuality = "high";
    places.forEach(({ x, y, sx, sy }, index) => {
      const bitmap = bitmaps[index];
      if (bitmap) context.drawImage(bitmap, x, y, bitmap.width * sx, bitmap.height * sy);
    });
  }

  close() {
    this.stopped.abort();
    for (const bitmap of this.loaded.values()) bitmap?.close();
    this.loaded.clear();
  }
}

// ---------------------------------------------------------------- masks and their history

const EMPTY_EDIT = Object.freeze({
  selected: [], shape: "dilate", dilation: null, strokes: [], growth: 0, upload: "",
});

// Every state of a mask that a person went through; a change forgets what had been taken back.
class History {
  constructor(edit) {
    this.states = [edit];
    this.position = 0;
    this.changed = () => {};
  }

  get edit() { return this.states[this.position]; }
  get canUndo() { return this.position > 0; }
  get canRedo() { return this.position < this.states.length - 1; }

  change(changes) {
    this.states.length = this.position + 1;
    this.states.push(Object.freeze({ ...this.edit, ...changes }));
    this.position += 1;
    this.changed();
  }

  go(by) {
    const position = clamp(this.position + by, 0, this.states.length - 1);
    if (position === this.position) return;
    this.position = position;
    this.changed();
  }
}

// The mask as the server makes it of an edit, and what was drawn since the one that is shown.
class MaskLayer {
  constructor(viewer, address) {
    this.viewer = viewer;
    this.address = address;
    this.shown = null; // { id, edit, tiles, area }
    this.coming = null;
    this.wanted = null;
    this.working = null;
  }

  get area() { return (this.coming || this.shown)?.area ?? 0; }

  // Bring the mask up to an edit; one request at a time, always for the newest edit.
  update(edit) {
    this.wanted = edit;
    this.working ??= this.work().finally(() => { this.working = null; });
    return this.working;
  }

  async work() {
    while (this.wanted) {
      const edit = this.wanted;
      this.wanted = null;
      try {
        const made = await postJson(`${this.address}/masks`, edit);
        this.coming?.tiles.close();
        const tiles = new Tiles(`${this.address}/masks/${made.mask}`, this.viewer.photo, () => this.viewer.redraw());
        this.coming = { id: made.mask, edit, area: made.area, tiles };
        this.viewer.masked(this.coming);
      } catch (error) {
        complain(error);
      }
      this.viewer.redraw();
    }
  }

  // strokes that the shown mask does not hold yet
  pending(edit) {
    const held = this.shown ? this.shown.edit.strokes : [];
    const goesOn = held.every((stroke, index) => edit.strokes[index] === stroke);
    return goesOn ? edit.strokes.slice(held.length) : [];
  }

  draw(context, scale, part, edit, current) {
    if (this.coming && (this.coming.area === 0 || this.coming.tiles.isReady(scale, part))) {
      this.shown?.tiles.close();
      [this.shown, this.coming] = [this.coming, null];
    }
    if (this.shown && this.shown.area) this.shown.tiles.draw(context, scale, part);
    for (const stroke of [...this.pending(edit), ...(current ? [current] : [])]) {
      drawStroke(context, stroke);
    }
  }

  close() {
    this.shown?.tiles.close();
    this.coming?.tiles.close();
  }
}

function drawStroke(context, { kind, erases, points, radius }) {
  context.save();
  context.globalCompositeOperation = erases ? "destination-out" : "source-over";
  context.fillStyle = context.strokeStyle = "rgb(255 45 85)";
  context.beginPath();
  if (kind === "rectangle") {
    const [x0, y0] = points, [x1, y1] = points.slice(-2);
    context.rect(Math.round(Math.min(x0, x1)), Math.round(Math.min(y0, y1)),
      Math.round(Math.abs(x1 - x0)), Math.round(Math.abs(y1 - y0)));
    context.fill();
  } else {
    for (let i = 0; i < points.length; i += 2) context.lineTo(points[i], points[i + 1]);
    if (kind === "lasso") {
      context.fill();
    } else {
      context.lineWidth = 2 * radius;
      context.lineCap = context.lineJoin = "round";
      if (points.length === 2) context.lineTo(points[0], points[1] + 0.01);
      context.stroke();
    }
  }
  context.restore();
}

// ---------------------------------------------------------------- objects under the pointer

class Objects {
  constructor(found, photo) {
    this.photo = photo;
    this.all = found.map((object, index) => {
      const path = new Path2D();
      for (const outline of object.outlines) {
        for (let i = 0; i < outline.length; i += 2) path.lineTo(outline[i], outline[i + 1]);
        path.closePath();
      }
      return { ...object, index, path };
    });
    this.minScore = 0.5;
    this.probe = document.createElement("canvas").getContext("2d");
  }

  get seen() { return this.all.filter((object) => object.score >= this.minScore); }

  // the object that a click at (x, y) would mean, by the rules of --click; the server has the word
  at(x, y) {
    const inside = this.seen.filter((object) => this.probe.isPointInPath(object.path, x, y));
    const smallest = (objects, size) => objects.reduce((a, b) => (a && size(a) <= size(b) ? a : b), null);
    if (inside.length) return smallest(inside, (object) => object.area);
    const boxed = this.seen.filter(({ box: [x0, y0, x1, y1] }) => x0 <= x && x < x1 && y0 <= y && y < y1);
    if (boxed.length) return smallest(boxed, ({ box: [x0, y0, x1, y1] }) => (x1 - x0) * (y1 - y0));
    const tolerance = 0.02 * Math.max(this.photo.width, this.photo.height);
    const nearest = smallest(this.seen, (object) => distanceTo(object, x, y));
    return nearest && distanceTo(nearest, x, y) <= tolerance ? nearest : null;
  }
}

function distanceTo(object, x, y) {
  let least = Infinity;
  for (const points of object.outlines) {
    for (let i = 0; i < points.length; i += 2) {
      const [ax, ay] = [points[i], points[i + 1]];
      const j = (i + 2) % points.length;
      const [dx, dy] = [points[j] - ax, points[j + 1] - ay];
      const along = clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0, 1);
      least = Math.min(least, Math.hypot(ax + along * dx - x, ay + along * dy - y));
    }
  }
  return least;
}

// ---------------------------------------------------------------- the canvas

const TOOLS = [
  ["objects", "Select objects", "V", "M5 3l13 9-6 1.500L8.500 19z"],
  ["brush", "Brush", "B", "M14 5l5 5-8 8c-1.500 1.500-5 2-7 2 .500-2 .500-5.500 2-7z"],
  ["eraser", "Eraser", "E", "M9 20h11M4.500 14.500l9-9 6 6-8.500 8.500H8z"],
  ["rectangle", "Rectangle", "R", "M4 6h16v12H4z"],
  ["lasso", "Lasso", "L", "M12 4c5 0 8.500 2.200 8.500 5.500S17 15 12 15 3.500 12.800 3.500 9.500 7 4 12 4zM7 14c-2 2-1.500 5 1 6"],
  ["hand", "Move the photo", "H", "M7 12V6.500a1.500 1.500 0 013 0V5a1.500 1.500 0 013 0v1.500a1.500 1.500 0 013 0V9a1.500 1.500 0 013 0v5c0 4-2.500 7-6 7-3 0-4.500-1.500-6-4l-2.500-4.500c-.500-1.500 1.500-2 2.500-.500z"],
];

// Shows a photo, its results and its mask, on one canvas, at any zoom, in one pane or two in step.
class Viewer {
  constructor(stage, canvas, photo, address) {
    Object.assign(this, { stage, canvas, photo, address });
    this.context = canvas.getContext("2d");
    this.overlay = document.createElement("canvas").getContext("2d");
    this.tiles = new Map([["photo", new Tiles(`api/photos/${photo.id}`, photo, () => this.redraw())]]);
    this.mask = new MaskLayer(this, address);
    this.masked = () => {};
    this.drawn = () => {};
    this.left = "photo";
    this.right = "photo";
    this.mode = "one"; // one, slider, side
    this.slider = 0.5;
    this.showsBefore = false;
    this.showsMask = true;
    this.edit = EMPTY_EDIT;
    this.stroke = null;
    this.objects = null;
    this.pointed = null;
    this.cursor = null;
    this.scale = 0;
    this.x = this.y = 0; // the photo's point in the middle of a pane
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(stage);
    this.resize();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.stage;
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.overlay.canvas.width = this.canvas.width;
    this.overlay.canvas.height = this.canvas.height;
    if (this.scale === 0 || this.isFitted) this.fit();
    this.redraw();
  }

  get panes() {
    const { width, height } = this.canvas;
    if (this.mode !== "side") return [{ left: 0, width, height }];
    const half = Math.floor(width / 2) - 1;
    return [{ left: 0, width: half, height }, { left: width - half, width: half, height }];
  }

  fit() {
    const [pane] = this.panes;
    const { width, height } = this.photo;
    this.scale = Math.min((pane.width - 24) / width, (pane.height - 24) / height, 16);
    this.scale = Math.max(this.scale, 1e-3);
    [this.x, this.y] = [width / 2, height / 2];
    this.isFitted = true;
    this.redraw();
  }

  zoom(factor, at = null) {
    const before = at && this.toPhoto(at);
    this.scale = clamp(this.scale * factor, 0.002, 64);
    if (at) {
      const after = this.toPhoto(at);
      this.x += before.x - after.x;
      this.y += before.y - after.y;
    }
    this.isFitted = false;
    this.keepInside();
    this.redraw();
  }

  zoomTo(scale) { this.zoom(scale / this.scale); }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.isFitted = false;
    this.keepInside();
    this.redraw();
  }

  keepInside() {
    this.x = clamp(this.x, 0, this.photo.width);
    this.y = clamp(this.y, 0, this.photo.height);
  }

  // canvas pixels of an event
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  paneAt(x) {
    const panes = this.panes;
    return panes.length === 2 && x >= panes[1].left ? panes[1] : panes[0];
  }

  toPhoto({ x, y }) {
    const pane = this.paneAt(x);
    return {
      x: (x - pane.left - pane.width / 2) / this.scale + this.x,
      y: (y - pane.height / 2) / this.scale + this.y,
    };
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
      this.drawn();
    });
  }

  source(name) {
    if (!this.tiles.has(name)) {
      this.tiles.set(name, new Tiles(`${this.address}/results/${name}`, this.photo, () => this.redraw()));
    }
    return this.tiles.get(name);
  }

  draw() {
    const { context, canvas } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const panes = this.panes;
    if (this.mode === "side") {
      this.drawPane(panes[0], this.left);
      this.drawPane(panes[1], this.right);
    } else if (this.mode === "slider") {
      const split = Math.round(this.slider * canvas.width);
      this.drawPane(panes[0], this.right, [split, canvas.width]);
      this.drawPane(panes[0], this.left, [0, split]);
      this.drawSlider(split);
    } else {
      this.drawPane(panes[0], this.showsBefore ? "photo" : this.right);
    }
  }

  drawPane(pane, name, clip = [pane.left, pane.left + pane.width]) {
    const { context, scale } = this;
    const { width, height } = this.photo;
    const [left, top] = [pane.left + pane.width / 2 - this.x * scale, pane.height / 2 - this.y * scale];
    const part = [
      clamp(-(left - pane.left) / scale, 0, width), clamp(-top / scale, 0, height),
      clamp((pane.left + pane.width - left) / scale, 0, width), clamp((pane.height - top) / scale, 0, height),
    ];
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    context.rect(clip[0], 0, clip[1] - clip[0], pane.height);
    context.clip();
    context.setTransform(scale, 0, 0, scale, left, top);
    context.beginPath();
    context.rect(0, 0, width, height);
    context.clip();
    this.source(name).draw(context, scale, part);
    if (this.seesMask(name)) this.drawMask(pane, scale, left, top, part);
    context.restore();
    if (!this.showsBefore) this.drawObjects(pane, clip, scale, left, top, name);
    this.drawCursor(pane, scale, left, top);
  }

  // On a result its own mask is not shown, only what was drawn since.
  seesMask(name) {
    if (!this.showsMask || this.showsBefore) return false;
    return name === "photo" || this.stroke !== null || this.resultEdit?.(name) !== this.edit;
  }

  drawMask(pane, scale, left, top, part) {
    const { overlay, context } = this;
    overlay.save();
    overlay.setTransform(1, 0, 0, 1, 0, 0);
    overlay.clearRect(0, 0, overlay.canvas.width, overlay.canvas.height);
    overlay.setTransform(scale, 0, 0, scale, left, top);
    this.mask.draw(overlay, scale, part, this.edit, this.stroke);
    overlay.restore();
    context.save();
    context.globalAlpha = 0.5;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(overlay.canvas, 0, 0);
    context.restore();
  }

  drawObjects(pane, clip, scale, left, top, name) {
    if (!this.objects) return;
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(clip[0], 0, clip[1] - clip[0], pane.height);
    context.clip();
    context.setTransform(scale, 0, 0, scale, left, top);
    const ratio = (window.devicePixelRatio || 1) / scale;
    const outline = (object, color, width) => {
      context.lineJoin = "round";
      context.lineWidth = (width + 2) * ratio;
      context.strokeStyle = "rgb(0 0 0 / 55%)";
      context.stroke(object.path);
      context.lineWidth = width * ratio;
      context.strokeStyle = color;
      context.stroke(object.path);
    };
    if (this.showsMask && name === "photo") {
      for (const index of this.edit.selected) {
        if (this.objects.all[index]) outline(this.objects.all[index], "#ff6b8d", 1.5);
      }
    }
    if (this.pointed) outline(this.pointed, "#ffffff", 2);
    context.restore();
  }

  drawCursor(pane, scale, left, top) {
    if (!this.cursor || this.cursor.radius === null) return;
    const { context } = this;
    const ratio = window.devicePixelRatio || 1;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    context.arc(left + this.cursor.x * scale, top + this.cursor.y * scale, Math.max(1, this.cursor.radius * scale), 0, 7);
    context.lineWidth = 3 * ratio;
    context.strokeStyle = "rgb(0 0 0 / 60%)";
    context.stroke();
    context.lineWidth = 1.2 * ratio;
    context.strokeStyle = "#fff";
    context.stroke();
    context.restore();
  }

  drawSlider(split) {
    const { context, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    context.save();
    context.fillStyle = "rgb(0 0 0 / 55%)";
    context.fillRect(split - 1.5 * ratio, 0, 3 * ratio, canvas.height);
    context.fillStyle = "#fff";
    context.fillRect(split - 0.5 * ratio, 0, ratio, canvas.height);
    context.beginPath();
    context.arc(split, canvas.height / 2, 13 * ratio, 0, 7);
    context.fill();
    context.strokeStyle = "#333";
    context.lineWidth = 1.6 * ratio;
    context.beginPath();
    for (const side of [-1, 1]) {
      context.moveTo(split + side * 3 * ratio, canvas.height / 2 - 4 * ratio);
      context.lineTo(split + side * 7 * ratio, canvas.height / 2);
      context.lineTo(split + side * 3 * ratio, canvas.height / 2 + 4 * ratio);
    }
    context.stroke();
    context.restore();
  }

  close() {
    this.resizing.disconnect();
    for (const tiles of this.tiles.values()) tiles.close();
    this.mask.close();
  }
}

// ---------------------------------------------------------------- one photo

const SHAPES = [["exact", "Exact"], ["dilate", "Dilate"], ["hull", "Hull"], ["box", "Box"]];
const DETAILS = [["patches", "Patches"], ["blended", "Blended"], ["none", "None"]];
// What stays as it is from one photo to the next.
const KEPT = {
  tool: "objects", radius: 0, radiusShare: 1 / 60, detail: "patches", weights: 0, upload: "",
  showsMask: true, mode: "one",
};

class PhotoView {
  constructor(main, thing, photo) {
    this.thing = thing;
    this.photo = photo;
    this.address = `api/photos/${photo.id}`;
    this.results = photo.results.filter((result) => result.state !== "failed");
    this.shown = "photo";
    this.closed = false;
    this.touches = new Map();
    this.build(main);
    this.viewer = new Viewer(this.stage, this.canvas, photo, this.address);
    this.viewer.resultEdit = (name) => this.editsOfResults.get(name);
    this.viewer.masked = () => this.showArea();
    this.viewer.drawn = () => this.showZoom();
    this.viewer.showsMask = KEPT.showsMask;
    const remembered = PhotoView.remembered.get(photo.id);
    this.editsOfResults = remembered?.editsOfResults ?? new Map();
    KEPT.radius = Math.max(1, Math.round(Math.max(photo.width, photo.height) * KEPT.radiusShare));
    const carried = KEPT.upload && KEPT.uploadSize === `${photo.width}x${photo.height}`;
    const { shape, dilation } = photo.choices ?? EMPTY_EDIT;
    const first = { ...EMPTY_EDIT, shape, dilation, upload: carried ? KEPT.upload : "" };
    this.history = remembered?.history ?? new History(Object.freeze(first));
    this.history.changed = () => this.edited();
    this.useTool(KEPT.tool);
    this.edited();
    this.useMode(KEPT.mode);
    if (photo.row && this.results.length) this.show(this.results[0].result);
    else this.showResults();
    this.showRadius();
    this.showZoom();
    this.findObjects();
    for (const result of this.results) if (result.state !== "done") this.follow(result);
  }

  // ---- what is on the screen

  build(main) {
    const { photo } = this;
    this.canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": `${photo.name}, ${photo.width} by ${photo.height} pixels` });
    this.label = make("div", { class: "label", hidden: true });
    this.views = segments("How results are shown", [["one", "After"], ["slider", "Slider"], ["side", "Side by side"]], "one", (mode) => this.useMode(mode));
    this.views.classList.add("views");
    this.sideLeft = make("select", { "aria-label": "Shown on the left", onchange: (event) => this.useSides(event.target.value, this.viewer.right) });
    this.sideRight = make("select", { "aria-label": "Shown on the right", onchange: (event) => this.useSides(this.viewer.left, event.target.value) });
    this.sides = make("div", { class: "sides", hidden: true }, this.sideLeft, this.sideRight);
    this.stage = make("div", { class: "stage" }, this.canvas, this.label, this.views, this.sides);
    this.place = make("output", { "aria-label": "Pointer" });
    this.zoomed = make("output", { "aria-label": "Zoom" });
    this.covers = make("output", { "aria-label": "Mask" });
    const kind = [photo.format, photo.mode, bytes(photo.bytes)].filter(Boolean).join(", ");
    const status = make("footer", { class: "status" },
      make("span", {}, `${photo.width} × ${photo.height}, ${megapixels(photo.width, photo.height)}, ${kind}`),
      this.zoomed, this.place, this.covers);
    const view = make("div", { class: "photo-view" },
      make("h1", { class: "unseen" }, photo.name), this.strip(), this.rail(), this.stage, status, this.panel());
    main.replaceChildren(view);
    this.listen();
  }

  strip() {
    const strip = make("nav", { class: "strip", "aria-label": "Photos", hidden: this.thing.kind !== "photos" });
    if (this.thing.kind === "photos" && frame.state.saves) {
      strip.append(make("button", { type: "button", class: "plain", onclick: () => eraseAll(this.thing, this.history.edit) }, "Erase all …"));
    }
    if (this.thing.kind === "photos") this.photos = new Strip(strip, this.thing, this.photo.id);
    return strip;
  }

  rail() {
    const rail = make("div", { class: "rail", role: "toolbar", "aria-label": "Tools", "aria-orientation": "vertical" });
    this.toolButtons = new Map();
    for (const [tool, title, key, path] of TOOLS) {
      const button = make("button", { type: "button", title: `${title} (${key})`, "aria-label": title, onclick: () => this.useTool(tool) }, icon(path));
      this.toolButtons.set(tool, button);
      rail.append(button);
    }
    const button = (title, path, act) => make("button", { type: "button", title, "aria-label": title.replace(/ \(.*/, ""), onclick: act }, icon(path));
    this.undoButton = button("Undo (Ctrl+Z)", "M9 7L4.500 11.500 9 16M5 11.500h9a5 5 0 010 10h-3", () => this.history.go(-1));
    this.redoButton = button("Redo (Ctrl+Shift+Z)", "M15 7l4.500 4.500L15 16M19 11.500h-9a5 5 0 000 10h3", () => this.history.go(1));
    rail.append(make("hr"), this.undoButton, this.redoButton, make("hr"),
      button("Zoom in (+)", "M11 5a6 6 0 100 12 6 6 0 000-12zM15.500 15.500L20 20M8.500 11h5M11 8.500v5", () => this.viewer.zoom(1.5)),
      button("Zoom out (-)", "M11 5a6 6 0 100 12 6 6 0 000-12zM15.500 15.500L20 20M8.500 11h5", () => this.viewer.zoom(1 / 1.5)),
      button("Whole photo (0)", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5", () => this.viewer.fit()));
    return rail;
  }

  panel() {
    return make("aside", { class: "panel", "aria-label": "Mask and result" },
      this.photo.row ? this.reviewSection() : null, this.objectsSection(), this.maskSection(), this.eraseSection(), this.resultsSection());
  }

  reviewSection() {
    this.rowState = make("p", {});
    this.marks = segments("Mark", [["accepted", "Accept"], ["rejected", "Reject"], ["", "None"]], "", (word) => this.mark(word));
    const by = (step, text) => make("button", { type: "button", class: "plain", onclick: () => this.go(step) }, text);
    this.showRow();
    return make("section", {},
      make("div", { class: "row" }, make("h3", {}, "Review"), make("a", { href: `#out/${this.thing.id}` }, "All photos"),
        by(-1, "Previous"), by(1, "Next")),
      this.rowState, frame.state.read_only ? null : this.marks);
  }

  showRow() {
    const { state, reason, mark, by } = this.photo.row;
    const said = { erased: "Erased", empty: "Nothing to erase was found", failed: "Failed", "set aside": "Set aside after three failures", waiting: "Not done yet" }[state];
    this.rowState.replaceChildren(make("span", { class: { erased: "good", failed: "bad", "set aside": "bad" }[state] ?? "quiet" }, said),
      reason ? `: ${reason}` : "", mark ? `. ${capital(mark)} by ${by}` : "");
    this.marks.set(mark);
  }

  async mark(word) {
    try {
      Object.assign(this.photo.row, await postJson(`${this.address}/mark`, { word }));
      FolderView.noted(this.thing, this.photo.row);
      this.showRow();
    } catch (error) { complain(error); }
  }

  async go(by) {
    try {
      const id = await FolderView.beside(this.thing, this.photo.row.row, by);
      if (id) location.hash = `#photo/${this.thing.id}/${id}`;
      else notify(by > 0 ? "This was the last photo" : "This is the first photo");
    } catch (error) { complain(error); }
  }

  objectsSection() {
    this.objectList = make("div", { class: "objects", role: "group", "aria-label": "Objects" }, make("p", {}, "Looking for objects"));
    this.scoreValue = make("output", { class: "number" }, "50%");
    this.score = make("input", { type: "range", min: "30", max: "100", step: "1", value: "50", "aria-label": "Least score of an object", oninput: () => this.useScore() });
    this.searchButton = make("button", { type: "button", class: "plain", hidden: true, onclick: () => this.searchAgain() }, "Look again");
    return make("section", {}, make("div", { class: "row" }, make("h3", {}, "Objects"), this.searchButton), this.objectList,
      make("label", { class: "row" }, make("span", { class: "quiet" }, "Score"), this.score, this.scoreValue));
  }

  maskSection() {
    this.shape = segments("Shape of objects' masks", SHAPES, "dilate", (shape) => this.history.change({ shape }));
    this.dilation = make("input", { type: "number", min: "0", max: "1000", "aria-label": "Dilation of objects, pixels", placeholder: "auto", onchange: () => this.useDilation() });
    this.growth = make("input", { type: "range", min: "-40", max: "40", value: "0", "aria-label": "Grow or shrink the whole mask", onchange: () => this.history.change({ growth: Number(this.growth.value) }), oninput: () => { this.growthValue.textContent = `${this.growth.value} px`; } });
    this.growthValue = make("output", { class: "number" }, "0 px");
    this.radius = make("input", { type: "range", min: "0", max: "100", "aria-label": "Size of brush and eraser", oninput: () => this.useRadius(this.radiusOf(Number(this.radius.value))) });
    this.radiusValue = make("output", { class: "number" });
    this.file = make("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "Mask file", onchange: () => this.upload() });
    this.carry = make("input", { type: "checkbox", checked: KEPT.upload !== "", onchange: () => this.useCarry() });
    this.carryLabel = make("label", { class: "row", hidden: true }, this.carry, "Use the uploaded mask for every photo");
    this.download = make("a", { class: "plain", role: "link", "aria-disabled": "true" }, "Download mask");
    return make("section", {},
      make("div", { class: "row" }, make("h3", {}, "Mask"), make("button", { type: "button", class: "plain", onclick: () => this.clear() }, "Clear")),
      this.shape,
      make("label", { class: "row" }, make("span", { class: "quiet grow" }, "Dilate objects by"), this.dilation, "px"),
      make("label", { class: "row" }, make("span", { class: "quiet" }, "Grow"), this.growth, this.growthValue),
      make("label", { class: "row" }, make("span", { class: "quiet" }, "Brush"), this.radius, this.radiusValue),
      make("div", { class: "row" }, make("button", { type: "button", class: "plain", onclick: () => this.file.click() }, "Upload mask"), this.download, this.file),
      this.carryLabel);
  }

  eraseSection() {
    if (this.photo.choices) KEPT.detail = this.photo.choices.detail;
    KEPT.weights = Math.min(KEPT.weights, this.photo.weights.length - 1);
    const options = this.photo.weights.map((name, index) => make("option", { value: String(index), selected: index === KEPT.weights }, name));
    this.weights = make("select", { class: "grow", "aria-label": "Network", onchange: () => { KEPT.weights = Number(this.weights.value); } }, ...options);
    this.detail = segments("Texture", DETAILS, KEPT.detail, (detail) => { KEPT.detail = detail; });
    this.eraseButton = make("button", { type: "button", class: "primary wide", title: "Enter", onclick: () => this.erase() }, "Erase");
    this.progress = make("p", { class: "progress", role: "status" });
    return make("section", {}, make("h3", {}, "Fill"),
      make("label", { class: "row" }, make("span", { class: "quiet" }, "Network"), this.weights),
      this.detail, this.eraseButton, this.progress);
  }

  resultsSection() {
    this.resultList = make("div", { class: "results", role: "radiogroup", "aria-label": "Results" });
    this.saveButton = make("button", { type: "button", class: "primary grow", title: "Ctrl+S", onclick: () => this.save(), hidden: this.photo.row ? frame.state.read_only : !frame.state.saves }, this.photo.row ? "Replace result" : "Save");
    this.resultDownload = make("a", { class: "plain", role: "link", "aria-disabled": "true" }, "Download");
    this.saved = make("p", { class: "progress" });
    return make("section", {}, make("h3", {}, "Results"), this.resultList, make("div", { class: "row" }, this.saveButton, this.resultDownload), this.saved);
  }

  // ---- objects

  async findObjects() {
    try {
      let answer = await getJson(`${this.address}/objects`);
      while (answer.state === "working" && !this.closed) {
        this.objectList.replaceChildren(make("p", {}, answer.text ? `${capital(answer.text)} …` : "Looking for objects …"));
        await wait(400);
        answer = await getJson(`${this.address}/objects`);
      }
      if (this.closed) return;
      this.searchButton.hidden = answer.state !== "failed";
      if (answer.state === "failed") {
        this.objectList.replaceChildren(make("p", { class: "bad" }, answer.text));
        return;
      }
      this.viewer.objects = new Objects(answer.objects, this.photo);
      this.showObjects();
      if (this.photo.row && this.history.states.length === 1 && !remembered(this)) {
        this.history.states = [Object.freeze({ ...this.history.edit, selected: answer.selected })];
        this.editsOfResults.set(this.shown, this.history.edit);
      }
      this.edited();
    } catch (error) { complain(error); }
  }

  async searchAgain() {
    try {
      await postJson(`${this.address}/objects`);
      this.findObjects();
    } catch (error) { complain(error); }
  }

  showObjects() {
    const { objects } = this.viewer;
    if (!objects) return;
    this.rows = new Map();
    for (const object of objects.seen) {
      const box = make("input", { type: "checkbox", onchange: () => this.toggle(object.index) });
      const percent = Math.round(object.score * 100);
      const row = make("label", { onpointerenter: () => this.point(object), onpointerleave: () => this.point(null) },
        box, make("span", {}, `${object.index + 1} ${object.class}`),
        make("meter", { min: "0", max: "1", value: String(object.score), "aria-label": `Score of ${object.class}` }), make("span", { class: "number" }, `${percent}%`));
      this.rows.set(object.index, { row, box });
    }
    const rows = [...this.rows.values()].map(({ row }) => row);
    const none = objects.all.length ? "No object has this score" : "No objects were found; use the brush";
    this.objectList.replaceChildren(...(rows.length ? rows : [make("p", {}, none)]));
    this.showSelected();
    this.viewer.redraw();
  }

  showSelected() {
    for (const [index, { box }] of this.rows || []) box.checked = this.history.edit.selected.includes(index);
  }

  useScore() {
    this.scoreValue.textContent = `${this.score.value}%`;
    if (this.viewer.objects) this.viewer.objects.minScore = Number(this.score.value) / 100;
    this.showObjects();
  }

  point(object) {
    if (this.viewer.pointed === object) return;
    for (const [index, { row }] of this.rows || []) row.classList.toggle("pointed", index === object?.index);
    this.viewer.pointed = object;
    this.viewer.redraw();
  }

  toggle(index) {
    const { selected } = this.history.edit;
    const others = selected.filter((one) => one !== index);
    this.history.change({ selected: others.length < selected.length ? others : [...selected, index].sort((a, b) => a - b) });
  }

  // A click selects one object, another on it unselects it; with Shift it is added or taken out.
  async click(x, y, adds) {
    if (!this.viewer.objects) return;
    try {
      const min_score = Number(this.score.value) / 100;
      const { index } = await postJson(`${this.address}/pick`, { x, y, min_score });
      const { selected } = this.history.edit;
      if (adds) this.toggle(index);
      else this.history.change({ selected: selected.length === 1 && selected[0] === index ? [] : [index] });
    } catch (error) { complain(error); }
  }

  // ---- the mask

  edited() {
    const { edit } = this.history;
    this.viewer.edit = edit;
    this.shape.set(edit.shape);
    this.dilation.value = edit.dilation ?? "";
    this.dilation.disabled = edit.shape === "exact";
    this.growth.value = String(edit.growth);
    this.growthValue.textContent = `${edit.growth} px`;
    this.carryLabel.hidden = !edit.upload;
    this.undoButton.disabled = !this.history.canUndo;
    this.redoButton.disabled = !this.history.canRedo;
    this.showSelected();
    this.viewer.mask.update(edit);
    this.showArea();
    this.viewer.redraw();
  }

  showArea() {
    const { coming, shown, area } = this.viewer.mask;
    const newest = coming || shown;
    const share = 100 * area / (this.photo.width * this.photo.height);
    this.covers.textContent = area ? `mask ${share < 0.1 ? share.toFixed(2) : share.toFixed(1)}%` : "mask empty";
    this.eraseButton.disabled = !area;
    this.download.setAttribute("aria-disabled", String(!area));
    if (area) {
      this.download.href = `${this.address}/masks/${newest.id}/file`;
      this.download.download = "";
    } else this.download.removeAttribute("href");
  }

  clear() {
    const { shape, dilation } = this.history.edit;
    this.history.change({ ...EMPTY_EDIT, shape, dilation });
  }

  useDilation() {
    const text = this.dilation.value.trim();
    this.history.change({ dilation: text === "" ? null : clamp(Math.round(Number(text)) || 0, 0, 1000) });
  }

  // brush sizes run from a pixel to a quarter of the photo, evenly to the eye
  get largestRadius() { return Math.max(8, Math.max(this.photo.width, this.photo.height) / 8); }
  radiusOf(position) { return Math.max(0.5, Math.round(2 * this.largestRadius ** (position / 100)) / 2); }

  useRadius(radius) {
    KEPT.radius = clamp(radius, 0.5, this.largestRadius);
    KEPT.radiusShare = KEPT.radius / Math.max(this.photo.width, this.photo.height);
    this.showRadius();
    if (this.viewer.cursor?.radius) this.viewer.cursor.radius = KEPT.radius;
    this.viewer.redraw();
  }

  showRadius() {
    this.radius.value = String(Math.round(100 * Math.log(Math.max(1, KEPT.radius)) / Math.log(this.largestRadius)));
    this.radiusValue.textContent = `${Math.round(2 * KEPT.radius)} px`;
  }

  async upload() {
    const [file] = this.file.files;
    this.file.value = "";
    if (!file) return;
    try {
      const made = await getJson("api/uploads", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
      if (made.width !== this.photo.width || made.height !== this.photo.height) {
        throw new Refused(0, `The mask is ${made.width} × ${made.height} and the photo ${this.photo.width} × ${this.photo.height} pixels; expected equal sizes.`);
      }
      this.uploaded = made;
      this.history.change({ upload: made.upload });
      this.useCarry();
    } catch (error) { complain(error); }
  }

  useCarry() {
    KEPT.upload = this.carry.checked ? this.history.edit.upload : "";
    KEPT.uploadSize = `${this.photo.width}x${this.photo.height}`;
  }

  // ---- erasing

  async erase() {
    if (this.eraseButton.disabled) return;
    const { edit } = this.history;
    try {
      await this.viewer.mask.update(edit);
      const mask = this.viewer.mask.coming || this.viewer.mask.shown;
      const result = await postJson(`${this.address}/results`, { mask: mask.id, weights: KEPT.weights, detail: KEPT.detail });
      this.editsOfResults.set(result.result, edit);
      const place = this.results.findIndex((other) => other.result === result.result);
      if (place >= 0) this.results[place] = result; else this.results.push(result);
      if (result.state === "done") this.show(result.result);
      else this.follow(result, true);
      this.showResults();
    } catch (error) { complain(error); }
  }

  async follow(result, shows = false) {
    const began = performance.now();
    try {
      while (["waiting", "working"].includes(result.state) && !this.closed) {
        const seconds = Math.round((performance.now() - began) / 1000);
        this.progress.textContent = `${capital(result.text || "waiting")} … ${seconds} s`;
        await wait(300);
        Object.assign(result, await getJson(`${this.address}/results/${result.result}`));
      }
    } catch (error) {
      result.state = "failed";
      result.text = error.message;
    }
    if (this.closed) return;
    this.progress.textContent = "";
    if (result.state === "failed") {
      notify(result.text, "error");
      this.results = this.results.filter((other) => other !== result);
    } else if (shows) this.show(result.result);
    this.showResults();
  }

  show(name) {
    this.shown = name;
    this.viewer.right = name;
    if (this.viewer.left === name) this.viewer.left = "photo";
    this.showResults();
    this.viewer.redraw();
  }

  get result() { return this.results.find((result) => result.result === this.shown); }

  showResults() {
    const names = [["photo", "Photo"], ...this.results.map((result, index) => [result.result, this.title(result, index)])];
    this.resultList.replaceChildren(...names.map(([name, text]) => {
      const result = this.results.find((other) => other.result === name);
      const isDone = !result || result.state === "done";
      const box = make("input", { type: "radio", name: "result", checked: name === this.shown, disabled: !isDone, onchange: () => this.show(name) });
      const side = !result ? "" : result.saved ? "saved" : isDone ? `${result.seconds} s` : "…";
      return make("label", {}, box, make("span", {}, text), make("span", { class: "quiet number" }, side));
    }));
    for (const [select, chosen] of [[this.sideLeft, this.viewer.left], [this.sideRight, this.viewer.right]]) {
      select.replaceChildren(...names.map(([name, text]) => make("option", { value: name, selected: name === chosen }, text)));
    }
    const { result } = this;
    const isDone = result?.state === "done";
    this.views.hidden = this.results.every((other) => other.state !== "done");
    this.sides.hidden = this.views.hidden || this.viewer.mode === "one";
    this.saveButton.disabled = !isDone;
    this.resultDownload.setAttribute("aria-disabled", String(!isDone));
    if (isDone) {
      this.resultDownload.href = `${this.address}/results/${result.result}/file`;
      this.resultDownload.download = "";
    } else this.resultDownload.removeAttribute("href");
    this.saved.textContent = isDone ? [result.saved && `Saved: ${result.saved}`, ...result.notes].filter(Boolean).join(". ") : "";
  }

  title(result, index) {
    if (!result.detail) return capital(result.weights);
    const several = this.photo.weights.length > 1 ? `${result.weights}, ` : "";
    return `${index + 1}: ${several}${result.detail}`;
  }

  useMode(mode) {
    KEPT.mode = this.viewer.mode = mode;
    this.views.set(mode);
    this.sides.hidden = mode === "one" || this.views.hidden;
    if (mode !== "one" && this.viewer.right === "photo" && this.results.length) this.show(this.results.at(-1).result);
    if (this.viewer.isFitted) this.viewer.fit();
    this.viewer.redraw();
  }

  useSides(left, right) {
    this.viewer.left = left;
    this.show(right);
    this.viewer.left = left;
    this.showResults();
  }

  async save() {
    const { result } = this;
    if (!result || this.saveButton.disabled) return;
    const address = `${this.address}/results/${result.result}/save`;
    try {
      let saved;
      try {
        saved = await postJson(address);
      } catch (error) {
        if (error.status !== 409) throw error;
        if (!await confirmed(`${this.photo.name}: a result is there already. Replace it?`, "Replace")) return;
        saved = await postJson(address, { overwrite: true });
      }
      for (const other of this.results) other.saved = "";
      Object.assign(result, saved);
      if (this.photo.row) await this.replaced();
      notify(`Saved: ${result.saved}`);
      this.showResults();
    } catch (error) { complain(error); }
  }

  // The folder has another result of this photo now.
  async replaced() {
    const { row, results } = await getJson(this.address);
    const [edit, other] = [this.editsOfResults.get(this.shown), this.viewer.left];
    this.results = results.filter((result) => result.state !== "failed");
    Object.assign(this.photo.row, row);
    FolderView.noted(this.thing, this.photo.row);
    this.showRow();
    this.editsOfResults.set(this.results[0].result, edit);
    if (!this.results.some((result) => result.result === other)) this.viewer.left = "photo";
    this.show(this.results[0].result);
  }

  // ---- pointer and keys

  useTool(tool) {
    KEPT.tool = this.tool = tool;
    for (const [name, button] of this.toolButtons) button.setAttribute("aria-pressed", String(name === tool));
    this.canvas.style.cursor = { objects: "pointer", hand: "grab", brush: "none", eraser: "none" }[tool] || "crosshair";
    if (tool !== "objects") { this.point(null); this.label.hidden = true; }
    if (!["brush", "eraser"].includes(tool) && this.viewer) this.viewer.cursor = null;
    this.viewer?.redraw();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.viewer.zoom(Math.exp(-clamp(event.deltaY, -240, 240) / 300), this.viewer.point(event));
      this.showZoom();
    }, { passive: false });
    this.unlisten = new AbortController();
    const { signal } = this.unlisten;
    // After a click, unlike after a key, Enter is to erase and not to press the button again.
    addEventListener("click", (event) => {
      const isPressed = event.target.closest?.(".rail button, .segments button, .objects input, .results input");
      if (event.detail > 0 && isPressed) canvas.focus({ preventScroll: true });
    }, { signal });
    addEventListener("keydown", (event) => this.key(event), { signal });
    addEventListener("keyup", (event) => this.keyUp(event), { signal });
    addEventListener("blur", () => this.showBefore(false), { signal });
  }

  down(event) {
    const at = this.viewer.point(event);
    this.touches.set(event.pointerId, at);
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    if (this.touches.size === 2) { // two fingers move and zoom
      this.viewer.stroke = null;
      this.drag = { kind: "pinch" };
      return;
    }
    if (this.touches.size > 2) return;
    const split = this.viewer.slider * this.canvas.width;
    const near = 16 * (window.devicePixelRatio || 1);
    if (this.viewer.mode === "slider" && Math.abs(at.x - split) < near) {
      this.drag = { kind: "slider" };
    } else if (event.button === 1 || this.spaceDown || this.tool === "hand") {
      this.drag = { kind: "pan", at };
    } else if (event.button !== 0) {
      this.drag = null;
    } else if (this.tool === "objects") {
      this.drag = { kind: "click", at, adds: event.shiftKey || event.ctrlKey || event.metaKey };
    } else {
      const { x, y } = this.viewer.toPhoto(at);
      const kind = { brush: "brush", eraser: "brush", rectangle: "rectangle", lasso: "lasso" }[this.tool];
      const erases = this.tool === "eraser" || event.altKey;
      this.viewer.stroke = { kind, erases, points: [round(x), round(y)], radius: KEPT.radius };
      this.drag = { kind: "stroke" };
      this.viewer.redraw();
    }
  }

  move(event) {
    const at = this.viewer.point(event);
    const here = this.viewer.toPhoto(at);
    this.showPlace(here);
    const before = this.touches.get(event.pointerId);
    if (before) this.touches.set(event.pointerId, at);
    const { drag } = this;
    if (before && drag?.kind === "pinch") {
      this.pinch(event.pointerId, before, at);
    } else if (drag?.kind === "slider") {
      this.viewer.slider = clamp(at.x / this.canvas.width, 0, 1);
      this.viewer.redraw();
    } else if (drag?.kind === "pan") {
      this.viewer.pan(at.x - drag.at.x, at.y - drag.at.y);
      drag.at = at;
    } else if (drag?.kind === "stroke") {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) this.extend(this.viewer.toPhoto(this.viewer.point(one)));
    }
    if (["brush", "eraser"].includes(this.tool)) {
      this.viewer.cursor = { ...here, radius: KEPT.radius };
      this.viewer.redraw();
    } else if (this.tool === "objects" && event.pointerType !== "touch") this.hover(at, here);
  }

  extend({ x, y }) {
    const { stroke } = this.viewer;
    if (!stroke) return;
    if (stroke.kind === "rectangle") stroke.points.length = 2;
    const [px, py] = stroke.points.slice(-2);
    if (Math.hypot(x - px, y - py) * this.viewer.scale < 1 && stroke.points.length > 2) return;
    stroke.points.push(round(x), round(y));
    this.viewer.redraw();
  }

  pinch(id, before, at) {
    const [other] = [...this.touches].filter(([one]) => one !== id).map(([, point]) => point);
    if (!other) return;
    const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    this.viewer.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.viewer.zoom(apart(at, other) / apart(before, other), middle);
    this.showZoom();
  }

  hover(at, { x, y }) {
    const object = this.viewer.objects?.at(x, y) ?? null;
    this.point(object);
    this.label.hidden = !object;
    if (object) {
      this.label.textContent = `${object.class} ${Math.round(object.score * 100)}%`;
      const ratio = this.canvas.width / this.canvas.clientWidth;
      this.label.style.left = `${Math.min(at.x / ratio + 14, this.canvas.clientWidth - 120)}px`;
      this.label.style.top = `${Math.max(4, at.y / ratio - 28)}px`;
    }
  }

  up(event) {
    if (!this.touches.delete(event.pointerId)) return;
    const { drag } = this;
    if (this.touches.size) return;
    this.drag = null;
    if (drag?.kind === "click" && event.type === "pointerup") {
      const { x, y } = this.viewer.toPhoto(drag.at);
      if (x >= 0 && y >= 0 && x < this.photo.width && y < this.photo.height) this.click(x, y, drag.adds);
    } else if (drag?.kind === "stroke" && this.viewer.stroke) {
      const stroke = Object.freeze(this.viewer.stroke);
      this.viewer.stroke = null;
      const isPoint = stroke.points.length < (stroke.kind === "brush" ? 2 : 4);
      if (!isPoint && event.type === "pointerup") this.history.change({ strokes: [...this.history.edit.strokes, stroke] });
      this.viewer.redraw();
    }
  }

  leave() {
    this.place.textContent = "";
    this.label.hidden = true;
    this.viewer.cursor = null;
    this.point(null);
    this.viewer.redraw();
  }

  showPlace({ x, y }) {
    const isInside = x >= 0 && y >= 0 && x < this.photo.width && y < this.photo.height;
    this.place.textContent = isInside ? `${Math.floor(x)}, ${Math.floor(y)}` : "";
    this.showZoom();
  }

  showZoom() {
    const percent = this.viewer.scale * 100 / (window.devicePixelRatio || 1);
    this.zoomed.textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)}%`;
  }

  showBefore(shows) {
    if (this.viewer.showsBefore === shows) return;
    this.viewer.showsBefore = shows;
    this.viewer.redraw();
  }

  key(event) {
    if (document.querySelector("dialog[open]") || isTyping(event)) return;
    const key = event.key.toLowerCase();
    const command = event.ctrlKey || event.metaKey;
    if (command) {
      const acts = { z: () => this.history.go(event.shiftKey ? 1 : -1), y: () => this.history.go(1), s: () => this.save() };
      if (acts[key]) { event.preventDefault(); acts[key](); }
      return;
    }
    if (event.altKey) return;
    const tool = TOOLS.find(([, , letter]) => letter.toLowerCase() === key);
    const acts = {
      " ": () => { this.spaceDown = true; this.canvas.style.cursor = "grab"; },
      c: () => this.showBefore(true),
      m: () => { KEPT.showsMask = this.viewer.showsMask = !this.viewer.showsMask; this.viewer.redraw(); },
      "[": () => this.useRadius(KEPT.radius / 1.2),
      "]": () => this.useRadius(KEPT.radius * 1.2),
      "+": () => this.viewer.zoom(1.25), "=": () => this.viewer.zoom(1.25), "-": () => this.viewer.zoom(0.8),
      0: () => this.viewer.fit(), 1: () => this.viewer.zoomTo(window.devicePixelRatio || 1),
      enter: () => this.erase(),
      escape: () => { this.viewer.stroke = null; this.drag = null; this.viewer.redraw(); },
      s: () => this.useMode({ one: "slider", slider: "side", side: "one" }[this.viewer.mode]),
      pagedown: () => (this.photo.row ? this : this.photos)?.go(1),
      pageup: () => (this.photo.row ? this : this.photos)?.go(-1),
      ...(this.photo.row ? this.reviewKeys : {}),
    };
    const act = tool ? () => this.useTool(tool[0]) : acts[key];
    if (!act || (["enter", " "].includes(key) && event.target.closest("button, a, summary"))) return;
    event.preventDefault();
    act();
    this.showZoom();
  }

  get reviewKeys() {
    const marked = (word) => { if (!frame.state.read_only) this.mark(word).then(() => this.go(1)); };
    return {
      a: () => marked("accepted"), x: () => marked("rejected"), u: () => this.mark(""),
      j: () => this.go(1), k: () => this.go(-1), g: () => { location.hash = `#out/${this.thing.id}`; },
    };
  }

  keyUp(event) {
    if (event.key.toLowerCase() === "c") this.showBefore(false);
    if (event.key === " ") { this.spaceDown = false; this.useTool(this.tool); }
  }

  get keys() {
    return [
      ...TOOLS.map(([, title, key]) => [key, title]),
      ["Shift+click", "Add or take out an object"], ["Alt+drag", "Take away from the mask"],
      ["[ ]", "Smaller or larger brush"], ["Ctrl+Z", "Undo"], ["Ctrl+Shift+Z", "Redo"],
      ["Enter", "Erase"], ["hold C", "See the photo as it was"], ["S", "After, slider, side by side"],
      ["M", "Show or hide the mask"], ["Ctrl+S", "Save the result"], ["+ −", "Zoom; the wheel, too"],
      ["0", "Whole photo"], ["1", "Pixel by pixel"], ["hold Space", "Move the photo"],
      ["PgDn PgUp", "Next, previous photo"],
      ...(this.photo.row ? [["A", "Accept, and go on"], ["X", "Reject, and go on"], ["U", "Take the mark back"], ["J K", "Next, previous photo"], ["G", "All photos"]] : []),
    ];
  }

  close() {
    this.closed = true;
    const { history, editsOfResults } = this;
    PhotoView.remembered.set(this.photo.id, { history, editsOfResults });
    this.unlisten.abort();
    this.photos?.close();
    this.viewer.close();
  }
}

PhotoView.remembered = new Map(); // what was done to each photo since the page was opened
const remembered = (view) => PhotoView.remembered.has(view.photo.id);

const round = (number) => Math.round(number * 100) / 100;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function isTyping(event) {
  const field = event.target.closest?.("input, select, textarea");
  if (!field) return false;
  return !["checkbox", "radio", "range", "button"].includes(field.type);
}

// The photos of a folder as a column of small pictures; only those in sight are asked for.
class Strip {
  static ROW = 104;
  static CHUNK = 100;

  constructor(element, thing, current) {
    Object.assign(this, { element, thing, current, total: 0, chunks: new Map(), shown: new Map() });
    this.list = make("ol");
    element.append(this.list);
    this.update = () => { this.pending ??= requestAnimationFrame(() => { this.pending = null; this.draw(); }); };
    element.addEventListener("scroll", this.update);
    this.resizing = new ResizeObserver(this.update);
    this.resizing.observe(element);
    this.begin();
  }

  async begin() {
    try {
      await this.chunk(0);
      const place = Strip.places.get(this.current) ?? 0;
      if (this.closed) return;
      this.measure();
      this.element.scrollTop = Math.max(0, place * Strip.ROW - this.element.clientHeight / 2 + Strip.ROW / 2);
      this.draw();
    } catch (error) { complain(error); }
  }

  chunk(number) {
    if (!this.chunks.has(number)) {
      const address = `api/things/${this.thing.id}/photos?first=${number * Strip.CHUNK}&count=${Strip.CHUNK}`;
      this.chunks.set(number, getJson(address).then((answer) => {
        this.total = Math.max(this.total, answer.total);
        this.isWhole = answer.is_whole;
        if (answer.photos.length < Strip.CHUNK && !answer.is_whole) this.chunks.delete(number);
        answer.photos.forEach((photo, index) => Strip.places.set(photo.id, answer.first + index));
        return answer.photos;
      }));
    }
    return this.chunks.get(number);
  }

  // More photos may be found while the first ones are shown.
  async measure() {
    this.list.style.height = `${this.total * Strip.ROW}px`;
    while (!this.isWhole && !this.closed) {
      await wait(500);
      const answer = await getJson(`api/things/${this.thing.id}/photos?first=0&count=1`);
      [this.total, this.isWhole] = [answer.total, answer.is_whole];
      this.list.style.height = `${this.total * Strip.ROW}px`;
    }
  }

  async at(place) {
    if (place < 0 || place >= this.total) return null;
    return (await this.chunk(Math.floor(place / Strip.CHUNK)))[place % Strip.CHUNK];
  }

  async draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / Strip.ROW) - 2);
    const last = Math.min(this.total - 1, Math.ceil((scrollTop + clientHeight) / Strip.ROW) + 2);
    for (const [place, row] of this.shown) {
      if (place < first || place > last) { row.remove(); this.shown.delete(place); }
    }
    for (let place = first; place <= last; place += 1) {
      const photo = await this.at(place);
      if (this.closed) return;
      if (photo && !this.shown.has(place)) this.show(place, photo);
    }
  }

  show(place, photo) {
    const link = make("a", { href: `#photo/${this.thing.id}/${photo.id}`, title: photo.name },
      make("img", { src: `api/photos/${photo.id}/thumbnail`, alt: "", loading: "lazy" }),
      make("span", {}, photo.name.split("/").at(-1)));
    if (photo.id === this.current) link.setAttribute("aria-current", "true");
    const row = make("li", {}, link);
    row.style.top = `${place * Strip.ROW}px`;
    this.list.append(row);
    this.shown.set(place, row);
  }

  async go(by) {
    const photo = await this.at((Strip.places.get(this.current) ?? 0) + by);
    if (photo) location.hash = `#photo/${this.thing.id}/${photo.id}`;
  }

  close() {
    this.closed = true;
    this.resizing.disconnect();
  }
}
Strip.places = new Map(); // where in its folder a photo is

// ---------------------------------------------------------------- a folder that is being erased

const STATES = [["", "All"], ["erased", "Erased"], ["empty", "Nothing found"], ["failed", "Failed"], ["set aside", "Set aside"], ["waiting", "Not done yet"]];
const MARKS = [["marked", "Marked"], ["accepted", "Accepted"], ["rejected", "Rejected"]];
const ORDERS = [["name", "by name"], ["newest", "newest first"], ["oldest", "oldest first"], ["hole", "largest hole first"], ["most", "most objects first"]];

class FolderView {
  static PAGE = 60;
  static kept = new Map(); // of each folder: filter, order, place

  static of(thing) {
    if (!FolderView.kept.has(thing.id)) {
      FolderView.kept.set(thing.id, { wanted: {}, order: "name", first: 0, total: 0, rows: [], focus: 0 });
    }
    return FolderView.kept.get(thing.id);
  }

  static query(kept, first, count) {
    const wanted = Object.fromEntries(Object.entries(kept.wanted).filter(([, value]) => value));
    return new URLSearchParams({ ...wanted, order: kept.order, first, count }).toString();
  }

  static async fill(thing, first) {
    const kept = FolderView.of(thing);
    const answer = await getJson(`api/things/${thing.id}/rows?${FolderView.query(kept, first, FolderView.PAGE)}`);
    Object.assign(kept, { first, total: answer.total, rows: answer.rows });
    return kept;
  }

  // the id of the photo before or after a row, in the order that was chosen
  static async beside(thing, row, by) {
    let kept = FolderView.of(thing);
    if (!kept.rows.some((one) => one.row === row)) kept = await FolderView.fill(thing, kept.first);
    let place = kept.rows.findIndex((one) => one.row === row) + by;
    if (kept.first + place < 0 || kept.first + place >= kept.total) return null;
    if (place < 0 || place >= kept.rows.length) {
      const at = kept.first + place;
      kept = await FolderView.fill(thing, Math.floor(at / FolderView.PAGE) * FolderView.PAGE);
      place = at - kept.first;
    }
    kept.focus = place;
    return kept.rows[place]?.id ?? null;
  }

  static noted(thing, row) {
    const { rows } = FolderView.of(thing);
    const place = rows.findIndex((one) => one.row === row.row);
    if (place >= 0) rows[place] = { ...rows[place], ...row };
  }

  constructor(main, thing) {
    this.thing = thing;
    this.kept = FolderView.of(thing);
    this.build(main);
    this.unlisten = new AbortController();
    addEventListener("keydown", (event) => this.key(event), { signal: this.unlisten.signal });
    this.load(this.kept.first);
    this.watch();
    this.watchWork();
  }

  async watchWork() {
    while (!this.closed) {
      try {
        this.status = await getJson(`api/things/${this.thing.id}/status`);
        if (this.closed) return;
        this.showWork();
      } catch (error) { complain(error); return; }
      await wait(5000);
    }
  }

  showWork() {
    const { status } = this;
    const facts = [`${status.done.toLocaleString()} of ${status.photos.toLocaleString()} done`,
      status.images_per_second && status.at_work.length && `${status.images_per_second.toFixed(1)} images/s`,
      status.seconds_left && `${duration(status.seconds_left)} left`];
    const key = JSON.stringify([status.state, facts, status.rerun, status.last_error]);
    if (key === this.shownWork) return;
    this.shownWork = key;
    const jobs = Object.entries(status.slurm ?? {}).map(([state, count]) => `${count} ${state.toLowerCase()}`).join(", ");
    this.work.replaceChildren(
      make("p", {}, make("span", { class: { finished: "good", "at work": "good" }[status.state] ?? "quiet" }, capital(status.state)), jobs ? `: ${jobs}` : ""),
      make("progress", { max: String(Math.max(1, status.photos)), value: String(status.done), "aria-label": "Photos done" }),
      make("p", { class: "quiet number" }, facts.filter(Boolean).join(", ")),
      ...(status.last_error ? [make("p", { class: "bad last-error", title: status.last_error }, status.last_error)] : []),
      ...(status.rerun.length && !frame.state.read_only ? [make("button", { type: "button", class: "primary", onclick: () => continueWork(this.thing, status) }, "Go on …")] : []));
  }

  build(main) {
    this.states = make("div", { class: "choices", role: "group", "aria-label": "State" });
    this.marks = make("div", { class: "choices", role: "group", "aria-label": "Marks" });
    this.classes = make("select", { "aria-label": "Class", onchange: () => this.want("class", this.classes.value) });
    this.reasons = make("select", { "aria-label": "Why photos failed", onchange: () => this.want("reason", this.reasons.value) });
    this.order = make("select", { "aria-label": "Order", onchange: () => { this.kept.order = this.order.value; this.load(0); } },
      ...ORDERS.map(([value, text]) => make("option", { value, selected: value === this.kept.order }, text)));
    this.table = make("a", { class: "plain", download: "" }, "Export CSV");
    this.read = make("p", { class: "quiet", role: "status" });
    this.place = make("output", { class: "number" });
    this.cards = make("div", { class: "cards", role: "list", "aria-label": "Photos" });
    const turn = (by, text) => make("button", { type: "button", class: "plain", onclick: () => this.turn(by) }, text);
    const view = make("div", { class: "folder-view" },
      make("aside", { class: "filters", "aria-label": "Filters" },
        make("h1", { class: "title" }, this.thing.name), this.work = make("div", { class: "work" }), make("h2", { class: "unseen" }, "Filters"),
        make("h3", {}, "State"), this.states, make("h3", {}, "Marks"), this.marks,
        make("h3", {}, "Class"), this.classes, make("h3", {}, "Why photos failed"), this.reasons, this.read),
      make("section", { class: "grid", "aria-label": "Results" },
        make("div", { class: "row tools" }, make("label", { class: "row grow" }, make("span", { class: "quiet" }, "Sorted"), this.order),
          this.table, this.previous = turn(-1, "Previous page"), this.place, this.next = turn(1, "Next page")),
        this.cards));
    main.replaceChildren(view);
  }

  want(name, value) {
    this.kept.wanted[name] = this.kept.wanted[name] === value ? "" : value;
    this.load(0);
    this.showChoices();
  }

  turn(by) {
    const first = this.kept.first + by * FolderView.PAGE;
    if (first >= 0 && first < this.kept.total) this.load(first);
  }

  async load(first) {
    const turn = this.turning = {};
    try {
      if (first !== this.kept.first) this.kept.focus = 0;
      await FolderView.fill(this.thing, first);
      if (turn === this.turning && !this.closed) this.show();
    } catch (error) { complain(error); }
  }

  async watch() {
    while (!this.closed) {
      try {
        this.overview = await getJson(`api/things/${this.thing.id}/overview`);
        if (this.closed) return;
        this.showChoices();
        const states = JSON.stringify([this.overview.states, this.overview.marked]);
        if (this.lastStates !== undefined && states !== this.lastStates) this.load(this.kept.first);
        this.lastStates = states;
        this.wasReading = this.overview.read < this.overview.slices;
      } catch (error) { complain(error); return; }
      await wait(this.wasReading ? 700 : 4000);
    }
  }

  showChoices() {
    const { overview } = this;
    if (!overview) return;
    const { wanted } = this.kept;
    const choice = (name, value, text, count) => make("button", { type: "button", "aria-pressed": String((wanted[name] ?? "") === value), onclick: () => this.want(name, value) },
      make("span", {}, text), make("span", { class: "number" }, count === undefined ? "" : count.toLocaleString()));
    const keepFocus = (group, buttons) => {
      const place = [...group.children].indexOf(document.activeElement);
      group.replaceChildren(...buttons);
      if (place >= 0) group.children[place]?.focus();
    };
    keepFocus(this.states, STATES.map(([value, text]) => choice("state", value, text, value ? overview.states[value] : overview.photos)));
    keepFocus(this.marks, MARKS.map(([value, text]) => choice("mark", value, text, value === "marked" ? overview.marked : undefined)));
    const fill = (select, all, names, chosen) => {
      if (document.activeElement === select) return;
      select.replaceChildren(make("option", { value: "" }, all), ...names.map((name) => make("option", { value: name, selected: name === chosen }, name)));
      select.disabled = !names.length;
    };
    fill(this.classes, "Any class", overview.classes, wanted.class);
    fill(this.reasons, "Any reason", overview.reasons, wanted.reason);
    const share = Math.round(100 * overview.read / Math.max(1, overview.slices));
    this.read.textContent = share < 100 ? `Reading the ledger … ${share}%` : "";
    this.table.href = `api/things/${this.thing.id}/marks.csv?${FolderView.query(this.kept, 0, 0)}`;
  }

  show() {
    const { kept } = this;
    const last = kept.first + kept.rows.length;
    this.place.textContent = kept.total ? `${(kept.first + 1).toLocaleString()}–${last.toLocaleString()} of ${kept.total.toLocaleString()}` : "None";
    this.previous.disabled = kept.first === 0;
    this.next.disabled = last >= kept.total;
    this.shownCards = new Map(kept.rows.map((row) => { // what has not changed stays as it is
      const text = JSON.stringify(row);
      return [text, this.shownCards?.get(text) ?? this.card(row)];
    }));
    const cards = [...this.shownCards.values()];
    if (cards.length !== this.cards.children.length || cards.some((card, index) => card !== this.cards.children[index])) {
      const isFocused = this.cards.contains(document.activeElement);
      this.cards.replaceChildren(...cards);
      if (isFocused) this.focus(kept.focus);
    }
    if (!kept.rows.length) this.cards.append(make("p", { class: "empty" }, "No photo is like that."));
    this.focus(kept.focus, false);
  }

  card(row) {
    const picture = (kind, is_there, text) => {
      const none = make("span", { class: "none" }, text);
      if (!is_there) return none;
      const image = make("img", { src: `api/photos/${row.id}/small/${kind}?at=${row.time}`, alt: kind, loading: "lazy" });
      image.addEventListener("error", () => image.replaceWith(none));
      return image;
    };
    const objects = Object.entries(row.objects).map(([name, count]) => (count > 1 ? `${count} ${name}` : name)).join(", ");
    const said = { empty: "nothing found", failed: row.reason || "failed", "set aside": row.reason || "set aside", waiting: "not done yet" }[row.state] ?? objects;
    return make("div", { role: "listitem" }, make("a", { class: `card ${row.mark}`, href: `#photo/${this.thing.id}/${row.id}`, title: row.name },
      make("span", { class: "pictures" }, picture("before", true, "cannot be shown"),
        picture("mask", Boolean(objects), "no mask"), picture("after", ["erased", "empty"].includes(row.state), "no result")),
      make("span", { class: "caption" }, make("span", { class: "name" }, row.name.split("/").at(-1)),
        make("span", { class: `said ${["failed", "set aside"].includes(row.state) ? "bad" : "quiet"}` }, said),
        row.mark ? make("span", { class: `mark ${row.mark}` }, row.mark) : null)));
  }

  focus(place, takes = true) {
    this.kept.focus = clamp(place, 0, Math.max(0, this.kept.rows.length - 1));
    const links = [...this.cards.querySelectorAll("a")];
    links.forEach((link, index) => { link.tabIndex = index === this.kept.focus ? 0 : -1; });
    if (takes || document.activeElement === document.body) links[this.kept.focus]?.focus();
  }

  get columns() { return getComputedStyle(this.cards).gridTemplateColumns.split(" ").length; }

  async mark(word) {
    const row = this.kept.rows[this.kept.focus];
    if (!row || frame.state.read_only) return;
    try {
      FolderView.noted(this.thing, await postJson(`api/photos/${row.id}/mark`, { word }));
      this.show();
      if (word && this.kept.focus + 1 >= this.kept.rows.length && this.kept.first + FolderView.PAGE < this.kept.total) {
        await this.load(this.kept.first + FolderView.PAGE);
        this.focus(0);
      } else this.focus(this.kept.focus + (word ? 1 : 0));
    } catch (error) { complain(error); }
  }

  key(event) {
    if (document.querySelector("dialog[open]") || isTyping(event) || event.target.closest?.("select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const { focus } = this.kept;
    const acts = {
      arrowright: () => this.focus(focus + 1), arrowleft: () => this.focus(focus - 1),
      arrowdown: () => this.focus(focus + this.columns), arrowup: () => this.focus(focus - this.columns),
      j: () => this.focus(focus + 1), k: () => this.focus(focus - 1),
      a: () => this.mark("accepted"), x: () => this.mark("rejected"), u: () => this.mark(""),
      pagedown: () => this.turn(1), pageup: () => this.turn(-1),
    };
    const act = acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  get keys() {
    return [["Arrows, J K", "Next, previous photo"], ["Enter", "Look at it, redo it"], ["A", "Accept, and go on"], ["X", "Reject, and go on"], ["U", "Take the mark back"], ["PgDn PgUp", "Next, previous page"]];
  }

  close() {
    this.closed = true;
    this.unlisten.abort();
  }
}

// ---------------------------------------------------------------- work on a folder

// A dialog that shows what a command would do, in its own words, and then runs it.
class WorkDialog {
  constructor(thing, title, fields) {
    Object.assign(this, { thing, fields, plan: null });
    this.dialog = byId("work");
    byId("work-title").textContent = title;
    byId("work-text").hidden = true;
    byId("work-progress").textContent = "";
    byId("work-start").disabled = true;
    byId("work-fields").replaceChildren(...fields.map(({ label, input }) => make("label", {}, make("span", { class: "quiet" }, label), input)));
    for (const { input } of fields) input.addEventListener("input", () => { byId("work-start").disabled = true; });
    byId("work-close").onclick = () => this.dialog.close();
    byId("work-plan").onclick = () => this.show();
    byId("work-start").onclick = () => this.start();
    this.dialog.showModal();
    if (!fields.some(({ asks }) => asks)) this.show();
  }

  get body() {
    return Object.fromEntries(this.fields.map(({ name, input }) => [name, input.type === "checkbox" ? input.checked : input.value.trim()]));
  }

  say(text, isBad = false) {
    byId("work-text").hidden = false;
    byId("work-text").textContent = text;
    byId("work-text").classList.toggle("bad", isBad);
  }

  async show() {
    byId("work-progress").textContent = "Asking …";
    byId("work-start").disabled = true;
    try {
      const { text, plan } = await postJson(`api/things/${this.thing.id}/plans`, this.body);
      this.plan = plan;
      this.say(text, !plan);
      byId("work-start").disabled = !plan;
    } catch (error) { this.say(error.message, true); }
    byId("work-progress").textContent = "";
  }

  async start() {
    byId("work-start").disabled = true;
    byId("work-progress").textContent = "Starting …";
    try {
      const { text, runs_here, thing } = await postJson(`api/things/${this.thing.id}/plans/${this.plan}`);
      notify(runs_here ? "It works on this machine now, and goes on when the page is closed" : text.trim().split("\n").at(-1) || "Done");
      await frame.refresh();
      this.dialog.close();
      if (thing) location.hash = `#out/${thing}`;
    } catch (error) { this.say(error.message, true); }
    byId("work-progress").textContent = "";
  }
}

const field = (name, label, attributes = {}, asks = false) => ({ name, label, asks, input: make("input", { type: "text", ...attributes }) });

function eraseAll(thing, edit) {
  const mask = make("select", {}, ...SHAPES.map(([value, text]) => make("option", { value, selected: value === edit.shape }, text)));
  new WorkDialog(thing, `Erase from every photo in ${thing.name}`, [
    field("classes", "Classes, as person,car (empty: every object)", {}, true), { name: "mask", label: "Masks", input: mask },
    field("dilate", "Dilate by, pixels (empty: by size)", { type: "number", min: "0", value: edit.dilation ?? "" }),
    field("tasks", "Tasks of the job array (empty: by the number of photos)", { type: "number", min: "1" }),
    field("time", "Time limit of each, as 02:00:00 (Slurm)"),
  ]);
}

function continueWork(thing, status) {
  const slurm = (status.command ?? "").includes("sbatch");
  const fields = [{ name: "slurm", label: "As a Slurm job array", input: make("input", { type: "checkbox", checked: slurm, disabled: !slurm }) }];
  if (slurm) {
    fields.push({ name: "retry", label: "Photos that were set aside, too", input: make("input", { type: "checkbox" }) },
      field("time", "Time limit (empty: as before)"), field("max_running", "Tasks at once (empty: as before)", { type: "number", min: "1" }));
  }
  new WorkDialog(thing, `Go on with ${thing.name}`, fields);
}

// ---------------------------------------------------------------- training runs

function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A number in few characters, and "nice" places for lines across a chart.
const short = (value) => (Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(3))));

function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * size >= raw) * size;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function chart({ name, training, validation }) {
  const [width, height, left, right, top, bottom] = [380, 200, 46, 8, 8, 22];
  const all = [...training, ...validation];
  const xs = all.map(([x]) => x), ys = all.map(([, y]) => y).filter(Number.isFinite);
  let [low, high] = [Math.min(...ys), Math.max(...ys)];
  if (!(high > low)) [low, high] = [low - 1, high + 1];
  const [first, last] = [Math.min(...xs), Math.max(...xs, Math.min(...xs) + 1)];
  const x = (value) => left + (value - first) / (last - first) * (width - left - right);
  const y = (value) => top + (high - value) / (high - low) * (height - top - bottom);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${name}, last ${short(all.at(-1)[1])}` });
  for (const at of ticks(low, high, 4)) {
    picture.append(svg("line", { class: "across", x1: left, x2: width - right, y1: y(at), y2: y(at) }),
      svg("text", { x: left - 5, y: y(at) + 3.5, "text-anchor": "end" }, short(at)));
  }
  for (const at of ticks(first, last, 4)) picture.append(svg("text", { x: x(at), y: height - 6, "text-anchor": "middle" }, at >= 1000 ? `${short(at / 1000)}k` : short(at)));
  for (const [kind, points] of [["training", training], ["validation", validation]]) {
    const places = points.filter((point) => Number.isFinite(point[1])).map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`);
    if (places.length) picture.append(svg("polyline", { class: kind, points: places.join(" ") }));
    if (kind === "validation" || points.length === 1) {
      for (const place of places) picture.append(svg("circle", { class: kind, cx: place.split(",")[0], cy: place.split(",")[1], r: 2.2 }));
    }
  }
  const newest = (points) => (points.length ? short(points.at(-1)[1]) : null);
  const legend = [newest(training) && `training ${newest(training)}`, newest(validation) && `validation ${newest(validation)}`].filter(Boolean).join(", ");
  return make("figure", { class: "chart" }, make("figcaption", {}, make("strong", {}, name.replaceAll("_", " ")), make("span", { class: "quiet" }, legend)), picture);
}

class RunsView {
  static chosen = new Map();

  constructor(main, thing) {
    this.thing = thing;
    this.build(main);
    this.watch();
  }

  build(main) {
    this.list = make("div", { class: "runs", role: "group", "aria-label": "Runs" });
    this.head = make("div", { class: "run-head" });
    this.charts = make("div", { class: "charts" });
    this.epoch = make("input", { type: "range", min: "1", step: "1", "aria-label": "Epoch", oninput: () => this.showEpoch(Number(this.epoch.value)) });
    this.epochText = make("output", { class: "number" });
    this.grid = make("img", { alt: "Validation photos: masked, output, composite, truth" });
    this.pictures = make("section", { class: "pictures-of-run", hidden: true, "aria-label": "Validation" },
      make("div", { class: "row" }, make("h2", {}, "Validation"), this.epoch, this.epochText), this.grid);
    const view = make("div", { class: "runs-view" },
      make("aside", { class: "filters", "aria-label": "Runs" }, make("h1", { class: "title" }, this.thing.name), this.list),
      make("section", { class: "run", "aria-label": "Run" }, this.head, this.charts, this.pictures));
    main.replaceChildren(view);
  }

  get chosen() { return RunsView.chosen.get(this.thing.id) ?? this.runs?.[0]?.id; }

  async watch() {
    while (!this.closed) {
      try {
        this.runs = (await getJson(`api/things/${this.thing.id}/runs`)).runs;
        if (this.closed) return;
        this.showList();
        if (this.chosen) await this.showRun();
      } catch (error) { complain(error); return; }
      await wait(3000);
    }
  }

  choose(id) {
    RunsView.chosen.set(this.thing.id, id);
    this.shownEpoch = null;
    this.follows = true;
    this.showList();
    this.showRun().catch(complain);
  }

  showList() {
    const focused = document.activeElement?.dataset?.run;
    this.list.replaceChildren(...this.runs.map((run) => {
      const share = run.total_steps ? run.step / run.total_steps : 0;
      return make("button", { type: "button", "data-run": run.id, "aria-pressed": String(run.id === this.chosen), onclick: () => this.choose(run.id) },
        make("strong", {}, run.name), make("span", { class: stateClass(run.status) }, run.status),
        make("progress", { max: "1", value: String(share), "aria-label": `Progress of ${run.name}` }),
        make("span", { class: "quiet number" }, [run.step !== undefined && `step ${run.step.toLocaleString()}`, run.images_per_second && `${run.images_per_second.toFixed(1)} images/s`, run.seconds_left && `${duration(run.seconds_left)} left`].filter(Boolean).join(", ")));
    }));
    if (!this.runs.length) this.list.append(make("p", { class: "quiet" }, "No runs"));
    if (focused) this.list.querySelector(`[data-run="${focused}"]`)?.focus();
  }

  async showRun() {
    const id = this.chosen;
    const run = await getJson(`api/runs/${id}`);
    if (this.closed || id !== this.chosen) return;
    this.run = run;
    const text = JSON.stringify(run);
    if (text === this.shownText) return;
    this.shownText = text;
    const facts = [
      ["Step", run.step === undefined ? "–" : `${run.step.toLocaleString()} of ${run.total_steps?.toLocaleString() ?? "?"}`],
      ["Speed", run.images_per_second ? `${run.images_per_second.toFixed(1)} images/s` : "–"],
      ["Left", run.seconds_left ? duration(run.seconds_left) : "–"],
      ["Checkpoint", run.checkpoint_step ? `step ${run.checkpoint_step.toLocaleString()}, ${duration(run.checkpoint_age_seconds ?? 0)} ago` : "none"],
      ["Job", run.job_id ? `${run.job_id}${run.slurm ? `, ${run.slurm}` : ""}` : "–"],
      ["Requeued", String(run.requeues ?? 0)],
    ];
    const copy = make("button", { type: "button", class: "plain", onclick: () => navigator.clipboard?.writeText(run.resume).then(() => notify("Copied")) }, "Copy");
    this.head.replaceChildren(
      make("div", { class: "row" }, make("h2", {}, run.folder), make("span", { class: stateClass(run.status) }, run.status),
        run.reason && run.status !== "running" ? make("span", { class: "quiet" }, run.reason) : null),
      make("dl", { class: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", { class: "number" }, value)))),
      run.last_error ? make("p", { class: "bad" }, run.last_error) : make("p", { class: "quiet" }, "No errors"),
      make("div", { class: "row" }, make("span", { class: "quiet" }, "To continue it"), make("code", {}, run.resume), copy));
    this.charts.replaceChildren(...run.curves.filter(({ training, validation }) => training.length + validation.length).map(chart));
    this.showEpochs();
  }

  // The slider follows the newest epoch until somebody moves it.
  showEpochs() {
    const { epochs } = this.run;
    this.pictures.hidden = !epochs.length;
    if (!epochs.length) return;
    const follows = this.follows ?? true;
    this.epoch.max = String(epochs.length);
    if (follows) this.epoch.value = String(epochs.length);
    this.showEpoch(Number(this.epoch.value), follows);
  }

  showEpoch(place, follows = false) {
    const { epochs } = this.run;
    this.follows = follows || place === epochs.length;
    const epoch = epochs[clamp(place, 1, epochs.length) - 1];
    this.epochText.textContent = `epoch ${epoch} of ${epochs.at(-1)}`;
    const address = `api/runs/${this.chosen}/epochs/${epoch}`;
    if (this.grid.getAttribute("src") !== address) this.grid.src = address;
  }

  get keys() { return [["Arrows", "Move the slider of epochs when it has the focus"]]; }

  close() { this.closed = true; }
}

const stateClass = (status) => ({ running: "good", finished: "good", failed: "bad", "cannot be read": "bad", "ended without a word": "bad" }[status] ?? "quiet");

// ---------------------------------------------------------------- the frame around the views

class Frame {
  constructor() {
    this.state = null;
    this.view = null;
  }

  async start() {
    this.useTheme(readTheme());
    byId("theme").addEventListener("click", () => {
      this.useTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
      localStorage.setItem("theme", document.documentElement.dataset.theme);
    });
    byId("help-button").addEventListener("click", () => this.help());
    byId("link-button").addEventListener("click", () => this.link().catch(complain));
    addEventListener("keydown", (event) => {
      if (event.key === "?" && !isTyping(event)) this.help();
    });
    addEventListener("hashchange", () => this.route());
    try {
      this.state = await getJson("api/state");
    } catch (error) {
      byId("main").replaceChildren(make("p", { class: "empty" }, error.message));
      return;
    }
    this.showThings();
    await this.route();
    this.watch();
  }

  async refresh() {
    this.state = await getJson("api/state");
    this.showThings();
  }

  useTheme(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
  }

  showThings() {
    byId("things").replaceChildren(...this.state.things.map((thing) => {
      return make("a", { href: `#${thing.kind}/${thing.id}`, title: thing.name }, thing.name);
    }));
  }

  // #KIND/THING, #photo/THING/PHOTO
  async route() {
    const [, thingId, photoId] = location.hash.slice(1).split("/");
    const thing = this.state.things.find(({ id }) => id === thingId) ?? this.state.things[0];
    if (!thing) return;
    const turn = this.turn = {};
    for (const link of byId("things").children) {
      if (link.hash.split("/")[1] === thing.id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    try {
      const view = await this.open(thing, photoId, turn);
      if (view && turn !== this.turn) view.close();
    } catch (error) {
      if (turn !== this.turn) return;
      byId("main").replaceChildren(make("p", { class: "empty bad" }, error.message));
    }
  }

  async open(thing, photoId, turn) {
    let id = photoId;
    const View = { out: FolderView, runs: RunsView }[thing.kind];
    if (View && !id) {
      this.view?.close();
      byId("where").textContent = "";
      document.title = `${thing.name} – pconv_hpc`;
      this.view = new View(byId("main"), thing);
      return this.view;
    }
    if (!id) {
      const { photos } = await getJson(`api/things/${thing.id}/photos?count=1`);
      if (!photos.length) throw new Refused(0, `${thing.name}: no photos in it`);
      id = photos[0].id;
    }
    if (this.view?.photo?.id === id) return this.view;
    const photo = await getJson(`api/photos/${id}`);
    if (turn !== this.turn) return null;
    this.view?.close();
    this.view = null;
    this.view = new PhotoView(byId("main"), thing, photo);
    byId("where").textContent = photo.name;
    document.title = `${photo.name} – pconv_hpc`;
    return this.view;
  }

  // Say what the server is at.
  async watch() {
    for (;;) {
      await wait(1500);
      if (document.hidden) continue;
      try {
        this.state = await getJson("api/state");
        const busy = Object.values(this.state.processes).find(({ waiting }) => waiting > 0);
        byId("activity").classList.toggle("busy", Boolean(busy));
        byId("activity").textContent = busy ? capital(busy.text) : "";
      } catch (error) {
        byId("activity").textContent = error.message;
      }
    }
  }

  // A link that works once, as the one that was printed at the start.
  async link() {
    const { token } = await postJson("api/links");
    byId("link").hidden = false;
    byId("link").textContent = `${location.origin}${location.pathname}?token=${token}`;
  }

  help() {
    byId("link").hidden = true;
    const keys = this.view?.keys ?? [];
    byId("help-keys").replaceChildren(...keys.flatMap(([key, what]) => [make("kbd", {}, key), make("span", {}, what)]));
    if (!byId("help").open) byId("help").showModal();
  }
}

function readTheme() {
  const kept = localStorage.getItem("theme");
  return kept ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

const frame = new Frame();
frame.start();
