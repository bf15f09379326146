// The chords of a song: changed one by one in a dialog, and taken along as text.
import { byId, h, setText } from "./dom.js";
import { chordSheet, plainChord, transposed } from "./chords.js";

const SOON_S = 0.05;

/** player: tells the position and the pitch; title(): of the song. */
export class ChordEditor {
  constructor(grid, player, title) {
    Object.assign(this, { grid, player, title });
    byId("chord-change").addEventListener("click", () => this.change(this.indexAt(player.position)));
    byId("chord-new").addEventListener("click", () => this.add());
    byId("chord-sheet").addEventListener("click", () => this.download());
    grid.addEventListener("change", () => this.show());
    this.show();
  }

  show() {
    byId("chords-tool").hidden = !this.grid.exists;
    byId("chord-change").disabled = byId("chord-sheet").disabled = !this.grid.chords.length;
  }

  indexAt(seconds) {
    const next = this.grid.chords.findIndex((chord) => chord.start_s > seconds + SOON_S);
    return (next < 0 ? this.grid.chords.length : next) - 1;
  }

  /** Ask for the name of a chord; the first one if there is none yet at the position. */
  async change(at) {
    const { chords } = this.grid;
    const index = Math.max(0, at);
    const answer = await this.ask(index, chords[index].name);
    if (answer === "join") this.set(chords.filter((_, other) => other !== index));
    else if (answer !== null) this.set(chords.map((chord, other) => (other === index ? { ...chord, name: answer } : chord)));
  }

  /** A chord from the nearest beat on. */
  async add() {
    const start = Math.max(0, this.grid.snap(this.player.position, "beat"));
    const index = this.indexAt(start);
    const { chords } = this.grid;
    if (index >= 0 && Math.abs(chords[index].start_s - start) < SOON_S) return this.change(index);
    const answer = await this.ask(-1, "");
    if (answer !== null && answer !== "join") this.set([...chords.slice(0, index + 1), { start_s: start, name: answer }, ...chords.slice(index + 1)]);
  }

  /** The name, "join", or null if it is to stay. Names are shown and typed at the pitch that is heard. */
  ask(index, name) {
    const { semitones } = this.player.tempo;
    const dialog = byId("chord");
    const field = byId("chord-name");
    setText(byId("chord-title"), index < 0 ? "New chord" : this.place(index));
    dialog.querySelector("[value=join]").hidden = index < 1;
    field.value = transposed(name, semitones);
    dialog.returnValue = "";
    dialog.showModal();
    field.focus();
    field.select();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        const wanted = { yes: transposed(plainChord(field.value), -semitones), join: "join" }[dialog.returnValue];
        resolve(wanted ?? null);
      }, { once: true });
    });
  }

  place(index) {
    const { bar, beat } = this.grid.countAt(Math.round(this.grid.placeAt(this.grid.chords[index].start_s)));
    return `Chord in bar ${bar}${beat > 1 ? `, beat ${beat}` : ""}`;
  }

  /** Neighbours of one name are one chord. */
  set(chords) {
    this.grid.set({ chords: chords.filter((chord, index) => !index || chord.name !== chords[index - 1].name) });
  }

  download() {
    const text = chordSheet(this.title(), this.grid, this.player.tempo.semitones);
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    h("a", { href: url, download: `${this.title()} - chords.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}
