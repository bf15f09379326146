// Clicks at the beats of the song, on the clock that its sound is played by: they are as exact as the
// stems, at any tempo. They join behind the pitch shifter, and wait as long as sound waits in it.

const KEEP_S = 0.02; // what sounds this soon is left alone
const FIRST_HZ = 1760;
const OTHER_HZ = 1320;
const CLICK_S = 0.05;

/** Event: "change". player: a Player; grid: a Grid. on: whether clicks are heard; level: 0 to 1. */
export class Metronome extends EventTarget {
  constructor(player, grid) {
    super();
    Object.assign(this, { player, grid, on: false, level: 0.7, countIn: 0, everyRound: false });
    this.clicks = [];
    player.countIn = (sample, isRound) => this.countBefore(sample, isRound);
    player.addEventListener("timeline", () => this.schedule());
    grid.addEventListener("change", () => this.schedule());
  }

  set({ on = this.on, level = this.level, countIn = this.countIn, everyRound = this.everyRound }) {
    this.on = on === true;
    if (level >= 0 && level <= 1) this.level = level;
    if ([0, 1, 2].includes(countIn)) this.countIn = countIn;
    this.everyRound = everyRound === true;
    this.applyLevel();
    this.dispatchEvent(new Event("change"));
  }

  get state() {
    const { on, level, countIn, everyRound } = this;
    return { on, level, countIn, everyRound };
  }

  applyLevel() {
    if (!this.gains) return;
    const level = this.level ** 2;
    this.gains.beat.gain.value = this.on ? level : 0;
    this.gains.count.gain.value = level; // a count-in is heard also while the metronome is off
  }

  connect() {
    const { context, master } = this.player;
    if (this.context === context) return;
    this.context = context;
    const gain = () => {
      const node = context.createGain();
      node.connect(master);
      return node;
    };
    this.gains = { beat: gain(), count: gain() };
    this.sounds = { first: click(context, FIRST_HZ, 1), other: click(context, OTHER_HZ, 0.6) };
    this.applyLevel();
  }

  /** What is counted before a sample: seconds, and the beats within them. */
  countBefore(sample, isRound) {
    const { grid, player } = this;
    if (!this.countIn || !grid.exists || (isRound && !this.everyRound)) return null;
    const seconds = sample / player.sampleRate;
    const next = Math.ceil(grid.placeAt(seconds) - 0.02);
    const beat = grid.beatAt(next) / player.tempo.rate;
    const count = this.countIn * grid.perBar;
    const early = Math.max(0, grid.timeOf(next) - seconds) / player.tempo.rate;
    const start = count * beat - early;
    const beats = Array.from({ length: count }, (_, index) => ({
      after: index * beat, first: grid.isFirst(next - count + index),
    })).filter((one) => one.after < start - 1e-3);
    return { seconds: start, beats };
  }

  /** Schedule again all clicks that are still to come. */
  schedule() {
    const { player, grid } = this;
    if (!player.context) return;
    this.connect();
    const soon = this.context.currentTime + KEEP_S;
    for (const one of this.clicks) if (one.time > soon) one.source.stop();
    this.clicks = this.clicks.filter((one) => one.time <= soon && one.time > soon - 1);
    for (const entry of player.timeline) {
      if (entry.count) this.clickCount(entry, soon);
      else if (grid.exists) this.clickThrough(entry, soon);
    }
  }

  clickCount({ from, to, count }, soon) {
    for (const { after, first } of count) {
      if (from + after < to) this.click(from + after, first, this.gains.count, soon);
    }
  }

  clickThrough(entry, soon) {
    const { grid, player } = this;
    const start = entry.sample / player.sampleRate;
    const end = start + (entry.to - entry.from) * entry.rate;
    for (const beat of grid.within(start, end)) {
      const time = entry.from + (grid.timeOf(beat) - start) / entry.rate;
      this.click(time, grid.isFirst(beat), this.gains.beat, soon);
    }
  }

  click(at, isFirst, to, soon) {
    const time = at + this.player.tempo.delay;
    if (time <= soon) return;
    const source = new AudioBufferSourceNode(this.context, { buffer: isFirst ? this.sounds.first : this.sounds.other });
    source.connect(to);
    source.start(time);
    source.addEventListener("ended", () => source.disconnect());
    this.clicks.push({ time, source, first: isFirst, counts: to === this.gains.count });
  }
}

/** A short tone with a sharp beginning. */
function click(context, hz, loud) {
  const rate = context.sampleRate;
  const buffer = context.createBuffer(1, Math.round(CLICK_S * rate), rate);
  const samples = buffer.getChannelData(0);
  for (let k = 0; k < samples.length; k++) {
    const t = k / rate;
    const edge = Math.min(1, t / 0.001) * Math.min(1, (CLICK_S - t) / 0.005);
    samples[k] = loud * edge * Math.exp(-t / 0.012) * Math.sin(2 * Math.PI * hz * t);
  }
  return buffer;
}
