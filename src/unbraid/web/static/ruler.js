// The time ruler: ticks, the position, and the loop, which is dragged out on it.
import { byId, colour, setText, sharpCanvas } from "./dom.js";
import { clock, fineClock } from "./format.js";

const SHORTEST_S = 0.25;
const DRAG_PX = 5; // less is a click
const STEPS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];

/** Events: "seek" (detail: seconds), "loop" (detail: { start, end } or null). snap, snapSpan: move a time, both ends of a loop, to beats. */
export class Ruler extends EventTarget {
  constructor(view) {
    super();
    this.view = view;
    this.duration = view.duration;
    this.snap = (seconds) => seconds;
    this.snapSpan = (span) => span;
    this.element = byId("ruler");
    this.region = byId("region");
    this.grips = { start: byId("grip-start"), end: byId("grip-end") };
    this.span = null; // { start, end } in seconds, also while the loop is off
    this.on = false;
    this.connectDrag();
    for (const edge of ["start", "end"]) this.connectGrip(edge);
    new ResizeObserver(() => this.drawTicks()).observe(this.element);
    view.addEventListener("change", () => this.redraw());
  }

  secondsAt(clientX) {
    const box = this.element.getBoundingClientRect();
    return this.view.secondsAt((clientX - box.left) / box.width);
  }

  connectDrag() {
    let from = null;
    const span = (event) => {
      const [a, b] = [from, event.clientX].map((x) => this.secondsAt(x));
      return this.snapSpan({ start: Math.min(a, b), end: Math.max(a, b) });
    };
    this.element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest(".grip")) return;
      from = event.clientX;
      this.element.setPointerCapture(event.pointerId);
    });
    this.element.addEventListener("pointermove", (event) => {
      if (from !== null && Math.abs(event.clientX - from) > DRAG_PX) this.show(span(event), true);
    });
    this.element.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const dragged = Math.abs(event.clientX - from) > DRAG_PX;
      if (dragged) this.set(span(event));
      else this.dispatchEvent(new CustomEvent("seek", { detail: this.secondsAt(event.clientX) }));
      from = null;
    });
    this.element.addEventListener("pointercancel", () => { from = null; this.show(this.span, this.on); });
  }

  connectGrip(edge) {
    const grip = this.grips[edge];
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      event.stopPropagation();
    });
    grip.addEventListener("pointermove", (event) => {
      if (grip.hasPointerCapture(event.pointerId)) this.show(this.moved(edge, this.snap(this.secondsAt(event.clientX))), this.on);
    });
    grip.addEventListener("pointerup", (event) => {
      this.set(this.moved(edge, this.snap(this.secondsAt(event.clientX))), this.on);
      event.stopPropagation();
    });
    grip.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
      this.set(this.moved(edge, this.span[edge] + step * (event.shiftKey ? 1 : 0.1)), this.on);
      event.preventDefault();
      event.stopPropagation();
    });
  }

  /** The loop with one end elsewhere, but never inside out. */
  moved(edge, seconds) {
    const { start, end } = this.span;
    if (edge === "start") return { start: Math.max(0, Math.min(seconds, end - SHORTEST_S)), end };
    return { start, end: Math.min(this.duration, Math.max(seconds, start + SHORTEST_S)) };
  }

  set(span, on = true) {
    const end = Math.min(this.duration, Math.max(span.end, span.start + SHORTEST_S));
    this.span = { start: Math.max(0, Math.min(span.start, end - SHORTEST_S)), end };
    this.on = on;
    this.show(this.span, on);
    this.dispatchEvent(new CustomEvent("loop", { detail: on ? this.span : null }));
  }

  /** On or off; without a loop yet, this one, as { start, end }. */
  toggle(usual) {
    if (this.span) this.set(this.span, !this.on);
    else this.set(usual);
  }

  /** One end at this position, the other where it was or at the end of the song. */
  mark(edge, position) {
    const span = this.span || { start: 0, end: this.duration };
    const other = edge === "start" ? "end" : "start";
    const marked = { ...span, [edge]: position };
    if (marked.end - marked.start < SHORTEST_S) marked[other] = edge === "start" ? this.duration : 0;
    this.set(marked);
  }

  show(span, on) {
    const { region, grips } = this;
    for (const element of [region, grips.start, grips.end]) element.hidden = !span;
    byId("loop").setAttribute("aria-pressed", String(Boolean(span && on)));
    byId("desk").classList.toggle("looping", Boolean(span && on));
    setText(byId("loop-told"), span ? `${fineClock(span.start)} – ${fineClock(span.end)}` : "Drag the ruler to loop");
    if (!span) return;
    const style = byId("desk").style;
    style.setProperty("--loop-start", this.view.fractionOf(span.start).toFixed(6));
    style.setProperty("--loop-end", this.view.fractionOf(span.end).toFixed(6));
    for (const edge of ["start", "end"]) {
      grips[edge].setAttribute("aria-valuemin", "0");
      grips[edge].setAttribute("aria-valuemax", this.duration.toFixed(2));
      grips[edge].setAttribute("aria-valuenow", span[edge].toFixed(2));
      grips[edge].setAttribute("aria-valuetext", fineClock(span[edge]));
    }
  }

  redraw() {
    this.show(this.span, this.on);
    this.drawTicks();
  }

  drawTicks() {
    const sharp = sharpCanvas(byId("ticks"));
    if (!sharp) return;
    const { context, width, height } = sharp;
    const { from, span } = this.view;
    const step = STEPS_S.find((one) => (one / span) * width >= 64) || 3600;
    for (let number = Math.floor((from * 5) / step); number * step / 5 <= from + span; number++) {
      const seconds = (number * step) / 5;
      const x = Math.round(this.view.fractionOf(seconds) * width);
      const long = number % 5 === 0;
      context.fillStyle = colour(long ? "--edge" : "--line");
      context.fillRect(x, height - (long ? 8 : 5), 1, long ? 8 : 5);
      context.fillStyle = colour("--soft");
      const label = step < 1 ? fineClock(seconds) : clock(seconds);
      const half = context.measureText(label).width / 2;
      if (long && x + 2 * half < width && (x > half || !x)) context.fillText(label, x - (x ? half : 0), 5);
    }
  }
}
