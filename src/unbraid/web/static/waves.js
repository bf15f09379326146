// Waveforms: the least and the greatest sample of each stretch of a part, drawn once for its width.
import { colour } from "./dom.js";

/** The factor that makes the loudest of these peaks fill a lane; peaks: lists of pairs. */
export function scaleOf(peaks) {
  let top = 1;
  for (const pairs of peaks) {
    for (const [low, high] of pairs) top = Math.max(top, -low, high);
  }
  return 1 / top;
}

/**
 * Draw [low, high] pairs into a canvas in its lane's colour; without pairs, a plain band.
 * from, to: which part of the song is drawn, 0 to 1.
 */
export function drawWave(canvas, pairs, scale, from = 0, to = 1) {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (!width || !height) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const middle = height / 2;
  const reach = 0.9 * middle;
  context.fillStyle = colour("--colour", canvas);
  if (!pairs?.length) {
    context.globalAlpha = 0.3;
    context.fillRect(0, middle - reach / 4, width, reach / 2);
    return;
  }
  for (let x = 0; x < width; x++) {
    const first = Math.floor((from + ((to - from) * x) / width) * pairs.length);
    const last = Math.max(first + 1, Math.floor((from + ((to - from) * (x + 1)) / width) * pairs.length));
    let low = 127;
    let high = -127;
    for (let i = Math.max(0, first); i < Math.min(last, pairs.length); i++) {
      low = Math.min(low, pairs[i][0]);
      high = Math.max(high, pairs[i][1]);
    }
    if (low > high) continue;
    const top = middle - high * scale * reach;
    const bottom = middle - low * scale * reach;
    context.fillRect(x, top, 1, Math.max(ratio, bottom - top));
  }
}
