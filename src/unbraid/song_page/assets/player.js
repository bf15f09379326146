"use strict";
// Players in step: all sounds are decoded into one audio context and started at one instant of its
// clock, so they cannot drift apart. Mute and solo only change gains.
(() => {
  const lanes = [...document.querySelectorAll(".lane")];
  if (!lanes.length) return;
  const byId = (id) => document.getElementById(id);
  const play = byId("play"), seek = byId("seek"), clock = byId("clock"), problem = byId("problem");
  const total = Number(seek.max);
  const parts = lanes.map((lane) => ({
    lane, name: lane.dataset.part, isMixture: lane.dataset.part === "mixture",
    mute: lane.querySelector("[data-mute]"), solo: lane.querySelector("[data-solo]"),
    head: lane.querySelector(".head"), view: lane.querySelector(".view"),
    muted: false, soloed: false, buffer: null, gain: null, source: null,
  }));
  let context = null, loading = null, playing = false, startedAt = 0, position = 0;

  const minutes = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const now = () => playing ? Math.min(total, Math.max(0, context.currentTime - startedAt)) : position;

  function audible(part) {
    const anySolo = parts.some((p) => p.soloed);
    if (anySolo) return part.soloed;
    return !part.muted && !part.isMixture; // the stems together already make the song
  }
  function showGains() {
    const mixture = parts.find((p) => p.isMixture);
    byId("compare").setAttribute("aria-pressed", String(mixture.soloed));
    for (const part of parts) {
      const on = audible(part);
      part.lane.classList.toggle("quiet", !on);
      part.mute?.setAttribute("aria-pressed", String(part.muted));
      part.solo.setAttribute("aria-pressed", String(part.soloed));
      if (part.gain) part.gain.gain.setTargetAtTime(on ? 1 : 0, context.currentTime, 0.008);
    }
  }
  function showTime() {
    const at = now();
    seek.value = String(at);
    seek.setAttribute("aria-valuetext", `${minutes(at)} of ${minutes(total)}`);
    clock.textContent = `${minutes(at)} / ${minutes(total)}`;
    for (const part of parts) part.head.style.left = `${(100 * at) / total}%`;
    if (playing && at >= total) { stop(); position = 0; showTime(); }
  }
  function tick() { if (playing) { showTime(); requestAnimationFrame(tick); } }

  async function decode(part) {
    const block = document.querySelector(`script[data-sound="${CSS.escape(part.name)}"]`);
    const text = atob(block.textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    part.buffer = await context.decodeAudioData(bytes.buffer);
    part.gain = context.createGain();
    part.gain.gain.value = audible(part) ? 1 : 0;
    part.gain.connect(context.destination);
  }
  async function load() {
    const rate = Number(document.body.querySelector("[data-preview-rate]").dataset.previewRate);
    context = new (window.AudioContext || window.webkitAudioContext)({ sampleRate: rate });
    for (const part of parts) await decode(part); // one after the other: phones have little memory
  }
  function start() {
    const at = context.currentTime + 0.06;
    startedAt = at - position;
    for (const part of parts) {
      part.source = context.createBufferSource();
      part.source.buffer = part.buffer;
      part.source.connect(part.gain);
      part.source.start(at, position);
    }
    playing = true;
    play.textContent = "Pause";
    requestAnimationFrame(tick);
  }
  function stop() {
    position = now();
    playing = false;
    for (const part of parts) { try { part.source?.stop(); } catch { /* it had ended */ } part.source = null; }
    play.textContent = "Play";
  }
  async function toggle() {
    if (playing) { stop(); showTime(); return; }
    try {
      if (!loading) { play.textContent = "Loading"; play.disabled = true; loading = load(); }
      await loading;
      await context.resume();
      play.disabled = false;
      if (!playing) start();
    } catch (error) {
      loading = null; play.disabled = false; play.textContent = "Play";
      problem.textContent = "This browser could not play the previews: they are Opus in WebM, which Chrome, Firefox " +
        `and Safari from 17.4 on play. The stems themselves are linked below. (${error.message || error})`;
    }
  }
  function jump(seconds) {
    const again = playing;
    if (again) stop();
    position = Math.min(total, Math.max(0, seconds));
    if (again && position < total) start();
    showTime();
  }
  function setSolo(part, alone) {
    const on = !part.soloed;
    // The mixture is heard alone: it holds all stems already.
    parts.forEach((p) => { if (alone || p.isMixture) p.soloed = false; });
    part.soloed = on;
    showGains();
  }
  function compare() { // the mixture, or what the stems make together
    const mixture = parts.find((p) => p.isMixture);
    const on = !mixture.soloed;
    parts.forEach((p) => { p.soloed = false; });
    mixture.soloed = on;
    showGains();
  }

  for (const part of parts) {
    part.mute?.addEventListener("click", () => { part.muted = !part.muted; showGains(); });
    part.solo.addEventListener("click", (e) => setSolo(part, !e.shiftKey && part.isMixture));
    const seekTo = (e) => {
      const box = part.view.getBoundingClientRect();
      jump(((e.clientX - box.left) / box.width) * total);
    };
    part.view.addEventListener("pointerdown", seekTo);
  }
  play.addEventListener("click", toggle);
  byId("compare").addEventListener("click", compare);
  byId("all").addEventListener("click", () => {
    parts.forEach((p) => { p.soloed = false; p.muted = false; });
    showGains();
  });
  seek.addEventListener("input", () => jump(Number(seek.value)));
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.target.matches("input:not([type=range]), textarea, summary")) return;
    const digit = /^Digit([1-9])$/.exec(e.code);
    const part = digit ? parts[Number(digit[1]) - 1] : null;
    if (e.key === " " && !e.target.matches("button")) toggle();
    else if (e.key === "ArrowLeft" && e.target !== seek) jump(now() - 5);
    else if (e.key === "ArrowRight" && e.target !== seek) jump(now() + 5);
    else if (e.key === "b") compare();
    else if (e.key === "0") byId("all").click();
    else if (part && e.shiftKey && part.mute) part.mute.click();
    else if (part) part.solo.click();
    else return;
    e.preventDefault();
  });
  // For tests and the curious: what is heard, and where.
  window.unbraidPlayer = { parts, now, get playing() { return playing; }, get context() { return context; } };
  showGains();
  showTime();
})();
