// Sound in pieces: two seconds of all parts at a time are fetched, and only some pieces are kept, so
// that an hour needs as little memory as a minute.
import { bytesOf } from "./api.js";

const PIECE_S = 2;
const KEPT = 8; // pieces; of five stereo parts at 44.1 kHz one takes 3.5 MB

/** 16-bit PCM WAV bytes as an AudioBuffer, sample for sample. */
export function readWav(bytes) {
  const view = new DataView(bytes);
  const word = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  if (bytes.byteLength < 12 || word(0) !== "RIFF" || word(8) !== "WAVE") throw new Error("not a WAV file");
  let format = null;
  for (let at = 12; at + 8 <= bytes.byteLength;) {
    const size = view.getUint32(at + 4, true);
    if (word(at) === "fmt ") {
      format = { channels: view.getUint16(at + 10, true), rate: view.getUint32(at + 12, true) };
    } else if (word(at) === "data") {
      const end = Math.min(at + 8 + size, bytes.byteLength);
      return spread(new Int16Array(bytes.slice(at + 8, end - ((end - at) % 2))), format);
    }
    at += 8 + size + (size % 2);
  }
  throw new Error("a WAV file without sound");
}

function spread(interleaved, { channels, rate }) {
  const length = Math.floor(interleaved.length / channels);
  const buffer = new AudioBuffer({ length: Math.max(1, length), numberOfChannels: channels, sampleRate: rate });
  for (let channel = 0; channel < channels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0, from = channel; i < length; i++, from += channels) samples[i] = interleaved[from] / 32768;
  }
  return buffer;
}

export class Pcm {
  /** url: of /pcm; parts: all that are fetched together; samples: how long the song is. */
  constructor(url, parts, sampleRate, samples) {
    Object.assign(this, { url, parts, samples });
    this.pieceSamples = Math.round(PIECE_S * sampleRate);
    this.pieces = new Map(); // index -> { buffers: Promise of Map part -> AudioBuffer, stop }
  }

  /** The piece with this index: a promise of a Map from part to AudioBuffer. */
  piece(index) {
    const kept = this.pieces.get(index);
    if (kept) {
      this.pieces.delete(index); // last in line again
      this.pieces.set(index, kept);
      return kept.buffers;
    }
    const start = index * this.pieceSamples;
    const count = Math.min(this.pieceSamples, this.samples - start);
    const stop = new AbortController();
    const buffers = this.load(start, count, stop.signal);
    this.pieces.set(index, { buffers, stop });
    buffers.catch(() => { if (this.pieces.get(index)?.buffers === buffers) this.pieces.delete(index); });
    this.forgetSome();
    return buffers;
  }

  async load(start, count, signal) {
    const got = await Promise.all(this.parts.map(async (part) => {
      const query = `start=${start}&count=${count}`;
      return [part, readWav(await bytesOf(`${this.url}/${encodeURIComponent(part)}?${query}`, signal))];
    }));
    return new Map(got);
  }

  forgetAll() {
    for (const piece of this.pieces.values()) piece.stop.abort();
    this.pieces.clear();
  }

  forgetSome() {
    for (const [index, piece] of this.pieces) {
      if (this.pieces.size <= KEPT) break;
      piece.stop.abort();
      this.pieces.delete(index);
    }
  }
}
