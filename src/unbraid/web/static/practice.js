// The tools below the lanes: metronome and count-in, and the correction of beats.
import { byId, h, setText } from "./dom.js";
import { counted } from "./format.js";
import { FASTEST_BPM, SLOWEST_BPM, Taps } from "./grid.js";

const SHIFT_S = 0.01;
const MOST_BEATS = 12;

/** Shows and sets a Metronome. changed() is called when somebody has set it. */
export function connectMetronome(metronome, grid, changed) {
  const set = (change) => {
    metronome.set(change);
    show();
    changed();
  };
  const show = () => {
    const { on, level, countIn, everyRound } = metronome;
    byId("metronome").hidden = byId("metronome-tool").hidden = !grid.exists;
    byId("metronome").setAttribute("aria-pressed", String(on));
    byId("metronome-on").checked = on;
    byId("click-level").value = String(level);
    byId("count-in").value = String(countIn);
    byId("every-round").checked = everyRound;
    byId("every-round").disabled = !countIn;
  };
  byId("metronome").addEventListener("click", () => set({ on: !metronome.on }));
  byId("metronome-on").addEventListener("change", (event) => set({ on: event.target.checked }));
  byId("click-level").addEventListener("input", (event) => set({ level: Number(event.target.value) }));
  byId("count-in").addEventListener("change", (event) => set({ countIn: Number(event.target.value) }));
  byId("every-round").addEventListener("change", (event) => set({ everyRound: event.target.checked }));
  grid.addEventListener("change", show);
  show();
  return { toggle: () => { if (grid.exists) set({ on: !metronome.on }); } };
}

/** Shows and corrects a Grid; the player tells the position. */
export function connectBeats(grid, player) {
  const taps = new Taps();
  const click = (id, action) => byId(id).addEventListener("click", action);
  const tap = () => {
    const bpm = taps.tap(performance.now() / 1000);
    setText(byId("tap"), `Tap the tempo: ${bpm ? `${Math.round(bpm)} bpm` : taps.times.length}`);
    // What is tapped is heard at the tempo of now, and means the song's own.
    const own = bpm && bpm / player.tempo.rate;
    if (own >= SLOWEST_BPM && own <= FASTEST_BPM) grid.setTempo(own, player.position);
  };
  byId("beats-in-bar").replaceChildren(...Array.from({ length: MOST_BEATS }, (_, k) => h("option", { value: k + 1 }, String(k + 1))));
  click("first-here", () => grid.beginBarAt(player.position));
  click("beat-here", () => grid.putBeatAt(player.position));
  click("beats-earlier", () => grid.shift(-SHIFT_S));
  click("beats-later", () => grid.shift(SHIFT_S));
  click("beats-half", () => grid.halve());
  click("beats-double", () => grid.double());
  click("beats-forget", () => grid.forget().catch((error) => grid.dispatchEvent(new CustomEvent("problem", { detail: error }))));
  click("tap", tap);
  byId("beats-in-bar").addEventListener("change", (event) => grid.setPerBar(Number(event.target.value), player.position));
  const show = () => {
    const { exists, tempo, perBar, edited } = grid;
    byId("beats-tool").hidden = !grid.loaded;
    for (const id of ["first-here", "beat-here", "beats-earlier", "beats-later", "beats-half", "beats-double", "beats-in-bar"]) byId(id).disabled = !exists;
    byId("beats-half").disabled = !exists || tempo / 2 < SLOWEST_BPM;
    byId("beats-double").disabled = !exists || tempo * 2 > FASTEST_BPM;
    byId("beats-forget").hidden = !edited;
    byId("beats-in-bar").value = String(perBar);
    const facts = [exists ? `${tempo.toFixed(1)} bpm` : "No steady beat was found", exists && `${counted(perBar, "beat")} in a bar`, edited && "corrected"];
    setText(byId("beats-told"), facts.filter(Boolean).join(" · "));
  };
  grid.addEventListener("change", show);
  show();
  return { tap };
}
