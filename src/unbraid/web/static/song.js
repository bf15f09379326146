// The page of one song: its progress during the separation, then the mixer.
import { at, call, listen } from "./api.js";
import { Braid } from "./braid.js";
import { announce, byId, confirmed, h, onSchemeChange, setText } from "./dom.js";
import { drawIcons } from "./icons.js";
import { Mixer } from "./mixer.js";
import { showAbout, showDownloads, showFacts } from "./downloads.js";
import { showReport } from "./report.js";
import { renameIn } from "./rename.js";
import { stateOf } from "./format.js";

const id = decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) || "");
const base = `/api/jobs/${encodeURIComponent(id)}`;
const page = { job: null, mixer: null, braid: null, settings: null, events: null, offered: "" };

function complain(message) {
  byId("problem").hidden = !message;
  setText(byId("problem"), message || "");
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    complain(error.message);
  }
}

function showWork(job) {
  const over = job.status === "failed" || job.status === "canceled";
  const done = job.status === "succeeded";
  byId("work").hidden = done;
  if (done) return;
  byId("work").classList.toggle("failed", job.status === "failed");
  setText(byId("work-told"), stateOf(job));
  byId("work-strands").hidden = over;
  byId("work-strands").setAttribute("aria-valuenow", String(Math.floor(100 * (job.progress || 0))));
  page.braid ??= new Braid(byId("work-strands"), { thick: 4, wave: 80, opening: 120 });
  page.braid.set(job.status === "running" ? job.progress || 0 : 0);
  const offer = over ? "retry" : "cancel";
  if (page.offered === offer) return;
  page.offered = offer;
  const act = () => attempt(async () => {
    show(await call("POST", `${base}/${offer}`));
    follow(); // the events of a song end with it
  });
  byId("work-actions").replaceChildren(
    h("button", { type: "button", onclick: act }, over ? "Try again" : "Stop"));
}

function show(job) {
  const was = page.job?.status;
  page.job = job;
  document.title = `${job.title} · unbraid`;
  setText(byId("name"), job.title);
  showTags(job);
  showFacts(job, page.mixer?.grid);
  showWork(job);
  if (was && was !== job.status) announce(stateOf(job));
  // Finished seconds can be heard while the rest is still being separated.
  const canPlay = job.parts.length > 0 && (job.status === "succeeded" || job.samples_ready > 0);
  if (canPlay && !page.mixer) attempt(openMixer);
  else page.mixer?.setJob(job);
  if (!canPlay) page.mixer?.player.pause();
  byId("mixer").hidden = !canPlay;
  const done = job.status === "succeeded";
  byId("preview-note").hidden = !(done && job.settings.preview);
  byId("take").hidden = byId("about").hidden = !done || !page.mixer;
  if (done && page.mixer && was !== "succeeded") showRest(job);
}

function showTags(job) {
  const told = [job.artist, job.album].filter(Boolean).join(" · ");
  byId("by").hidden = !told;
  setText(byId("by"), told);
  byId("rename").hidden = false;
  const cover = byId("cover");
  cover.hidden = !job.has_cover;
  if (job.has_cover && !cover.src) cover.src = at(`${base}/cover`);
}

async function openMixer() {
  page.mixer = new Mixer(base, page.job);
  page.mixer.addEventListener("problem", (event) => complain(event.detail.message));
  for (const well of ["playing", "saved"]) page.mixer.addEventListener(well, () => complain(""));
  page.mixer.grid.addEventListener("change", () => showFacts(page.job, page.mixer.grid));
  window.unbraid = { mixer: page.mixer.probe };
  if (page.job.status === "succeeded") showRest(page.job);
  await page.mixer.loadRest();
}

function showRest(job) {
  byId("take").hidden = byId("about").hidden = false;
  showDownloads(job, base, page.mixer, page.settings.formats);
  showAbout(job, page.settings.models);
  showReport(job, base);
}

function connectButtons() {
  byId("rename").addEventListener("click", () => renameIn(byId("name"), page.job, {
    done: show, failed: (error) => complain(error.message), back: byId("rename"),
  }));
  byId("whole").addEventListener("click", () => attempt(async () => {
    const job = await call("POST", `${base}/full`);
    location.assign(at(`/songs/${encodeURIComponent(job.id)}`));
  }));
  byId("delete").addEventListener("click", async () => {
    if (!(await confirmed("sure", () => setText(byId("sure-title"), `Delete “${page.job.title}”?`)))) return;
    await attempt(async () => {
      await call("DELETE", base);
      location.assign(at("/"));
    });
  });
}

function follow() {
  page.events?.close();
  page.events = listen(`${base}/events`, {
    onJob: (job) => {
      show(job);
      if (["succeeded", "failed", "canceled"].includes(job.status)) page.events.close();
    },
    onDeleted: gone,
    onAway: () => call("GET", base).catch((error) => { if (error.status === 404) gone(); }),
  });
}

/** Somebody has deleted the song. */
function gone() {
  page.events?.close();
  page.mixer?.player.pause();
  byId("work").hidden = byId("mixer").hidden = byId("rename").hidden = true;
  setText(byId("name"), "This song was deleted");
}

async function start() {
  drawIcons();
  connectButtons();
  onSchemeChange(() => page.mixer?.redraw());
  try {
    page.settings = await call("GET", "/api/settings");
    show(await call("GET", base));
  } catch (error) {
    if (error.status === 404) return void gone();
    setText(byId("name"), "This song cannot be shown");
    complain(error.message);
    return;
  }
  if (page.job.status !== "succeeded") follow();
}

start();
