// Rows of songs: one for each song being processed, one for each that is ready. A row is made once
// and then changed in place, so that the focus stays where it is.
import { at } from "./api.js";
import { Braid } from "./braid.js";
import { h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { renameIn } from "./rename.js";
import { clock, dayOf, fileSize, partClass, partName, songName, stateOf } from "./format.js";

const songUrl = (id) => at(`/songs/${encodeURIComponent(id)}`);

function button(text, drawing, onclick, { wordy = false, label = text, ...more } = {}) {
  return h("button", { type: "button", class: wordy ? "wordy" : "bare round", "aria-label": label,
    title: wordy ? null : text, onclick, ...more }, icon(drawing), wordy ? text : null);
}

/** A song that is uploading, queued, being separated, failed or stopped. */
export class WorkRow {
  /** on: { cancel, retry, remove } are called with this row's job, move with it and its new position. */
  constructor(name, on) {
    this.on = on;
    this.job = null;
    this.name = h("span", { class: "name", title: name }, songName(name));
    this.told = h("p", { class: "told" });
    this.canvas = h("canvas", { class: "strands", role: "progressbar",
      "aria-label": `Progress of ${songName(name)}`, "aria-valuemin": "0", "aria-valuemax": "100" });
    this.actions = h("div", { class: "actions" });
    this.element = h("li", { class: "row" }, this.name, this.actions, this.told, this.canvas);
    this.braid = new Braid(this.canvas);
    this.offered = "";
  }

  /** While it is on its way to the server. */
  showSending(fraction, onStop) {
    setText(this.told, fraction < 1 ? `Uploading · ${Math.floor(100 * fraction)} %` : "Checking the file");
    this.progress(0, { sent: fraction });
    this.offer("sending", () => [button("Stop", "close", onStop, { label: `Stop uploading ${this.name.textContent}` })]);
  }

  /** When the server did not take it. */
  showRefused(message, onRemove) {
    this.element.classList.add("failed");
    setText(this.told, message);
    this.canvas.hidden = true;
    this.offer("refused", () => [button("Dismiss", "close", onRemove, { label: `Dismiss ${this.name.textContent}` })]);
  }

  update(job) {
    this.job = job;
    const over = job.status === "failed" || job.status === "canceled";
    this.element.dataset.id = job.id;
    this.element.dataset.status = job.status;
    this.element.classList.toggle("failed", job.status === "failed");
    setText(this.name, job.artist ? `${job.title} – ${job.artist}` : job.title);
    this.element.dataset.position = job.position ?? "";
    setText(this.told, stateOf(job));
    this.canvas.hidden = over;
    this.progress(job.status === "running" ? job.progress || 0 : 0);
    const waits = job.status === "queued";
    this.offer(over ? "over" : waits ? "waits" : "on", () => (over ? [
      button("Try again", "retry", () => this.on.retry(this.job), { wordy: true, label: `Try ${job.title} again` }),
      button("Remove", "trash", () => this.on.remove(this.job), { label: `Remove ${job.title}` }),
    ] : [
      ...(waits ? this.movers(job) : []),
      button("Stop", "close", () => this.on.cancel(this.job), { label: `Stop ${job.title}` }),
    ]));
  }

  /** The first of so many that wait goes no further up, the last one no further down. */
  markEnds(count) {
    const mark = (name, is) => this.actions.querySelector(name)?.setAttribute("aria-disabled", String(is));
    mark(".move-up", this.job.position === 1);
    mark(".move-down", this.job.position === count);
  }

  /** Buttons that move a waiting song; Home and End move it to the ends of the queue. */
  movers(job) {
    const to = (position) => this.on.move(this.job, position);
    const ends = (event) => {
      if (event.key !== "Home" && event.key !== "End") return;
      event.preventDefault();
      to(event.key === "Home" ? 1 : Number.MAX_SAFE_INTEGER);
    };
    return [["Move up", "up", -1], ["Move down", "down", 1]].map(([text, drawing, step]) =>
      button(text, drawing, () => to(Math.max(1, this.job.position + step)), {
        label: `${text}: ${job.title}`, class: `bare round move-${drawing}`, onkeydown: ends }));
  }

  progress(fraction, { sent = null } = {}) {
    this.braid.set(fraction);
    this.canvas.setAttribute("aria-valuenow", String(Math.floor(100 * (sent ?? fraction))));
  }

  /** Make buttons only when other ones are wanted: a pressed or focused one must not vanish. */
  offer(what, make) {
    if (this.offered === what) return;
    const hadFocus = this.actions.contains(document.activeElement);
    this.offered = what;
    this.actions.replaceChildren(...make());
    if (hadFocus) this.actions.firstChild.focus();
  }

  remove() {
    this.braid.remove();
    this.element.remove();
  }
}

/** The cover of a song, or a drawing in its place. */
export const coverOf = (job) => (job.has_cover
  ? h("img", { class: "cover", src: at(`/api/jobs/${encodeURIComponent(job.id)}/cover`), alt: "", loading: "lazy" })
  : h("span", { class: "cover" }, icon("song")));

/** A song that is ready. on: { remove, whole, renamed, failed }. */
export function libraryRow(job, on) {
  const parts = job.parts.filter((part) => part !== "residual");
  const facts = [
    job.artist ? h("span", { class: "artist" }, job.artist) : null,
    job.seconds_audio ? h("span", {}, clock(job.seconds_audio)) : null,
    job.created ? h("span", {}, dayOf(job.created)) : null,
    job.bytes ? h("span", { class: "size" }, fileSize(job.bytes)) : null,
    ...parts.map((part) => h("span", { class: `chip ${partClass(part)}` }, partName(part))),
    h("span", {}, h("span", { class: "only-read" }, "Model "), job.settings.model),
  ];
  if (job.settings.preview) facts.unshift(h("span", { class: "badge" }, "20 seconds"));
  if (job.demo) facts.unshift(h("span", { class: "badge" }, "Demo"));
  const link = h("a", { href: songUrl(job.id) }, job.title);
  const rename = button("Rename", "pencil", () => renameIn(link, job, {
    done: on.renamed, failed: on.failed, back: rename,
  }), { label: `Rename ${job.title}` });
  link.addEventListener("keydown", (event) => { if (event.key === "F2") rename.click(); });
  const actions = [
    job.settings.preview
      ? button("Whole song", "song", () => on.whole(job), { wordy: true, label: `Separate the whole of ${job.title}` })
      : null,
    rename,
    button("Delete", "trash", () => on.remove(job), { label: `Delete ${job.title}` }),
  ];
  return h("li", { class: "row finished", dataset: { id: job.id, status: job.status } },
    coverOf(job),
    h("label", { class: "pick" }, h("input", { type: "checkbox", value: job.id }),
      h("span", { class: "only-read" }, `Select ${job.title}`)),
    h("span", { class: "name", title: job.name }, link),
    h("div", { class: "actions" }, ...actions),
    h("p", { class: "told" }, ...facts));
}
