// The keyboard of the mixer. Keys that a focused control has a use for itself are left to it.

const TYPING = "input:not([type=range]):not([type=checkbox]), select, textarea, dialog *";
const STEP_S = 5;

/** does: what keys do, see `song.js`; lanes: in the order on the page. */
export function connectKeys(does, lanes) {
  const chosen = () => lanes.find((lane) => lane.element.contains(document.activeElement));
  const choose = (index) => lanes[Math.min(lanes.length - 1, Math.max(0, index))].element.focus();
  const ofChosen = (action) => () => { const lane = chosen(); if (lane) action(lane); return Boolean(lane); };
  const step = (direction) => ({ choose: () => {
    const lane = chosen();
    choose(lane ? lanes.indexOf(lane) + direction : direction > 0 ? 0 : lanes.length - 1);
  } }.choose);

  const keys = {
    " ": does.toggle,
    k: does.toggle,
    ArrowLeft: (event) => does.move(event.shiftKey ? -1 : -STEP_S),
    ArrowRight: (event) => does.move(event.shiftKey ? 1 : STEP_S),
    Home: () => does.seek(0),
    End: () => does.seek(Infinity),
    ArrowUp: step(-1),
    ArrowDown: step(1),
    m: ofChosen((lane) => lane.mute?.click()),
    s: ofChosen((lane) => lane.solo?.click()),
    "+": ofChosen((lane) => lane.nudge(1)),
    "=": ofChosen((lane) => lane.nudge(1)),
    "-": ofChosen((lane) => lane.nudge(-1)),
    o: does.compare,
    l: does.toggleLoop,
    "[": () => does.mark("start"),
    "]": () => does.mark("end"),
    0: does.reset,
  };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.altKey || event.metaKey || target.matches(TYPING)) return;
    if (target.matches("input[type=range]") && /^(Arrow|Home|End)/.test(event.key)) return;
    if (target.matches("button, summary, a") && (event.key === " " || event.key === "Enter")) return;
    const digit = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
    const action = digit ? () => choose(digit - 1) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action && action(event) !== false) event.preventDefault();
  });
}
