// The report of a song: made when somebody wants to see it, then opened in a tab of its own.
import { at, call } from "./api.js";
import { announce, byId, h, setText } from "./dom.js";
import { icon } from "./icons.js";

const LOOK_MS = 500;

/** Show in #report how far the report of a job is; `base` is the address of the job. */
export function showReport(job, base) {
  const place = byId("report");
  const { status, progress, error } = job.report;
  if (status === "making") {
    const bar = place.querySelector("progress") || h("progress", { max: "1", "aria-label": "Progress of the report" });
    bar.value = progress;
    if (!bar.isConnected) place.replaceChildren(h("span", { class: "small soft" }, "Making the report"), bar);
    setTimeout(() => look(base), LOOK_MS);
    return;
  }
  const wasMaking = place.querySelector("progress") !== null;
  const action = status === "ready"
    ? h("a", { class: "button", href: at(`${base}/report`), target: "_blank", rel: "noopener" }, icon("page"), "Open the report")
    : h("button", { type: "button", onclick: () => make(base) }, icon("page"), status === "failed" ? "Try the report again" : "Make a report");
  const told = { none: "Levels, spectra and hints on what looks unusual.", failed: error, ready: "Opens in a new tab." }[status];
  place.replaceChildren(action, h("span", { class: `small ${status === "failed" ? "danger" : "soft"}` }, told));
  if (!wasMaking) return;
  announce(status === "ready" ? "The report is ready." : error);
  if (document.activeElement === document.body) action.focus();
}

async function make(base) {
  try {
    showReport(await call("POST", `${base}/report`), base);
  } catch (error) {
    setText(byId("report").lastElementChild, error.message);
  }
}

async function look(base) {
  try {
    showReport(await call("GET", base), base);
  } catch {
    setTimeout(() => look(base), 4 * LOOK_MS); // the server is away: it may come back
  }
}
