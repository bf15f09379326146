// Downloads: single stems, the current mix, everything as a zip; and the facts about the song.
import { at } from "./api.js";
import { formatName } from "./choices.js";
import { byId, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { clock, counted, decibels, fileSize, partClass, partName, shapeOf } from "./format.js";

const LONG = 60; // letters: more get a row of their own

/** Links to the files of a job, and to the mix, which follows the faders and the metronome of a mixer. */
export function showDownloads(job, base, { mix, metronome, grid }, formats) {
  const link = (part, text) => h("li", {}, h("a", {
    class: `button bare ${partClass(part)}`, href: at(`${base}/stems/${encodeURIComponent(part)}?download=1`), download: "",
  }, icon("download"), h("span", { class: "chip" }, text)));
  byId("take-parts").replaceChildren(
    ...job.parts.map((part) => link(part, partName(part))), link("original", "Original"));
  byId("take-zip").href = at(`${base}/zip`);
  const select = byId("mix-format");
  select.replaceChildren(...formats.map((format) => h("option", { value: format }, formatName(format))));
  if (formats.includes(job.settings?.format)) select.value = job.settings.format;
  const follow = () => followMix(base, mix, select.value, metronome.on && grid.exists ? metronome.level ** 2 : 0);
  select.addEventListener("change", follow);
  for (const one of [mix, metronome, grid]) one.addEventListener("change", follow);
  follow();
}

function followMix(base, mix, format, click) {
  const heard = mix.parts.map((part) => [part, mix.gainOf(part)]).filter(([, gain]) => gain > 0);
  const link = byId("take-mix");
  if (!heard.length) {
    link.removeAttribute("href");
    link.setAttribute("aria-disabled", "true");
    setText(byId("take-mix-told"), "All stems are silent.");
    return;
  }
  link.removeAttribute("aria-disabled");
  const gains = heard.map(([part, gain]) => `${part}:${Number(gain.toFixed(4))}`).join(",");
  link.href = at(`${base}/mix?${new URLSearchParams({ gains, format, ...(click ? { click: click.toFixed(4) } : {}) })}`);
  const told = heard.map(([part, gain]) => (gain === 1 ? partName(part) : `${partName(part)} ${decibels(gain)}`));
  setText(byId("take-mix-told"), `${mix.untouched ? "All stems, unchanged" : told.join(", ")}${click ? ", with the metronome" : ""}.`);
}

/** The line below the name: length, tempo (that of corrected beats, if there are any), key, loudness, where they are known. */
export function showFacts(job, grid) {
  const bpm = grid?.exists ? grid.tempo : job.tempo_bpm;
  const facts = [
    job.seconds_audio && clock(job.seconds_audio),
    job.sample_rate && job.channels && shapeOf(job.sample_rate, job.channels),
    job.key,
    bpm && `${Math.round(bpm)} bpm`,
    job.loudness_lufs != null && `${job.loudness_lufs.toFixed(1).replace("-", "−")} LUFS`,
  ].filter(Boolean);
  byId("facts").replaceChildren(...facts.map((fact) => h("span", {}, fact)));
}

/** The settings of the separation, and how exactly the stems sum to the original. */
export function showAbout(job, models) {
  const { settings } = job;
  const model = models.find((one) => one.name === settings.model);
  const rows = [
    ["Model", settings.model],
    ["Licence of the model", model?.licence],
    ["Quality", Number(settings.shifts) ? counted(Number(settings.shifts), "pass", "passes") : "One pass"],
    ["File format", formatName(settings.format)],
    ["On disk", fileSize(job.bytes)],
    ["Null test (stems − original)", nullTest(job)],
    ["All stems scaled by", job.gain_db ? decibels(10 ** (job.gain_db / 20)) : null],
  ];
  byId("about-list").replaceChildren(...rows.filter(([, value]) => value).map(([name, value]) =>
    h("div", { class: String(value).length > LONG ? "long" : null }, h("dt", {}, name), h("dd", {}, value))));
}

function nullTest(job) {
  const db = job.null_test_db;
  if (db == null) return null;
  return db < -180 ? "exact" : `${db.toFixed(0).replace("-", "−")} dB`;
}
