// The keyboard of the mixer. Keys that a focused control has a use for itself are left to it.
import { byId } from "./dom.js";

const TYPING = "input:not([type=range]):not([type=checkbox]), select, textarea, [contenteditable], dialog *";

/** does: what keys do, see `mixer.js`; lanes: in the order on the page. */
export function connectKeys(does, lanes) {
  const chosen = () => lanes.find((lane) => lane.element.contains(document.activeElement));
  const choose = (index) => lanes[Math.min(lanes.length - 1, Math.max(0, index))].element.focus();
  const ofChosen = (action) => () => { const lane = chosen(); if (lane) action(lane); return Boolean(lane); };
  const step = (direction) => ({ shiftKey }) => {
    const lane = chosen();
    if (shiftKey) return lane ? lane.nudge(-direction) : false;
    return choose(lane ? lanes.indexOf(lane) + direction : direction > 0 ? 0 : lanes.length - 1);
  };

  const keys = {
    " ": does.toggle,
    k: does.toggle,
    ArrowLeft: ({ shiftKey }) => (shiftKey ? does.stepBar(-1) : does.move(-1)),
    ArrowRight: ({ shiftKey }) => (shiftKey ? does.stepBar(1) : does.move(1)),
    ",": () => does.stepBeat(-1),
    ".": () => does.stepBeat(1),
    Home: () => does.seek(0),
    End: () => does.seek(Infinity),
    ArrowUp: step(-1),
    ArrowDown: step(1),
    x: ofChosen((lane) => lane.mute?.click()),
    s: ofChosen((lane) => lane.solo?.click()),
    r: does.reset,
    o: does.compare,
    m: does.metronome,
    l: does.toggleLoop,
    "[": () => does.mark("start"),
    "]": () => does.mark("end"),
    "{": () => does.moveLoop(-1),
    "}": () => does.moveLoop(1),
    "+": () => does.zoom(1),
    "=": () => does.zoom(1),
    "-": () => does.zoom(-1),
    0: does.showAll,
    t: does.tap,
    "?": () => byId("keys").showModal(),
  };

  /** Digits by their place on the keyboard: with shift they are other signs. */
  const ofDigit = ({ code, shiftKey }) => {
    const lane = lanes[Number(/^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1]) - 1];
    const button = shiftKey ? lane?.mute : lane?.solo;
    return button && (() => button.click());
  };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || target.matches(TYPING)) return;
    if (target.matches("input[type=range]") && /^(Arrow|Home|End)/.test(event.key)) return;
    if (target.matches("button, summary, a, input[type=checkbox]") && (event.key === " " || event.key === "Enter")) return;
    if (document.querySelector("dialog[open]")) return; // the mixer is behind it
    const action = ofDigit(event) || keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action && action(event) !== false) event.preventDefault();
  });
  byId("show-keys").addEventListener("click", () => byId("keys").showModal());
}
