// Elements made by calls. Text goes in as text, never as markup: names come from strangers' files.

/**
 * An element: h("button", { class: "strong", onclick: save }, "Save").
 * Properties that begin with "on" are listeners; `dataset` is one; the others are attributes
 * (false, null and undefined leave one out).
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Set text only where it differs, so that selections and screen readers are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Say it to those who do not see it happen. */
export function announce(text) {
  byId("live").textContent = text;
}

/** The value of a CSS custom property, such as "--drums". */
export function colour(name, element = document.documentElement) {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

/**
 * An empty canvas, as sharp as the screen, for marks with labels: its context and its size, both in
 * CSS pixels; null while it is not shown.
 */
export function sharpCanvas(canvas) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return null;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "top";
  return { context, width, height };
}

/** Call `redraw` whenever light turns to dark or back; returns a function that ends this. */
export function onSchemeChange(redraw) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", redraw);
  return () => scheme.removeEventListener("change", redraw);
}

export const motionIsReduced = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Ask in a dialog of the page (by its id); true for its strong button. */
export function confirmed(id, fill = () => {}) {
  const dialog = byId(id);
  fill(dialog);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
