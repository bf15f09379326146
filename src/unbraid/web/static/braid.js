// A braid that comes apart: the sign of this program, and its progress bar. Up to where the work is
// done the strands lie side by side in their colours; from there on they are still one braid.
import { colour, motionIsReduced, onSchemeChange } from "./dom.js";

const STRANDS = ["--drums", "--bass", "--other", "--vocals"];
const STEP = 1.5; // px between the points of a drawn strand

/** A canvas that shows how far a braid has come apart. */
export class Braid {
  /**
   * canvas: sized by CSS. thick: width of a strand, px. wave: length of one turn, px.
   * opening: px over which the strands part. faded: whether the braid itself is grey.
   * mirrored: braided on the left, apart on the right.
   */
  constructor(canvas, { thick = 2, wave = 48, opening = 60, faded = true, mirrored = false } = {}) {
    Object.assign(this, { canvas, thick, wave, opening, faded, mirrored });
    this.shown = 0;
    this.wanted = 0;
    this.frame = 0;
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(canvas);
    this.forgetScheme = onSchemeChange(() => this.fit());
  }

  /** 0: all braided, 1: all apart. */
  set(part, { glide = true } = {}) {
    if (part === this.wanted && glide) return;
    this.wanted = part;
    if (!glide || motionIsReduced()) this.shown = part;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.tick());
  }

  fit() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.colours = STRANDS.map((name) => colour(name));
    this.grey = colour("--edge");
    this.ground = colour("--ground", this.canvas);
    this.draw();
  }

  tick() {
    this.frame = 0;
    const gap = this.wanted - this.shown;
    this.shown = Math.abs(gap) < 0.001 ? this.wanted : this.shown + gap * 0.12;
    this.draw();
    if (this.shown !== this.wanted) this.frame = requestAnimationFrame(() => this.tick());
  }

  /** The middle of where the strands part, px. */
  get edge() {
    return this.shown * (this.width + 2 * this.opening) - this.opening;
  }

  /** How braided it is at x: 0 to 1. */
  braided(x) {
    const raw = Math.min(1, Math.max(0, (x - this.edge) / this.opening + 0.5));
    return raw * raw * (3 - 2 * raw);
  }

  /** The height of strand k at x. */
  y(k, x) {
    const room = this.height / 2 - this.thick;
    const lane = (k - (STRANDS.length - 1) / 2) * ((2 * room) / (STRANDS.length - 1));
    const woven = Math.sin(this.turn(k, x)) * room * 0.72;
    return this.height / 2 + lane + (woven - lane) * this.braided(x);
  }

  turn(k, x) {
    return (2 * Math.PI * x) / this.wave + (k * Math.PI) / 2;
  }

  draw() {
    if (!this.width || !this.height) return;
    const context = this.canvas.getContext("2d");
    const ratio = this.canvas.width / this.width;
    context.setTransform(this.mirrored ? -ratio : ratio, 0, 0, ratio, this.mirrored ? this.canvas.width : 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const apart = Math.max(0, Math.min(this.width, this.edge - this.opening / 2));
    if (apart > 0) STRANDS.forEach((_, k) => this.strand(context, k, 0, apart, false));
    // Within an eighth of a turn, no two strands change which of them lies in front.
    const eighth = this.wave / 8;
    for (let x = apart; x < this.width; x = (Math.floor(x / eighth + 1e-6) + 1) * eighth) {
      const to = Math.min(this.width, (Math.floor(x / eighth + 1e-6) + 1) * eighth);
      const front = (k) => Math.sin(2 * this.turn(k, (x + to) / 2) + (k % 2) * Math.PI);
      const order = STRANDS.map((_, k) => k).sort((a, b) => front(a) - front(b));
      for (const k of order) this.strand(context, k, x, to, true);
    }
  }

  strand(context, k, from, to, rimmed) {
    context.beginPath();
    context.moveTo(from, this.y(k, from));
    for (let x = from + STEP; x < to && rimmed; x += STEP) context.lineTo(x, this.y(k, x));
    context.lineTo(to + 0.5, this.y(k, to + 0.5));
    if (rimmed) { // a rim of ground lets the front strand pass over the others
      context.strokeStyle = this.ground;
      context.lineWidth = this.thick * 1.9;
      context.stroke();
    }
    context.lineWidth = this.thick;
    context.strokeStyle = this.faded && this.braided(from) > 0.5 ? this.grey : this.colours[k];
    context.stroke();
  }

  remove() {
    this.observer.disconnect();
    this.forgetScheme();
    cancelAnimationFrame(this.frame);
  }
}
