// The mixer: player, lanes and ruler, and what ties them to the page.
import { call } from "./api.js";
import { announce, byId, setText } from "./dom.js";
import { icon } from "./icons.js";
import { keep, recall } from "./kept.js";
import { connectKeys } from "./keys.js";
import { ChordEditor } from "./chordedit.js";
import { Grid } from "./grid.js";
import { Lane } from "./lanes.js";
import { LoopBars } from "./loopbars.js";
import { Metronome } from "./metronome.js";
import { Mix } from "./mix.js";
import { Player } from "./player.js";
import { connectBeats, connectMetronome } from "./practice.js";
import { Ruler } from "./ruler.js";
import { Strip } from "./strip.js";
import { connectView, View } from "./view.js";
import { scaleOf } from "./waves.js";
import { clock, partName } from "./format.js";

const ZOOM = 2;
const gainOf = (job) => 10 ** ((job.gain_db || 0) / 20);

/** Events: "problem" (detail: Error), "playing", "saved" (corrections of beats and chords). */
export class Mixer extends EventTarget {
  constructor(base, job) {
    super();
    this.base = base;
    this.job = job;
    this.samples = job.samples ?? Math.round(job.seconds_audio * job.sample_rate);
    this.mix = new Mix(job.parts);
    const kept = recall(this.keptAs);
    this.mix.restore(kept);
    this.player = new Player({
      url: `${base}/pcm`, parts: job.parts, sampleRate: job.sample_rate, samples: this.samples,
      ready: this.readyOf(job), originalGain: gainOf(job),
    }, this.mix);
    this.view = new View(this.player.duration);
    this.grid = new Grid(base, this.player.duration);
    this.grid.connect();
    this.metronome = new Metronome(this.player, this.grid);
    this.lanes = [...job.parts, "original"].map((part) => new Lane(part, this.mix, this.view));
    byId("lanes").replaceChildren(...this.lanes.map((lane) => lane.element));
    this.ruler = new Ruler(this.view);
    this.metronome.set(kept.metronome || {});
    this.connectPractice();
    this.loopBars.setUnit(kept.snap);
    this.connect();
    this.showMix();
    this.showState();
    this.showReady();
    byId("volume").value = String(this.mix.volume);
    this.player.tempo.set(kept.tempo || {});
    this.showTempo();
    this.ruler.show(null, false);
    if (kept.loop?.end > kept.loop?.start) this.ruler.set(kept.loop, kept.looping === true);
    setText(byId("total"), clock(this.player.duration));
  }

  /** The mix and the loop of each song are kept, so that a reload changes nothing. */
  get keptAs() {
    return `unbraid mix ${this.base}`;
  }

  keepAll() {
    keep(this.keptAs, {
      ...this.mix.state, tempo: this.tempoKept, loop: this.ruler.span, looping: this.ruler.on,
      metronome: this.metronome.state, snap: this.loopBars.unit,
    });
  }

  get tempoKept() {
    const { rate, semitones } = this.player.tempo;
    return { rate, semitones };
  }

  readyOf(job) {
    return job.status === "succeeded" ? this.samples : job.samples_ready || 0;
  }

  /** More stems arrive while the song is being separated. */
  setJob(job) {
    this.job = job;
    this.player.setReady(this.readyOf(job), gainOf(job));
    this.showReady();
    if (job.status === "succeeded") this.loadRest().catch(() => {}); // flat lanes play as well
  }

  showReady() {
    const ready = this.view.fractionOf(this.readyOf(this.job) / this.player.sampleRate);
    byId("desk").style.setProperty("--ready", Math.min(1, Math.max(0, ready)).toFixed(4));
  }

  /** Peaks, beats and chords are there when all parts are. */
  async loadRest() {
    if (this.job.status !== "succeeded") return;
    await Promise.all([this.loadPeaks(), this.grid.load()]);
  }

  async loadPeaks() {
    const peaks = await call("GET", `${this.base}/peaks`);
    const { original, ...parts } = peaks.parts;
    // Parts are drawn to one scale, so that the louder is the larger; the original has its own.
    const [scale, originalScale] = [scaleOf(Object.values(parts)), scaleOf([original || []])];
    for (const lane of this.lanes) {
      const pairs = peaks.parts[lane.part] || [];
      lane.showPeaks(pairs, lane.isOriginal ? originalScale : scale);
    }
  }

  redraw() {
    this.lanes.forEach((lane) => lane.redraw());
    this.ruler.drawTicks();
    this.strip.redraw();
  }

  /** Metronome, loops by bars, beats and chords. */
  connectPractice() {
    const { player, grid, ruler, view } = this;
    const changed = () => this.keepAll();
    this.loopBars = new LoopBars(ruler, grid, changed);
    this.metronomeTool = connectMetronome(this.metronome, grid, changed);
    this.beatsTool = connectBeats(grid, player);
    this.chordEditor = new ChordEditor(grid, player, () => byId("name").textContent);
    this.strip = new Strip(grid, view, (index) => this.chordEditor.change(index));
    grid.addEventListener("change", () => { this.showTempo(); this.showTime(); });
    grid.addEventListener("saved", () => this.dispatchEvent(new Event("saved")));
    grid.addEventListener("problem", (event) => this.dispatchEvent(new CustomEvent("problem", { detail: event.detail })));
  }

  connectZoom() {
    const { view, player } = this;
    const scroll = byId("scroll");
    byId("zoom-in").addEventListener("click", () => view.zoom(ZOOM, player.position));
    byId("zoom-out").addEventListener("click", () => view.zoom(1 / ZOOM, player.position));
    byId("zoom-all").addEventListener("click", () => view.showAll());
    scroll.addEventListener("input", () => view.show(Number(scroll.value) * (view.duration - view.span), view.span));
    connectView(view, byId("desk"), (clientX) => this.ruler.secondsAt(clientX));
    view.addEventListener("change", () => {
      const rest = view.duration - view.span;
      byId("zoom-in").disabled = view.isClosest;
      scroll.disabled = byId("zoom-out").disabled = byId("zoom-all").disabled = view.isWhole;
      if (document.activeElement !== scroll) scroll.value = String(rest > 0 ? view.from / rest : 0);
      this.showReady();
      this.showTime();
      this.lanes.forEach((lane) => lane.redraw());
    });
    byId("zoom-out").disabled = true;
    byId("zoom-in").disabled = view.isClosest;
  }

  connect() {
    const { player, mix, ruler } = this;
    const does = {
      toggle: () => player.toggle(),
      seek: (seconds) => player.seek(seconds),
      move: (direction) => player.seek(player.position + 5 * direction),
      stepBar: (direction) => this.step(direction, "bar"),
      stepBeat: (direction) => this.step(direction, "beat"),
      metronome: this.metronomeTool.toggle,
      moveLoop: (direction) => this.loopBars.move(direction),
      zoom: (direction) => this.view.zoom(ZOOM ** direction, player.position),
      showAll: () => this.view.showAll(),
      tap: this.beatsTool.tap,
      compare: () => mix.hearOriginal(!mix.original),
      toggleLoop: () => ruler.toggle(this.loopBars.usual(player.position)),
      mark: (edge) => this.loopBars.mark(edge, player.position),
      reset: () => mix.reset(),
    };
    connectKeys(does, this.lanes);
    this.connectZoom();
    byId("play").addEventListener("click", does.toggle);
    byId("to-start").addEventListener("click", () => does.seek(player.loop ? ruler.span.start : 0));
    byId("hear-parts").addEventListener("click", () => mix.hearOriginal(false));
    byId("hear-original").addEventListener("click", () => mix.hearOriginal(true));
    byId("loop").addEventListener("click", does.toggleLoop);
    byId("reset").addEventListener("click", does.reset);
    byId("volume").addEventListener("input", (event) => mix.setVolume(Number(event.target.value)));
    ruler.addEventListener("seek", (event) => player.seek(event.detail));
    ruler.addEventListener("loop", (event) => {
      player.setLoop(event.detail);
      this.keepAll();
    });
    mix.addEventListener("change", () => {
      this.showMix();
      this.keepAll();
    });
    player.addEventListener("state", () => this.showState());
    player.addEventListener("problem", (event) => this.dispatchEvent(new CustomEvent("problem", { detail: event.detail })));
    byId("tempo").addEventListener("input", (event) => this.setTempo({ rate: Number(event.target.value) / 100 }));
    byId("pitch").addEventListener("input", (event) => this.setTempo({ semitones: Number(event.target.value) }));
    byId("practice-reset").addEventListener("click", () => this.setTempo({ rate: 1, semitones: 0 }));
    this.lanes.forEach((lane) => this.connectWave(lane.wave));
    new ResizeObserver(() => {
      byId("desk").style.setProperty("--wave-width", `${byId("ruler").clientWidth}px`);
      this.lanes.forEach((lane) => lane.redraw());
    }).observe(byId("ruler"));
  }

  /** A click on a waveform goes there; a finger that scrolls the page does not. */
  connectWave(wave) {
    wave.addEventListener("click", (event) => this.player.seek(this.ruler.secondsAt(event.clientX)));
  }

  /** A bar or beat on; without any, a second. */
  step(direction, unit) {
    const { player, grid } = this;
    player.seek(grid.exists ? grid.step(player.position, direction, unit) : player.position + direction);
  }

  setTempo(tempo) {
    this.player.setTempo(tempo);
    this.showTempo();
    this.keepAll();
  }

  showTempo() {
    const { rate, semitones } = this.player.tempo;
    const bpm = this.grid.exists ? this.grid.tempo : this.job.tempo_bpm;
    const beats = bpm ? ` (${Math.round(bpm * rate)} bpm)` : "";
    this.strip.setSemitones(semitones);
    byId("tempo").value = String(Math.round(100 * rate));
    byId("pitch").value = String(semitones);
    setText(byId("tempo-told"), `${Math.round(100 * rate)} %${beats}`);
    setText(byId("pitch-told"), semitones ? `${semitones > 0 ? "+" : "−"}${Math.abs(semitones)}` : "0");
    byId("practice-reset").disabled = rate === 1 && semitones === 0;
  }

  showMix() {
    const { original } = this.mix;
    this.lanes.forEach((lane) => lane.showMix());
    byId("desk").classList.toggle("untouched", this.mix.untouched && !original);
    byId("hear-parts").setAttribute("aria-pressed", String(!original));
    byId("hear-original").setAttribute("aria-pressed", String(original));
  }

  showState() {
    const { playing, waiting } = this.player;
    const drawing = playing ? "pause" : "play";
    const play = byId("play");
    if (play.dataset.shows !== drawing) {
      play.dataset.shows = drawing;
      play.replaceChildren(icon(drawing));
      play.setAttribute("aria-label", playing ? "Pause" : "Play");
      if (playing) this.dispatchEvent(new Event("playing"));
    }
    play.classList.toggle("waiting", waiting);
    if (waiting) announce("Loading sound.");
    this.showTime();
    if (playing && !this.frame) this.frame = requestAnimationFrame(() => this.tick());
  }

  tick() {
    this.frame = 0;
    this.showTime();
    const { player } = this;
    for (const lane of this.lanes) {
      const heard = lane.isOriginal === this.mix.original;
      lane.showLevel(player.playing && heard ? player.level(lane.part) : 0);
    }
    if (player.playing) this.frame = requestAnimationFrame(() => this.tick());
  }

  showTime() {
    const { position, duration } = this.player;
    this.view.follow(position);
    byId("desk").style.setProperty("--at", this.view.fractionOf(position).toFixed(5));
    this.strip.follow(position);
    setText(byId("clock"), clock(position));
    const second = Math.floor(position);
    if (second === this.shownSecond) return;
    this.shownSecond = second;
    const head = byId("head");
    head.setAttribute("aria-valuemin", "0");
    head.setAttribute("aria-valuemax", duration.toFixed(1));
    head.setAttribute("aria-valuenow", position.toFixed(1));
    head.setAttribute("aria-valuetext", `${clock(position)} of ${clock(duration)}`);
  }

  /** For tests and the curious: what is heard, and where. */
  get probe() {
    const { player, mix } = this;
    return {
      mix,
      player,
      grid: this.grid,
      view: this.view,
      metronome: this.metronome,
      get context() { return player.context; },
      get position() { return player.position; },
      get playing() { return player.playing; },
      get pieces() { return player.pcm.pieces.size; },
      level: (part) => player.level(part),
      levels: () => Object.fromEntries([...mix.parts, "original", "output"].map((part) => [part, player.level(part)])),
      names: Object.fromEntries(mix.parts.map((part) => [part, partName(part)])),
    };
  }
}
