// Which stretch of the song the waveforms show: all of it, or some of it, larger.

const SHORTEST_S = 2;
const AHEAD = 0.92; // of the view: where the position turns the page
const BEHIND = 0.08;

/** Events: "change". from, span: in seconds. */
export class View extends EventTarget {
  constructor(duration) {
    super();
    Object.assign(this, { duration, from: 0, span: duration });
  }

  get shortest() {
    return Math.min(SHORTEST_S, this.duration);
  }

  get isClosest() {
    return this.span <= this.shortest;
  }

  get isWhole() {
    return this.span >= this.duration;
  }

  /** 0 at the left edge, 1 at the right; beyond them outside. */
  fractionOf(seconds) {
    return (seconds - this.from) / this.span;
  }

  secondsAt(fraction) {
    return Math.min(this.duration, Math.max(0, this.from + fraction * this.span));
  }

  show(from, span) {
    const was = [this.from, this.span].join();
    this.span = Math.min(this.duration, Math.max(this.shortest, span));
    this.from = Math.min(this.duration - this.span, Math.max(0, from));
    if (was !== [this.from, this.span].join()) this.dispatchEvent(new Event("change"));
  }

  showAll() {
    this.show(0, this.duration);
  }

  /** So many times as large, while what is at `seconds` stays where it is. */
  zoom(factor, seconds) {
    const inside = seconds >= this.from && seconds <= this.from + this.span;
    const fraction = inside ? this.fractionOf(seconds) : 0.5;
    const span = Math.min(this.duration, Math.max(this.shortest, this.span / factor));
    this.show(seconds - fraction * span, span);
  }

  move(seconds) {
    this.show(this.from + seconds, this.span);
  }

  /** Turn the page when the position leaves it, unless somebody looks elsewhere. */
  follow(position) {
    if (position === this.last) return;
    const was = this.fractionOf(this.last ?? position);
    this.last = position;
    const fraction = this.fractionOf(position);
    const looksOn = was >= 0 && was <= 1;
    if (!this.isWhole && looksOn && (fraction < 0 || fraction > AHEAD)) this.show(position - BEHIND * this.span, this.span);
  }
}

/** Wheel with Ctrl and pinching zoom; sideways wheels, and a finger where it is larger, move. */
export function connectView(view, element, secondsAt) {
  element.addEventListener("wheel", (event) => {
    if (event.ctrlKey) view.zoom(Math.exp(-event.deltaY / 200), secondsAt(event.clientX));
    else if (!view.isWhole && (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))) {
      view.move(((event.deltaX || event.deltaY) / element.clientWidth) * view.span);
    } else return;
    event.preventDefault();
  }, { passive: false });
  connectPinch(view, element, secondsAt);
}

function connectPinch(view, element, secondsAt) {
  const fingers = new Map();
  let apart = 0;
  const places = () => [...fingers.values()];
  const middle = () => (places()[0] + places()[1]) / 2;
  const reset = () => { apart = fingers.size === 2 ? Math.abs(places()[0] - places()[1]) : 0; };
  element.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, event.clientX);
    reset();
  });
  element.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const was = fingers.get(event.pointerId);
    fingers.set(event.pointerId, event.clientX);
    const isWave = event.target.closest(".wave");
    if (fingers.size === 1 && isWave && !view.isWhole) {
      view.move(((was - event.clientX) / isWave.clientWidth) * view.span);
    } else if (fingers.size === 2 && apart > 10) {
      const now = Math.max(10, Math.abs(places()[0] - places()[1]));
      view.zoom(now / apart, secondsAt(middle()));
      apart = now;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    element.addEventListener(end, (event) => { fingers.delete(event.pointerId); reset(); });
  }
}
