// The page of all songs: dropped files go into the queue, finished songs into the library.
import { call, listen } from "./api.js";
import { Braid } from "./braid.js";
import { Choices } from "./choices.js";
import { announce, byId, confirmed, setText } from "./dom.js";
import { droppedFiles, songsOf } from "./files.js";
import { drawIcons } from "./icons.js";
import { libraryRow, WorkRow } from "./rows.js";
import { Models } from "./models.js";
import { Selection } from "./selection.js";
import { Uploads } from "./uploads.js";
import { counted } from "./format.js";

const PAGE = 50;
const works = new Map(); // id -> WorkRow
const heard = { ever: new Set(), lately: new Set() }; // ids in events; lately: since a list was requested
const library = { shown: PAGE, total: 0, query: "", turn: 0, timer: 0 };
const selection = new Selection(byId("songs"), { removeAll });
const rest = { at: 0.5 }; // how far the braid at the top is apart when nothing happens

const on = {
  cancel: (job) => attempt(() => call("POST", `/api/jobs/${job.id}/cancel`).then(showJob)),
  move: (job, position) => attempt(async () => {
    showJob(await call("POST", `/api/jobs/${job.id}/move`, { position }));
    announce(`${job.title}: position ${works.get(job.id)?.job.position} of ${waiting().length}.`);
  }),
  retry: (job) => attempt(() => call("POST", `/api/jobs/${job.id}/retry`).then(showJob)),
  remove: removeJob,
  renamed: () => refreshLibrary(),
  failed: (error) => attempt(() => { throw error; }),
  whole: (job) => attempt(() => call("POST", `/api/jobs/${job.id}/full`).then(showJob)),
  taken(job, row) {
    if (heard.ever.has(job.id)) { // its events were faster than the answer, and are newer
      row.remove();
      showQueue();
      return;
    }
    works.set(job.id, row);
    showJob(job);
  },
  changed: showQueue,
};

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    setText(byId("away"), error.message);
    announce(error.message);
  }
}

const isSure = (title) => confirmed("sure", () => setText(byId("sure-title"), title));

async function removeAll(ids) {
  if (!(await isSure(`Delete ${counted(ids.length, "song")}?`))) return;
  await attempt(async () => {
    for (const id of ids) {
      await call("DELETE", `/api/jobs/${id}`);
      forget(id);
    }
    announce(`${counted(ids.length, "song")} deleted.`);
    selection.toggle(false);
  });
}

async function removeJob(job) {
  const whole = job.status === "succeeded";
  if (whole && !(await isSure(`Delete “${job.title}”?`))) return;
  await attempt(async () => {
    await call("DELETE", `/api/jobs/${job.id}`);
    forget(job.id);
    announce(`${job.title} is deleted.`);
    byId("songs").focus({ preventScroll: true });
  });
}

function forget(id) {
  selection.refresh([id]);
  works.get(id)?.remove();
  works.delete(id);
  showQueue();
  refreshLibrary();
}

/** A job as it is now: in the queue, or ready. */
function showJob(job) {
  const row = works.get(job.id);
  if (job.status === "succeeded") {
    if (row) announce(`${job.title} is ready.`);
    row?.remove();
    works.delete(job.id);
    refreshLibrary();
  } else {
    if (row && row.job?.status !== "failed" && job.status === "failed") announce(`${job.title}: ${job.error}`);
    if (!row) addWork(job);
    works.get(job.id).update(job);
  }
  showQueue();
}

function hear(id) {
  heard.ever.add(id);
  heard.lately.add(id);
}

function addWork(job) {
  const row = new WorkRow(job.name, on);
  works.set(job.id, row);
  byId("queue-list").append(row.element);
}

const waiting = () => [...works.values()].filter((row) => row.job?.status === "queued");

/** First what is worked on, then what waits, then what is on its way here, then what went wrong. */
function showQueue() {
  const list = byId("queue-list");
  const ranks = { running: 0, queued: 1, failed: 3, canceled: 3 };
  const rank = ({ dataset }) => 1e6 * (ranks[dataset.status] ?? 2) + Number(dataset.position || 0);
  const rows = [...list.children];
  const sorted = rows.toSorted((a, b) => rank(a) - rank(b));
  if (sorted.some((row, index) => row !== rows[index])) {
    const focused = document.activeElement;
    list.append(...sorted);
    if (list.contains(focused)) focused.focus();
  }
  for (const row of waiting()) row.markEnds(waiting().length);
  byId("queue").hidden = rows.length === 0;
  byId("queue").classList.toggle("single", waiting().length < 2);
}

/** The queue from the server, except songs with newer events since the list was requested. */
async function refreshQueue() {
  heard.lately.clear();
  const { jobs } = await call("GET", "/api/jobs?status=queued,running,failed,canceled&limit=500");
  const here = new Set(jobs.map((job) => job.id));
  for (const [id, row] of works) {
    if (here.has(id) || heard.lately.has(id)) continue;
    row.remove();
    works.delete(id);
  }
  const known = jobs.filter((job) => !heard.lately.has(job.id));
  known.reverse().forEach(showJob); // oldest first, as they are worked on
  showQueue();
}

/** Soon, and once for many changes at a time. */
function refreshLibrary() {
  clearTimeout(library.timer);
  library.timer = setTimeout(() => attempt(loadLibrary), 120);
}

async function loadLibrary() {
  const turn = ++library.turn;
  const query = new URLSearchParams({ status: "succeeded", query: library.query, limit: library.shown });
  const { jobs, total } = await call("GET", `/api/jobs?${query}`);
  if (turn !== library.turn) return; // a later search was faster
  const focused = document.activeElement?.closest(".row.finished")?.dataset.id;
  byId("library-list").replaceChildren(...jobs.map((job) => libraryRow(job, on)));
  if (focused) byId("library-list").querySelector(`[data-id="${CSS.escape(focused)}"] a`)?.focus();
  selection.refresh();
  byId("more").hidden = total <= jobs.length;
  byId("library-empty").hidden = jobs.length > 0;
  byId("library-empty").textContent = library.query
    ? `No songs match “${library.query}”.` : "Separated songs will appear here.";
}

function connectSearch() {
  const search = byId("search");
  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      library.query = search.value.trim();
      library.shown = PAGE;
      await attempt(loadLibrary);
      if (library.query) announce(`${counted(byId("library-list").childElementCount, "song")} found.`);
    }, 150);
  });
  byId("search-form").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    library.shown += PAGE;
    attempt(loadLibrary);
  });
}

/** Songs can be dropped anywhere on the page; the zone shows it. */
function connectDrop(hero, take) {
  const zone = byId("drop");
  let depth = 0;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const over = (is) => {
    zone.classList.toggle("over", is);
    hero.set(is ? 1 : rest.at);
  };
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    depth += 1;
    over(true);
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event) && --depth <= 0) { depth = 0; over(false); }
  });
  addEventListener("dragover", (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    take(await droppedFiles(event.dataTransfer));
  });
}

function connectPicking(take) {
  for (const name of ["files", "folder"]) {
    const input = byId(name);
    byId(`pick-${name}`).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      take(name === "folder" ? songsOf(input.files) : { files: [...input.files], leftOut: 0 });
      input.value = ""; // so that the same file can be chosen again
    });
  }
  // Phones have no folders to choose.
  if (!("webkitdirectory" in byId("folder"))) byId("pick-folder").hidden = true;
}

function takeWith(uploads) {
  const hint = byId("drop-hint");
  return ({ files, leftOut }) => {
    uploads.add(files);
    const out = leftOut === 1 ? "1 file is not audio and was skipped." : `${leftOut} files are not audio and were skipped.`;
    const left = leftOut ? ` ${out}` : "";
    const told = `${counted(files.length, "song")} added.${left}`;
    announce(told);
    if (leftOut || !files.length) setText(hint, files.length ? told : `No songs found.${left}`);
  };
}

/** Guests from the network upload to another computer, and should know which. */
function tellWhere() {
  if (["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) return;
  setText(byId("drop-hint"), `One song, several, or a whole folder. They are uploaded to ${location.hostname}.`);
}

async function start() {
  drawIcons();
  tellWhere();
  const hero = new Braid(byId("hero"), { thick: 5, wave: 150, opening: 190, faded: false, mirrored: true });
  hero.set(rest.at, { glide: false });
  connectSearch();
  const settings = await call("GET", "/api/settings");
  byId("version").textContent = settings.version;
  const choices = new Choices(settings);
  const uploads = new Uploads(byId("queue-list"), choices, settings.limits, on);
  const take = takeWith(uploads);
  connectPicking(take);
  connectDrop(hero, take);
  await loadLibrary(); // asks for the key if there is one: a refused stream of events does not say why
  new Models(choices);
  listen("/api/events", {
    onOpen: () => {
      setText(byId("away"), "");
      attempt(() => Promise.all([refreshQueue(), loadLibrary()]));
    },
    onJob: (job) => { hear(job.id); showJob(job); },
    onDeleted: (id) => { hear(id); forget(id); },
    onAway: () => {
      setText(byId("away"), "Lost connection to the unbraid server; reconnecting.");
      call("GET", "/api/jobs?limit=1").catch(() => {}); // back, but locked now?
    },
  });
}

attempt(start);
