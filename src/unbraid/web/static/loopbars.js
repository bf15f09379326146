// Loops by bars: ends that snap to bars or beats, loops that get longer or shorter, or move.
import { byId, setText } from "./dom.js";
import { counted } from "./format.js";

const USUAL_BARS = 4;
const USUAL_S = 8; // of a loop where there are no beats
const LEAST_S = 1; // before the end of the song
const STEP_S = 1;

export class LoopBars {
  /** changed() is called when somebody chooses another unit. */
  constructor(ruler, grid, changed) {
    Object.assign(this, { ruler, grid, unit: "bar" });
    ruler.snap = (seconds) => this.inside(grid.snap(seconds, this.unit));
    ruler.snapSpan = (span) => this.snapped(span);
    byId("loop-back").addEventListener("click", () => this.move(-1));
    byId("loop-on").addEventListener("click", () => this.move(1));
    byId("loop-shorter").addEventListener("click", () => this.resize(-1));
    byId("loop-longer").addEventListener("click", () => this.resize(1));
    byId("snap").addEventListener("change", (event) => { this.setUnit(event.target.value); changed(); });
    ruler.addEventListener("loop", () => this.show());
    grid.addEventListener("change", () => this.show());
    this.show();
  }

  setUnit(unit) {
    if (["bar", "beat", "off"].includes(unit)) this.unit = unit;
    byId("snap").value = this.unit;
    this.show();
  }

  get counts() {
    return this.grid.exists && this.unit !== "off";
  }

  inside(seconds) {
    return Math.min(this.ruler.duration, Math.max(0, seconds));
  }

  /** Both ends on bars or beats, at least one apart. */
  snapped(span) {
    if (!this.counts) return span;
    const [start, end] = [span.start, span.end].map((seconds) => this.inside(this.grid.snap(seconds, this.unit)));
    return { start, end: end > start + 1e-3 ? end : this.inside(this.grid.step(start + 1e-3, 1, this.unit)) };
  }

  /** The loop that begins at a position if there was none; near the end of the song, one that ends there. */
  usual(position) {
    const { duration } = this.ruler;
    if (!this.counts) {
      const start = Math.max(0, position > duration - LEAST_S ? duration - USUAL_S : position);
      return { start, end: this.inside(start + USUAL_S) };
    }
    let start = this.inside(this.grid.snap(position, this.unit));
    if (this.grid.step(start + 1e-3, 1, "bar") > duration + 0.05) start = this.inside(this.grid.step(duration - 0.05, -USUAL_BARS, "bar"));
    return { start, end: this.inside(this.grid.step(start + 1e-3, USUAL_BARS, "bar")) };
  }

  /** One end at a position. */
  mark(edge, position) {
    this.ruler.mark(edge, this.ruler.snap(position));
  }

  /** By its own length, to the next bars of as many. */
  move(direction) {
    const { span, on } = this.ruler;
    if (!span) return;
    const { start, end } = this.moved(span, direction);
    const fits = start >= -0.05 && end <= this.ruler.duration + 0.05;
    if (fits) this.ruler.set({ start: this.inside(start), end: this.inside(end) }, on);
  }

  moved({ start, end }, direction) {
    if (!this.grid.exists) return { start: start + direction * (end - start), end: end + direction * (end - start) };
    const [from, to] = [start, end].map((seconds) => this.grid.placeAt(seconds));
    const by = direction * (to - from);
    return { start: this.grid.timeOf(from + by), end: this.grid.timeOf(to + by) };
  }

  /** One bar (or beat, or second) more or less at its end. */
  resize(direction) {
    const { span, on } = this.ruler;
    if (!span) return;
    const end = this.counts ? this.grid.step(span.end, direction, this.unit) : span.end + direction * STEP_S;
    if (end > span.start + 0.2) this.ruler.set({ start: span.start, end: this.inside(end) }, on);
  }

  show() {
    const { span } = this.ruler;
    byId("snap-choice").hidden = !this.grid.exists;
    for (const id of ["loop-back", "loop-on", "loop-shorter", "loop-longer"]) byId(id).disabled = !span;
    setText(byId("loop-bars"), span ? this.told(span) : "No loop: drag the ruler, or press Loop");
  }

  told({ start, end }) {
    const { grid } = this;
    if (!grid.exists) return `${(end - start).toFixed(1)} seconds`;
    const [from, to] = [start, end].map((seconds) => Math.round(grid.placeAt(seconds) * 20) / 20);
    const { bar, beat } = grid.countAt(from);
    const length = to - from;
    const bars = length / grid.perBar;
    const told = Number.isInteger(bars) ? counted(bars, "bar") : `${Number(length.toFixed(1))} beats`;
    return `${told} from bar ${bar}${beat > 1 ? `, beat ${beat}` : ""}`;
  }
}
