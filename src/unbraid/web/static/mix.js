// The mix of a song: the state of faders and buttons, with a callback for changes.

export const LOUDEST = 2; // of a fader, linear: +6 dB

export class Mix extends EventTarget {
  constructor(parts) {
    super();
    this.parts = parts;
    this.volume = 1;
    this.setAll();
  }

  /** What `restore` takes: volume, and the fader of each part. */
  get state() {
    return { volume: this.volume, faders: Object.fromEntries(this.faders) };
  }

  /** Faders and buttons as they were; what does not fit this song stays as it is. */
  restore({ volume, faders = {} }) {
    if (volume >= 0 && volume <= 1) this.volume = volume;
    for (const [part, fader] of this.faders) {
      const { gain, muted, soloed } = faders[part] || {};
      if (gain >= 0 && gain <= LOUDEST) fader.gain = gain;
      fader.muted = muted === true;
      fader.soloed = soloed === true;
    }
  }

  setAll() {
    this.original = false;
    this.faders = new Map(this.parts.map((part) => [part, { gain: 1, muted: false, soloed: false }]));
  }

  /** The linear gain a part is heard with: 0 if muted, or if others are soloed. */
  gainOf(part) {
    const fader = this.faders.get(part);
    const someSoloed = [...this.faders.values()].some((other) => other.soloed);
    return (someSoloed ? fader.soloed : !fader.muted) ? fader.gain : 0;
  }

  /** Is it the song as the model took it apart, nothing changed? */
  get untouched() {
    return this.parts.every((part) => this.gainOf(part) === 1);
  }

  setGain(part, gain) {
    this.faders.get(part).gain = Math.min(LOUDEST, Math.max(0, gain));
    this.told();
  }

  toggleMute(part) {
    const fader = this.faders.get(part);
    fader.muted = !fader.muted;
    this.told();
  }

  toggleSolo(part) {
    const fader = this.faders.get(part);
    fader.soloed = !fader.soloed;
    this.told();
  }

  hearOriginal(is) {
    this.original = is;
    this.told();
  }

  setVolume(volume) {
    this.volume = volume;
    this.told();
  }

  reset() {
    this.setAll();
    this.told();
  }

  told() {
    this.dispatchEvent(new Event("change"));
  }
}
