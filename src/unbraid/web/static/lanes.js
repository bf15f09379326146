// One lane for each part: its name, mute, solo, fader and level on the left, its waveform on the right.
import { h, setText } from "./dom.js";
import { LOUDEST } from "./mix.js";
import { decibels, partClass, partName } from "./format.js";
import { drawWave } from "./waves.js";

const SOFTEST_DB = -40; // the lowest step of a fader: off
const LOUDEST_DB = 20 * Math.log10(LOUDEST);

const toDb = (gain) => (gain <= 0 ? SOFTEST_DB : Math.max(SOFTEST_DB, 20 * Math.log10(gain)));
const toGain = (db) => (db <= SOFTEST_DB ? 0 : Math.abs(db) < 0.25 ? 1 : 10 ** (db / 20));

/** A part of the song, or "original", which has no fader of its own. */
export class Lane {
  constructor(part, mix, view) {
    Object.assign(this, { part, mix, view });
    this.isOriginal = part === "original";
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.cursor = h("div", { class: "cursor" });
    this.wave = h("div", { class: "wave" }, this.canvas, this.cursor);
    this.meter = h("div", { class: "meter", "aria-hidden": "true" }, h("i"));
    this.element = h("div", { class: `lane ${partClass(part)}`, role: "group", tabindex: "-1",
      "aria-label": partName(part), dataset: { part } },
      h("div", { class: "strip" }, ...(this.isOriginal ? this.originalStrip() : this.strip()), this.meter), this.wave);
    this.peaks = null;
  }

  strip() {
    const name = partName(this.part).toLowerCase();
    const press = (letter, label, action) => h("button", { type: "button", class: "letter", "aria-pressed": "false",
      "aria-label": `${label} ${name}`, title: `${label} (${letter})`, onclick: action }, letter);
    this.mute = press("M", "Mute", () => this.mix.toggleMute(this.part));
    this.solo = press("S", "Solo", () => this.mix.toggleSolo(this.part));
    this.fader = h("input", { type: "range", min: SOFTEST_DB, max: LOUDEST_DB.toFixed(1), step: "0.5",
      "aria-label": `Volume of ${name}`, title: "Double-click to reset",
      oninput: () => this.mix.setGain(this.part, toGain(Number(this.fader.value))),
      ondblclick: () => this.mix.setGain(this.part, 1) });
    this.told = h("span", { class: "told" });
    return [h("h3", { class: "chip" }, partName(this.part)), h("div", { class: "letters" }, this.mute, this.solo),
      h("div", { class: "fader" }, this.fader, this.told)];
  }

  originalStrip() {
    return [h("h3", { class: "chip" }, "Original")];
  }

  /** One step of the fader up or down. */
  nudge(steps) {
    if (!this.isOriginal) this.mix.setGain(this.part, toGain(toDb(this.mix.faders.get(this.part).gain) + steps));
  }

  showMix() {
    this.element.classList.toggle("silent", this.isOriginal ? !this.mix.original
      : this.mix.original || this.mix.gainOf(this.part) === 0);
    if (this.isOriginal) return;
    const { gain, muted, soloed } = this.mix.faders.get(this.part);
    this.mute.setAttribute("aria-pressed", String(muted));
    this.solo.setAttribute("aria-pressed", String(soloed));
    const db = toDb(gain);
    if (Math.abs(Number(this.fader.value) - db) > 0.3) this.fader.value = String(db);
    this.fader.setAttribute("aria-valuetext", decibels(gain));
    setText(this.told, decibels(gain));
  }

  /** pairs: see `drawWave`. */
  showPeaks(pairs, scale) {
    this.peaks = { pairs, scale };
    this.redraw();
  }

  redraw() {
    const { from, span, duration } = this.view;
    drawWave(this.canvas, this.peaks?.pairs, this.peaks?.scale, from / duration, (from + span) / duration);
  }

  /** Root mean square, shown on a scale of 54 dB. */
  showLevel(level) {
    const height = level > 0 ? Math.min(1, Math.max(0, 1 + Math.log10(level) / 2.7)) : 0;
    this.meter.style.setProperty("--level", height.toFixed(3));
  }
}
