// Beats and bars of a song. A place is the number of a beat, with a fraction between two of them;
// before the first and after the last one beats go on at the tempo they have there.
import { call } from "./api.js";

const SAVE_MS = 200;
const AGAIN_MS = 3000; // while the server is away
const AROUND = 8; // beats that tell the tempo at a place
export const SLOWEST_BPM = 30;
export const FASTEST_BPM = 300;

const modulo = (number, by) => ((number % by) + by) % by;

/** Events: "change", "problem" (detail: Error), "saved". unsaved: whether corrections are not on the server yet. */
export class Grid extends EventTarget {
  constructor(base, duration) {
    super();
    Object.assign(this, { base, duration, beats: [], perBar: 4, first: 0, chords: [], edited: false, loaded: false, unsaved: false });
  }

  /** A correction of just now is kept even if the page is left; those of another page are here when this one is seen again. */
  connect() {
    addEventListener("pagehide", () => { if (this.saving) this.save(); });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.loaded && !this.unsaved) this.load().catch(() => {}); // what is here will do
    });
  }

  get exists() {
    return this.beats.length > 1;
  }

  async load() {
    this.take(await call("GET", `${this.base}/music`));
  }

  take({ beats, beats_in_bar: perBar, first, chords, edited }) {
    Object.assign(this, { beats, perBar, first, chords, edited, loaded: true });
    this.dispatchEvent(new Event("change"));
  }

  // ---------------------------------------------------------------- places and times

  placeAt(seconds) {
    const { beats } = this;
    const last = beats.length - 1;
    if (seconds <= beats[0]) return (seconds - beats[0]) / this.beatAt(0);
    if (seconds >= beats[last]) return last + (seconds - beats[last]) / this.beatAt(last);
    let [low, high] = [0, last];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (beats[middle] <= seconds) low = middle;
      else high = middle;
    }
    return low + (seconds - beats[low]) / (beats[high] - beats[low]);
  }

  timeOf(place) {
    const { beats } = this;
    const last = beats.length - 1;
    if (place <= 0) return beats[0] + place * this.beatAt(0);
    if (place >= last) return beats[last] + (place - last) * this.beatAt(last);
    const low = Math.floor(place);
    return beats[low] + (place - low) * (beats[low + 1] - beats[low]);
  }

  /** Seconds of a beat around a place. */
  beatAt(place) {
    const last = this.beats.length - 1;
    const from = Math.max(0, Math.min(last - AROUND, Math.floor(place) - AROUND / 2));
    const to = Math.min(last, from + AROUND);
    return (this.beats[to] - this.beats[from]) / (to - from);
  }

  /** Beats a minute of the whole song. */
  get tempo() {
    const steps = this.beats.slice(1).map((time, index) => time - this.beats[index]).sort((a, b) => a - b);
    return 60 / steps[steps.length >> 1];
  }

  isFirst(beat) {
    return modulo(beat - this.first, this.perBar) === 0;
  }

  /** Bar and beat at a place, counted from 1; bars before the first whole one are 0 and less. */
  countAt(place) {
    const beat = Math.floor(place + 1e-6) - this.first;
    return { bar: Math.floor(beat / this.perBar) + 1, beat: modulo(beat, this.perBar) + 1 };
  }

  /** The nearest beat ("beat") or beginning of a bar ("bar"), in seconds. */
  snap(seconds, unit) {
    if (!this.exists || unit === "off") return seconds;
    const [size, first] = unit === "bar" ? [this.perBar, this.first] : [1, 0];
    return this.timeOf(Math.round((this.placeAt(seconds) - first) / size) * size + first);
  }

  /** So many beats or bars further than a time; first to the nearest one in that direction. */
  step(seconds, count, unit) {
    const [size, first] = unit === "bar" ? [this.perBar, this.first] : [1, 0];
    const place = (this.placeAt(seconds) - first) / size;
    const whole = count > 0 ? Math.floor(place + 0.02) : Math.ceil(place - 0.02);
    return this.timeOf((whole + count) * size + first);
  }

  /** The numbers of the beats from one time to before another. */
  within(start, end) {
    const from = Math.ceil(this.placeAt(start) - 1e-6);
    const to = Math.ceil(this.placeAt(end) - 1e-6);
    return Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
  }

  // ---------------------------------------------------------------- corrections

  set(change) {
    Object.assign(this, change, { edited: true });
    this.first = modulo(this.first, this.perBar);
    this.unsaved = true;
    this.dispatchEvent(new Event("change"));
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.save(), SAVE_MS);
  }

  async save() {
    clearTimeout(this.saving);
    this.saving = 0;
    const { beats, perBar, first, chords } = this;
    try {
      await call("PUT", `${this.base}/music`, { beats, beats_in_bar: perBar, first, chords });
      if (this.saving) return; // corrected again in the meantime
      this.unsaved = false;
      this.dispatchEvent(new Event("saved"));
    } catch (error) {
      if (error.code === "away" && !this.saving) this.saving = setTimeout(() => this.save(), AGAIN_MS);
      this.dispatchEvent(new CustomEvent("problem", { detail: error }));
    }
  }

  /** Back to what was found. */
  async forget() {
    clearTimeout(this.saving);
    this.saving = 0;
    this.unsaved = false;
    this.take(await call("DELETE", `${this.base}/music`));
  }

  shift(seconds) {
    const moved = this.beats.map((time) => time + seconds);
    const gone = moved.findIndex((time) => time >= 0);
    this.set({ beats: moved.slice(gone).map(rounded), first: this.first - gone });
  }

  /** Move all beats so that the nearest of them falls at this time. */
  putBeatAt(seconds) {
    this.shift(seconds - this.timeOf(Math.round(this.placeAt(seconds))));
  }

  halve() {
    const odd = modulo(this.first, 2);
    this.set({ beats: this.beats.filter((_, index) => index % 2 === odd), first: (this.first - odd) / 2 });
  }

  double() {
    const beats = this.beats.flatMap((time, index) => (
      index + 1 < this.beats.length ? [time, rounded((time + this.beats[index + 1]) / 2)] : [time]));
    this.set({ beats, first: this.first * 2 });
  }

  /** A bar begins at the beat nearest to this time. */
  beginBarAt(seconds) {
    this.set({ first: Math.round(this.placeAt(seconds)) });
  }

  setPerBar(count, seconds) {
    const { perBar } = this;
    const start = this.first + Math.floor((this.placeAt(seconds) - this.first) / perBar) * perBar;
    this.set({ perBar: count, first: start });
  }

  /** Steady beats from the beginning to the end, one of them at this time. */
  setTempo(bpm, seconds) {
    const beat = 60 / Math.min(FASTEST_BPM, Math.max(SLOWEST_BPM, bpm));
    const before = Math.floor(seconds / beat);
    const start = seconds - before * beat;
    const inside = Math.floor((this.duration - start) / beat) + 1; // one alone has no tempo
    const beats = Array.from({ length: Math.max(2, inside) }, (_, k) => rounded(start + k * beat));
    this.set({ beats, first: before });
  }
}

const rounded = (seconds) => Math.round(seconds * 1e4) / 1e4;

/** The tempo of taps: the median of what lies between the last of them; null before the fourth. */
export class Taps {
  constructor() {
    this.times = [];
  }

  /** now: seconds of any clock. */
  tap(now) {
    if (this.times.length && now - this.times.at(-1) > 2.5) this.times = [];
    this.times = [...this.times, now].slice(-12);
    if (this.times.length < 4) return null;
    return (60 * (this.times.length - 1)) / (this.times.at(-1) - this.times[0]);
  }
}
