// What this browser remembers; a browser that keeps nothing gets the defaults.

/** The object kept under a key, or an empty one. */
export function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) || {};
  } catch {
    return {};
  }
}

export function keep(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch { /* full, or forbidden */ }
}
