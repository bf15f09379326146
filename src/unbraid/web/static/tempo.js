// Tempo and pitch of all that is heard. Sound is played faster or slower, which moves its pitch too;
// a pitch shifter behind it moves the pitch back, and to where it is wanted.
const LIBRARY = new URL("vendor/signalsmith-stretch.mjs", import.meta.url).href;
const TONALITY_HZ = 8000;

export const SLOWEST = 0.5;
export const FASTEST = 1.5;
export const HIGHEST = 12; // semitones, up or down

/** Sits between two nodes of an audio context: straight through, or through the shifter. */
export class Tempo {
  constructor() {
    this.rate = 1;
    this.semitones = 0;
    this.delay = 0; // seconds that sound waits in the shifter
  }

  /** How far the shifter moves the pitch. */
  get shift() {
    return this.semitones - 12 * Math.log2(this.rate);
  }

  connect(context, from, to) {
    Object.assign(this, { context, from, to });
    from.connect(to);
    return this.apply();
  }

  /** Returns whether anything has changed. */
  set({ rate = this.rate, semitones = this.semitones }) {
    const was = [this.rate, this.semitones].join();
    if (rate >= SLOWEST && rate <= FASTEST) this.rate = rate;
    if (Math.abs(semitones) <= HIGHEST) this.semitones = semitones;
    return was !== [this.rate, this.semitones].join();
  }

  /** Make it heard; the first shift loads the library. */
  async apply() {
    if (!this.context) return;
    const shifts = Math.abs(this.shift) > 1e-6;
    if (shifts) this.shifter = await (this.loading ??= this.load());
    if (shifts !== Math.abs(this.shift) > 1e-6) return; // set again in the meantime: that call continues
    this.from.disconnect();
    this.from.connect(shifts ? this.shifter : this.to);
    this.delay = shifts ? await this.shifter.latency() : 0;
    if (shifts) await this.shifter.schedule({ active: true, semitones: this.shift, tonalityHz: TONALITY_HZ });
  }

  async load() {
    const { default: makeShifter } = await import(LIBRARY);
    makeShifter.moduleUrl = LIBRARY; // the page's policy forbids code from anywhere else
    const shifter = await makeShifter(this.context);
    shifter.connect(this.to);
    return shifter;
  }
}
