// The drawings on buttons, 24 units square. They say nothing to screen readers: their buttons do.
const DRAWINGS = {
  play: ["solid", "M7 4.6v14.8a.8.8 0 0 0 1.2.7l12-7.4a.8.8 0 0 0 0-1.4l-12-7.4a.8.8 0 0 0-1.2.7z"],
  pause: ["solid", "M7 4h3.2a.8.8 0 0 1 .8.8v14.4a.8.8 0 0 1-.8.8H7a.8.8 0 0 1-.8-.8V4.8A.8.8 0 0 1 7 4zm6.8 0H17a.8.8 0 0 1 .8.8v14.4a.8.8 0 0 1-.8.8h-3.2a.8.8 0 0 1-.8-.8V4.8a.8.8 0 0 1 .8-.8z"],
  loop: ["", "M17 2l4 4-4 4M3 11V9a3 3 0 0 1 3-3h15M7 22l-4-4 4-4M21 13v2a3 3 0 0 1-3 3H3"],
  download: ["", "M12 3v12m0 0l-5-5m5 5l5-5M4 20h16"],
  pencil: ["", "M4 20l1-4.5L16.5 4 20 7.5 8.5 19 4 20zM14 6.5L17.5 10"],
  trash: ["", "M4 7h16M10 3h4M6 7l1 13h10l1-13M10 11v5M14 11v5"],
  retry: ["", "M20 5v5h-5M19.4 10A8 8 0 1 0 20 14"],
  close: ["", "M6 6l12 12M18 6L6 18"],
  folder: ["", "M3 6.5A1.5 1.5 0 0 1 4.5 5H9l2 2.5h8.5A1.5 1.5 0 0 1 21 9v8.5a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17.5z"],
  song: ["", "M9 18V5l11-2v13M9 18a3 3 0 1 1-6 0 3 3 0 0 1 6 0zm11-2a3 3 0 1 1-6 0 3 3 0 0 1 6 0z"],
  back: ["", "M15 5l-7 7 7 7"],
  check: ["", "M5 13l4.5 4.5L19 7"],
  page: ["", "M6 3h8l4 4v14H6zM9 12h6M9 16h6M14 3v4h4"],
  up: ["", "M5 14l7-7 7 7"],
  down: ["", "M5 10l7 7 7-7"],
  start: ["", "M6 5v14M19 5l-9 7 9 7z"],
  metronome: ["", "M8.5 3h7l4 18h-15zM6 15h12M12 15l5-9"],
  volume: ["", "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9a4.2 4.2 0 0 1 0 6M18.8 6.2a8.2 8.2 0 0 1 0 11.6"],
};
const SVG = "http://www.w3.org/2000/svg";

/** One of the drawings as an element. */
export function icon(name) {
  const [style, outline] = DRAWINGS[name];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", outline);
  if (style) path.setAttribute("class", style);
  svg.append(path);
  return svg;
}

/** Put drawings in front of what asks for one: <button data-icon="play">. */
export function drawIcons(root = document) {
  for (const element of root.querySelectorAll("[data-icon]")) {
    element.prepend(icon(element.dataset.icon));
    delete element.dataset.icon;
  }
}
