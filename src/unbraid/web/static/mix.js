// The mix of a song: the state of faders and buttons, with a callback for changes.

export const LOUDEST = 2; // of a fader, linear: +6 dB

export class Mix extends EventTarget {
  constructor(parts) {
    super();
    this.parts = parts;
    this.volume = 1;
    this.setAll();
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
