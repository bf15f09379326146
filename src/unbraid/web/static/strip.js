// The lane of bars and chords above the waveforms: numbers and lines of bars, and chords in time.
import { byId, colour, h, setText, sharpCanvas } from "./dom.js";
import { shownChord, transposed } from "./chords.js";

const BEAT_PX = 9; // narrower than this, beats have no lines
const NUMBER_PX = 34;
const [CHORD_PX, LETTER_PX] = [4, 9]; // that the name of a chord needs

/** grid: a Grid; view: a View. onChord(index) is called for a chord that was clicked. */
export class Strip {
  constructor(grid, view, onChord) {
    Object.assign(this, { grid, view, onChord, semitones: 0, current: null });
    this.canvas = byId("bars");
    this.list = byId("chords");
    view.addEventListener("change", () => this.redraw());
    grid.addEventListener("change", () => { this.fill(); this.redraw(); });
    new ResizeObserver(() => this.redraw()).observe(this.canvas);
  }

  setSemitones(semitones) {
    if (this.semitones === semitones) return;
    this.semitones = semitones;
    this.fill();
    this.redraw();
  }

  /** A button for each chord. */
  fill() {
    const { chords } = this.grid;
    byId("bars-row").hidden = !this.grid.exists;
    this.list.hidden = !chords.length;
    this.buttons = chords.map((chord, index) => {
      const name = shownChord(transposed(chord.name, this.semitones));
      return h("button", { type: "button", class: "chord", tabindex: "-1", title: name ? `${name}: change` : "No chord: change",
        "aria-label": name || "No chord", onclick: () => this.onChord(index) }, name);
    });
    this.list.replaceChildren(...this.buttons);
    this.current = null;
  }

  redraw() {
    this.drawBars();
    const { chords } = this.grid;
    this.buttons?.forEach((button, index) => {
      const left = this.view.fractionOf(chords[index].start_s);
      const right = index + 1 < chords.length ? this.view.fractionOf(chords[index + 1].start_s) : this.view.fractionOf(this.view.duration);
      button.hidden = right <= 0 || left >= 1;
      const width = (Math.min(1, right) - Math.max(0, left)) * this.canvas.clientWidth;
      button.classList.toggle("narrow", width < CHORD_PX + LETTER_PX * button.textContent.length);
      button.style.setProperty("left", `${(100 * Math.max(0, left)).toFixed(3)}%`);
      button.style.setProperty("width", `${(100 * (Math.min(1, right) - Math.max(0, left))).toFixed(3)}%`);
    });
  }

  /** Mark the chord that sounds. */
  follow(seconds) {
    if (!this.buttons?.length) return;
    const next = this.grid.chords.findIndex((chord) => chord.start_s > seconds + 1e-3);
    const now = this.buttons[(next < 0 ? this.buttons.length : next) - 1] || null;
    if (now === this.current) return;
    this.current?.classList.remove("now");
    now?.classList.add("now");
    this.current = now;
    setText(byId("chord-now"), now ? now.textContent : "");
  }

  drawBars() {
    const { canvas, grid, view } = this;
    const sharp = grid.exists && sharpCanvas(canvas);
    if (!sharp) return;
    const { context, width, height } = sharp;
    const beatPx = (grid.beatAt(grid.placeAt(view.from)) / view.span) * width;
    const every = [1, 2, 4, 8, 16, 32, 64, 128].find((bars) => bars * grid.perBar * beatPx >= NUMBER_PX) || 256;
    for (const beat of grid.within(view.from, view.from + view.span)) {
      const isFirst = grid.isFirst(beat);
      if (!isFirst && beatPx < BEAT_PX) continue;
      const { bar } = grid.countAt(beat);
      const isNumbered = isFirst && (bar - 1) % every === 0;
      if (isFirst && !isNumbered && grid.perBar * beatPx < BEAT_PX) continue;
      const x = Math.round(view.fractionOf(grid.timeOf(beat)) * width);
      context.fillStyle = colour(isFirst ? "--edge" : "--line");
      context.fillRect(x, isFirst ? 0 : height - 5, 1, height);
      if (!isNumbered) continue;
      context.fillStyle = colour("--soft");
      context.fillText(String(bar), x + 4, 2);
    }
  }
}
