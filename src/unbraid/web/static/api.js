// Calls to the server. What goes wrong comes back as an Error whose message can be shown as it is.
import { byId } from "./dom.js";

export class ApiError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// Everything is addressed from here, so that a reverse proxy may serve the app below a path of its own.
const ROOT = new URL("../", import.meta.url).href;

/** The address of a path of the server, such as "/api/jobs". */
export const at = (path) => (path.startsWith("/") ? ROOT + path.slice(1) : path);

const AWAY = "The unbraid server does not answer. Is it still running?";

/** GET, POST, PATCH or DELETE; returns the JSON of the answer, or null. */
export async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetchOrSay(path, options);
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

/** The bytes of an answer. */
export async function bytesOf(path, signal) {
  const response = await fetchOrSay(path, { signal });
  if (!response.ok) throw await refusal(response);
  return response.arrayBuffer();
}

async function fetchOrSay(path, options) {
  try {
    return await fetch(at(path), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(AWAY, 0, "away");
  }
}

async function refusal(response) {
  let text = "";
  try {
    text = await response.text();
  } catch { /* the status alone has to do */ }
  return refusalFrom(response.status, text);
}

function refusalFrom(status, text) {
  let told = null;
  try {
    told = JSON.parse(text).error;
  } catch { /* not from our server: a proxy in between, say */ }
  if (status === 401) askForKey();
  const fallback = status >= 500 ? "The server had an internal error. Try again in a moment."
    : status === 413 ? "This file is too large." : "The server did not accept this.";
  return new ApiError(told?.message || fallback, status, told?.code || "");
}

/**
 * Send one file with its choices.
 * Returns { done: Promise of the Job, abort }; `onProgress` hears the fraction sent.
 */
export function upload(file, choices, onProgress) {
  const form = new FormData();
  for (const [name, value] of Object.entries(choices)) form.append(name, value);
  form.append("file", file, file.name); // last: the server knows the choices before the bytes come
  const request = new XMLHttpRequest(); // fetch does not report upload progress
  const done = new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText));
      else reject(refusalFrom(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(new ApiError(AWAY, 0, "away")));
    request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    request.open("POST", at("/api/jobs"));
    request.send(form);
  });
  return { done, abort: () => request.abort() };
}

/** Listen to changes of all jobs, or of one; comes back by itself when the connection breaks. */
export function listen(path, { onOpen = () => {}, onJob, onDeleted = () => {}, onAway = () => {} }) {
  let source = null;
  let wait = 500;
  let timer = 0;
  const open = () => {
    source = new EventSource(at(path));
    source.addEventListener("open", () => { wait = 500; onOpen(); });
    source.addEventListener("job", (event) => onJob(JSON.parse(event.data)));
    source.addEventListener("deleted", (event) => onDeleted(JSON.parse(event.data).id));
    source.addEventListener("error", () => {
      // Browsers try again by themselves only after some errors, so this does it after all.
      source.close();
      timer = setTimeout(open, wait);
      onAway();
      wait = Math.min(wait * 2, 5000);
    });
  };
  open();
  return { close: () => { clearTimeout(timer); source.close(); } };
}

/** Ask for the key until the server accepts it, then reload the page. */
function askForKey() {
  const dialog = byId("key");
  if (dialog.open) return;
  const form = dialog.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetchOrSay("/api/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ key: form.elements.key.value }),
    });
    if (response.ok) location.reload();
    else dialog.querySelector("[role=alert]").textContent = "Wrong key. Try again.";
  });
  dialog.showModal();
}
