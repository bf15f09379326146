// Names of chords: how they are shown, transposed and written down.

const SHARP = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const FLAT = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"];
const NATURAL = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const ROOT = /^([A-G])([#b♯♭]?)/;
const FLAT_ROOTS = [1, 3, 8, 10]; // as they are mostly written: Db, Eb, Ab, Bb; but F#

function moved(root, semitones) {
  const [, letter, sign] = root.match(ROOT);
  const pitch = NATURAL[letter] + ({ "#": 1, "♯": 1, b: -1, "♭": -1 }[sign] || 0) + semitones;
  const number = ((pitch % 12) + 12) % 12;
  return (FLAT_ROOTS.includes(number) ? FLAT : SHARP)[number];
}

/** "F#m7/C#", 1 -> "Gm7/D". What does not begin with a note stays as it is. */
export function transposed(name, semitones) {
  if (!semitones) return name;
  return name.split("/").map((piece) => (
    ROOT.test(piece) ? moved(piece, semitones) + piece.replace(ROOT, "") : piece)).join("/");
}

/** "F#m" -> "F♯m", "Bb" -> "B♭". */
export const shownChord = (name) => name.replace(/([A-G])#/g, "$1♯").replace(/([A-G])b/g, "$1♭");

/** "♯" and "♭" as they are kept; surplus spaces gone. */
export const plainChord = (text) => text.trim().replace(/\s+/g, " ").replaceAll("♯", "#").replaceAll("♭", "b").slice(0, 16);

/** All chords as text: four bars a line; "/" where a bar goes on with the chord before. */
export function chordSheet(title, grid, semitones) {
  const names = new Map(); // beat -> name
  for (const chord of grid.chords) {
    const beat = Math.round(grid.placeAt(Math.max(0, chord.start_s)));
    names.set(beat, transposed(chord.name, semitones) || "N.C.");
  }
  const bars = [];
  const last = Math.ceil(grid.placeAt(grid.duration));
  const start = grid.first > 0 ? grid.first - grid.perBar : grid.first;
  for (let beat = start; beat < last; beat += grid.perBar) {
    const inside = Array.from({ length: grid.perBar }, (_, k) => names.get(beat + k));
    bars.push(inside.some(Boolean) ? inside.map((name) => name || "/").join(" ").replace(/( \/)+$/, "") : "/");
  }
  const lines = [];
  for (let bar = 0; bar < bars.length; bar += 4) lines.push(`| ${bars.slice(bar, bar + 4).join(" | ")} |`);
  const facts = `${Math.round(grid.tempo)} bpm, ${grid.perBar} beats in a bar`;
  return `${title}\n${facts}\n\n${lines.join("\n")}\n`;
}
