// All parts of a song in step: each piece of sound is started at a reckoned instant of the audio clock,
// for all parts the same, and the next one exactly where it ends. Mute, solo and the original only
// change gains.
import { Pcm } from "./pcm.js";
import { Tempo } from "./tempo.js";

const AHEAD_S = 4; // of sound handed to the audio clock before its time
const LEAD_S = 0.06; // between handing over and the first sound
const FADE_S = 0.012;

/**
 * Events: "state" (playing, waiting or ended), "problem" (detail: Error), "timeline" (what sounds
 * when has changed).
 *
 * countIn(sample, isRound): what is counted before a sample is played from, as { seconds, beats }, or
 * null; isRound: for another round of a loop.
 *
 * position, loop: in seconds of the song. mix: a `Mix`; originalGain: what all parts were scaled by.
 */
export class Player extends EventTarget {
  constructor({ url, parts, sampleRate, samples, ready = samples, originalGain = 1 }, mix) {
    super();
    Object.assign(this, { parts, sampleRate, samples, ready, originalGain, mix });
    this.pcm = new Pcm(url, [...parts, "original"], sampleRate, samples);
    this.context = null;
    this.tempo = new Tempo();
    this.playing = false;
    this.waiting = false;
    this.loop = null; // { start, end } in samples
    this.at = 0; // sample, while nothing plays
    this.turn = 0; // counts starts: what an older one still fetches is dropped
    this.timeline = []; // { from, to, sample, rate }: which sample sounds when, on the audio clock
    this.countIn = () => null;
    this.sources = new Set();
    mix.addEventListener("change", () => this.applyMix());
  }

  /** Up to where whole pieces have been separated, in samples. */
  get usable() {
    const size = this.pcm.pieceSamples;
    return this.ready >= this.samples ? this.samples : Math.floor(this.ready / size) * size;
  }

  get duration() {
    return this.samples / this.sampleRate;
  }

  /** Where it is, in seconds; behind the clock by what the sound takes to the ear. */
  get position() {
    const late = (this.context?.outputLatency || 0) + this.tempo.delay;
    return this.sampleAt(this.context ? this.context.currentTime - late : 0) / this.sampleRate;
  }

  sampleAt(time) {
    if (!this.playing || !this.timeline.length) return this.at;
    const entry = this.timeline.findLast((one) => one.from <= time) || this.timeline[0];
    const within = Math.min(Math.max(time, entry.from), entry.to) - entry.from;
    return entry.sample + within * this.sampleRate * entry.rate;
  }

  // ---------------------------------------------------------------- what users do

  async play() {
    if (this.playing) return;
    this.makeContext();
    this.playing = true;
    this.tell("state");
    clearTimeout(this.sleepTimer);
    await this.context.resume();
    if (this.playing) this.startFrom(this.at >= this.samples ? 0 : this.at, true);
  }

  pause() {
    if (!this.playing) return;
    const at = Math.round(this.position * this.sampleRate);
    this.silence();
    this.at = at;
    this.playing = false;
    this.waiting = false;
    // Asleep it takes no power; a moment later, so that the fade is heard.
    this.sleepTimer = setTimeout(() => this.context.suspend(), 200);
    this.tell("state");
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  seek(seconds) {
    const sample = Math.round(Math.min(this.duration, Math.max(0, seconds)) * this.sampleRate);
    this.at = sample;
    if (this.playing) {
      this.silence();
      this.startFrom(sample);
    }
    this.tell("state");
  }

  /** { rate, semitones }: played so many times as fast, so much higher. */
  async setTempo(tempo) {
    const { position } = this;
    if (!this.tempo.set(tempo)) return;
    try {
      await this.tempo.apply();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("problem", { detail: error }));
    }
    if (this.playing) this.seek(position);
  }

  /** { start, end } in seconds, or null for none. */
  setLoop(loop) {
    this.loop = loop && {
      start: Math.round(loop.start * this.sampleRate), end: Math.round(loop.end * this.sampleRate),
    };
    const at = this.position * this.sampleRate;
    const outside = this.loop && (at < this.loop.start || at >= this.loop.end);
    if (outside) this.seek(this.loop.start / this.sampleRate);
    else if (this.playing) this.recut();
  }

  /** More of the song has been separated; when it is done, all parts may have got a common gain. */
  setReady(samples, originalGain) {
    this.ready = samples;
    if (originalGain !== this.originalGain) {
      this.originalGain = originalGain;
      this.pcm.forgetAll();
      this.applyMix();
    }
    this.wake?.();
  }

  // ---------------------------------------------------------------- gains

  makeContext() {
    if (this.context) return;
    try { // at the song's own rate, so that pieces need no resampling and join without a seam
      this.context = new AudioContext({ sampleRate: this.sampleRate, latencyHint: "interactive" });
    } catch {
      this.context = new AudioContext();
    }
    const node = (kind, to) => {
      const made = kind === "gain" ? this.context.createGain() : this.context.createAnalyser();
      if (to) made.connect(to);
      return made;
    };
    this.output = node("analyser", this.context.destination);
    this.master = node("gain", this.output);
    this.gate = node("gain", null); // closed around starts and stops, against clicks
    this.tempo.connect(this.context, this.gate, this.master).catch((error) => this.dispatchEvent(new CustomEvent("problem", { detail: error })));
    this.sides = { parts: node("gain", this.gate), original: node("gain", this.gate) };
    this.channels = new Map([...this.parts, "original"].map((part) => {
      const analyser = node("analyser", part === "original" ? this.sides.original : this.sides.parts);
      analyser.fftSize = 1024;
      return [part, { gain: node("gain", analyser), analyser }];
    }));
    this.applyMix(0);
  }

  applyMix(fade = FADE_S) {
    if (!this.context) return;
    const set = (node, value) => glide(node.gain, value, this.context.currentTime, fade);
    for (const part of this.parts) set(this.channels.get(part).gain, this.mix.gainOf(part));
    set(this.channels.get("original").gain, this.originalGain);
    // Parts and original are the same sound, so a straight crossfade keeps the level between.
    set(this.sides.parts, this.mix.original ? 0 : 1);
    set(this.sides.original, this.mix.original ? 1 : 0);
    set(this.master, this.mix.volume ** 2); // nearer to how loudness is heard than a straight line
  }

  // ---------------------------------------------------------------- handing sound to the clock

  startFrom(sample, counts = false) {
    this.at = sample;
    this.next = sample;
    this.end = 0;
    this.timeline = [];
    this.closed = true;
    this.counting = counts ? "start" : "";
    this.feed(++this.turn);
  }

  /** Count before what comes next: nothing sounds, and the position waits. */
  countBeforeNext() {
    const count = this.counting && this.countIn(this.next, this.counting === "round");
    this.counting = "";
    if (!count) return;
    const now = this.context.currentTime;
    const from = this.end > now + 0.01 ? this.end : this.onFrame(now + LEAD_S);
    this.end = this.onFrame(from + count.seconds);
    this.timeline.push({ from, to: this.end, sample: this.next, rate: 0, count: count.beats });
  }

  /** Fade out what sounds, and forget what was to come. */
  silence() {
    this.turn += 1;
    this.wake?.();
    const now = this.context.currentTime;
    glide(this.gate.gain, 0, now, FADE_S);
    for (const source of this.sources) source.stop(now + FADE_S);
    this.timeline = [];
    this.tell("timeline");
  }

  /** Keep playing, but reschedule what comes next. */
  recut() {
    const cut = this.onFrame(this.context.currentTime + LEAD_S);
    const current = this.timeline.find((one) => one.from <= cut && cut < one.to);
    if (!current) return;
    for (const source of this.sources) source.stop(Math.max(cut, source.startsAt));
    this.timeline = this.timeline.filter((one) => one.from <= cut);
    this.next = current.sample + Math.round((cut - current.from) * this.sampleRate * current.rate);
    current.to = cut;
    this.end = cut;
    this.counting = "";
    this.tell("timeline");
    this.wake?.();
    this.feed(++this.turn);
  }

  async feed(turn) {
    try {
      while (turn === this.turn && this.playing) {
        if (this.end - this.context.currentTime > AHEAD_S) await this.sleep(250);
        else if (this.next >= this.samples) return await this.finish(turn);
        else if (this.next >= this.usable) await this.await(1000);
        else await this.handOver(turn);
      }
    } catch (error) {
      if (turn !== this.turn || error.name === "AbortError") return;
      if (error.code === "not_ready") { // just now parts become files
        await this.await(500);
        return void this.feed(turn);
      }
      this.pause();
      this.dispatchEvent(new CustomEvent("problem", { detail: error }));
    }
  }

  async handOver(turn) {
    const size = this.pcm.pieceSamples;
    const index = Math.floor(this.next / size);
    const loading = this.pcm.piece(index);
    const late = setTimeout(() => { if (turn === this.turn) this.setWaiting(this.end <= this.context.currentTime); }, 150);
    const buffers = await loading.finally(() => clearTimeout(late));
    if (turn !== this.turn || !this.playing) return;
    this.setWaiting(false);
    this.countBeforeNext();
    const loops = this.loop && this.next < this.loop.end;
    const shortest = Math.min(...[...buffers.values()].map((buffer) => buffer.length));
    const stop = Math.min(index * size + shortest, this.samples, loops ? this.loop.end : Infinity);
    if (stop <= this.next) throw new Error("The server sent no sound for this place.");
    this.schedule(buffers, this.next - index * size, stop - this.next);
    const isRound = loops && stop === this.loop.end;
    this.next = isRound ? this.loop.start : stop;
    if (isRound) this.counting = "round";
    const following = Math.floor(this.next / size);
    if (this.next < this.usable && following !== index) this.pcm.piece(following).catch(() => {});
  }

  schedule(buffers, offset, length) {
    const now = this.context.currentTime;
    const from = this.end > now + 0.01 ? this.end : this.onFrame(now + LEAD_S);
    if (from !== this.end || this.closed) { // first, or later than planned: open the gate for it
      this.closed = false;
      glide(this.gate.gain, 0, now, FADE_S);
      this.gate.gain.setValueAtTime(0, from);
      this.gate.gain.linearRampToValueAtTime(1, from + FADE_S);
      this.gate.gain.target = 1;
    }
    const { seconds, rate } = this.pace(length);
    for (const [part, buffer] of buffers) {
      const source = new AudioBufferSourceNode(this.context, { buffer, playbackRate: rate });
      source.connect(this.channels.get(part).gain);
      source.startsAt = from;
      source.start(from, offset / this.sampleRate, length / this.sampleRate);
      source.addEventListener("ended", () => { this.sources.delete(source); source.disconnect(); });
      this.sources.add(source);
    }
    this.timeline = this.timeline.filter((one) => one.to > now - 1);
    this.timeline.push({ from, to: from + seconds, sample: this.next, rate });
    this.end = from + seconds;
    this.tell("timeline");
  }

  /** How long a piece sounds, in whole frames, so that pieces join without a seam; and its exact rate. */
  pace(length) {
    const plain = length / this.sampleRate;
    if (this.tempo.rate === 1) return { seconds: plain, rate: 1 };
    const seconds = this.onFrame(plain / this.tempo.rate);
    return { seconds, rate: plain / seconds };
  }

  onFrame(time) {
    return Math.ceil(time * this.context.sampleRate) / this.context.sampleRate;
  }

  async finish(turn) {
    while (turn === this.turn && this.context.currentTime < this.end) await this.sleep(50);
    if (turn !== this.turn) return;
    this.pause();
    this.at = 0;
    this.tell("state");
  }

  /** Wait for stems: the song continues beyond the part separated so far. */
  async await(milliseconds) {
    this.setWaiting(this.end <= this.context.currentTime);
    await this.sleep(milliseconds);
  }

  sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }

  setWaiting(is) {
    if (this.waiting === is) return;
    this.waiting = is;
    this.tell("state");
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Root mean square of what a part ("output": all) puts out now, after its fader. */
  level(part) {
    if (!this.context) return 0;
    const analyser = part === "output" ? this.output : this.channels.get(part).analyser;
    this.scratch ??= new Float32Array(2048);
    const samples = this.scratch.subarray(0, analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    return Math.sqrt(sum / samples.length);
  }
}

/** Glide to a value without a click, from the last target: not all browsers report the current value. */
function glide(parameter, value, now, seconds) {
  parameter.cancelScheduledValues(now);
  parameter.setValueAtTime(parameter.target ?? parameter.value, now);
  parameter.target = value;
  if (seconds) parameter.linearRampToValueAtTime(value, now + seconds);
  else parameter.setValueAtTime(value, now);
}
