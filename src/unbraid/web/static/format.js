// How numbers, stems and states of songs are written.

/** 64.2 -> "1:04"; hours only where there are some. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

/** 64.2 -> "1:04.2", for the ends of loops. */
export const fineClock = (seconds) => `${clock(seconds)}.${Math.floor((seconds % 1) * 10)}`;

/** The time left, rounded as coarsely as the estimate deserves. */
export function timeLeft(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "";
  if (seconds < 10) return "a few seconds left";
  if (seconds < 55) return `about ${Math.round(seconds / 10) * 10} seconds left`;
  if (seconds < 90) return "about a minute left";
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} minutes left`;
  return `about ${Math.round(seconds / 1800) / 2} hours left`;
}

/** A time that is right within a factor of two: "20 s", "3 min", "2 h". */
export function roughTime(seconds) {
  if (seconds < 90) return `${Math.max(10, Math.round(seconds / 10) * 10)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export function fileSize(bytes) {
  if (bytes == null) return "";
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Decibels of a linear gain: "+3.5 dB", "off". */
export function decibels(gain) {
  if (gain <= 0) return "off";
  const value = Math.round(20 * Math.log10(gain) * 10) / 10;
  return `${value > 0 ? "+" : ""}${value.toFixed(1).replace("-", "−")} dB`;
}

/** "no_vocals" -> "Without vocals", "drums" -> "Drums". */
export function partName(part) {
  if (part === "original") return "Original";
  if (part === "residual") return "Residual";
  const name = part.startsWith("no_") ? `without ${part.slice(3)}` : part.replaceAll("_", " ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

const KNOWN = ["drums", "bass", "other", "vocals", "guitar", "piano", "residual", "original"];

/** The CSS class that carries the colour of a stem. */
export function partClass(part) {
  if (part.startsWith("no_")) return "part-other";
  return `part-${KNOWN.includes(part) ? part : "residual"}`;
}

/** The name of a file without its ending. */
export const songName = (name) => name.replace(/\.[a-z0-9]{2,4}$/i, "") || name;

/** What is happening to a song. */
export function stateOf(job) {
  if (job.status === "failed") return job.error || "Something went wrong with this song.";
  if (job.status === "canceled") return "Stopped.";
  if (job.status === "succeeded") return "Ready.";
  if (job.status === "queued") {
    if (job.position == null || job.position < 1) return "Waiting";
    if (job.position === 1) return "Next";
    return `${counted(job.position - 1, "song")} ahead`;
  }
  if (job.stage === "reading") return "Reading";
  if (job.stage === "writing") return "Writing files";
  if (job.stage === "waiting") return "Starting";
  const percent = `${Math.floor(100 * (job.progress || 0))} %`;
  const left = timeLeft(job.seconds_left);
  return `Separating · ${percent}${left ? ` · ${left}` : ""}`;
}

/** "today", "yesterday", "3 May", "3 May 2024", in the reader's own language where it is a date. */
export function dayOf(iso, today = new Date()) {
  const day = new Date(iso);
  if (Number.isNaN(day.getTime())) return "";
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((midnight(today) - midnight(day)) / 86_400_000);
  if (days === 0) return "today";
  if (days === 1) return "yesterday";
  const year = day.getFullYear() === today.getFullYear() ? undefined : "numeric";
  return day.toLocaleDateString(undefined, { day: "numeric", month: "short", year });
}

/** 44100, 2 -> "44.1 kHz stereo". */
export function shapeOf(sampleRate, channels) {
  const layout = { 1: "mono", 2: "stereo" }[channels] || `${channels} channels`;
  return `${Math.round(sampleRate / 100) / 10} kHz ${layout}`;
}

export const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
