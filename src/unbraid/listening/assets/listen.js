"use strict";
// One rater's way through a study: introduction, practice, samples, end. With a server every answer
// goes there at once and waits in this browser until it is kept; without one they stay in this
// browser and leave it as a file.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const screen = document.getElementById("screen");
  const status = document.getElementById("status");
  const key = `unbraid-listen-${study.id}`;
  const mustHear = Math.min(3, study.seconds / 2);
  const mushra = study.mode === "mushra";
  const [low, high] = study.scale;

  // --- what is kept -------------------------------------------------------------------------
  let state = { token: null, playlist: null, background: {}, answers: {}, waiting: [], started: null };
  let server = false;
  const nameOf = (trial, sound, question) => `${trial}|${sound}|${question}`;
  const save = () => { try { localStorage.setItem(key, JSON.stringify(state)); } catch { /* no storage here */ } };
  function say(text, isProblem = false) {
    status.textContent = text;
    status.classList.toggle("warn", isProblem);
  }
  async function ask(method, path, body) {
    const options = { method, headers: body ? { "Content-Type": "application/json" } : {} };
    if (body) options.body = JSON.stringify(body);
    const response = await fetch(path, options);
    if (!response.ok) throw new Error(`${response.status}`);
    return response.status === 204 ? null : response.json();
  }
  let sending = false;
  async function send() {
    if (!server || sending) return;
    sending = true;
    try {
      while (state.waiting.length) {
        await ask("PUT", `api/raters/${state.token}/ratings`, state.waiting[0]);
        state.waiting.shift();
        save();
      }
      say("All answers are kept.");
    } catch {
      say(`Answers not kept yet: ${state.waiting.length}; trying again.`, true);
      setTimeout(send, 3000);
    } finally { sending = false; }
    farewell();
  }
  function farewell() {
    const line = document.getElementById("farewell");
    if (!line) return;
    if (!server) line.textContent = "Save your answers as a file and send it to the organizer of the test.";
    else if (state.waiting.length) line.textContent = "Your last answers are on their way. Please leave this page open.";
    else line.textContent = "All your answers are kept. You can close this page.";
  }
  function answer(trial, sound, question, value) {
    const heard = Math.round((listened[sound] || 0) * 10) / 10;
    const rating = { trial: trial.id, sound, question, value, listened_s: heard };
    state.answers[nameOf(trial.id, sound, question)] = rating;
    if (server) state.waiting.push(rating);
    save();
    if (!server) { say("Kept in this browser."); return; }
    if (!status.classList.contains("warn")) say("Sending …");
    send();
  }
  const answered = (trial, sound, question) => state.answers[nameOf(trial.id, sound, question)]?.value;
  const complete = (trial) => trial.sounds.every(
    (sound) => study.questions.every((q) => answered(trial, sound, q.name) !== undefined));

  // --- sound --------------------------------------------------------------------------------
  const players = {}, listened = {};
  let current = null;
  function player(file) {
    if (players[file]) return players[file];
    const audio = new Audio(`audio/${file}`);
    audio.preload = "auto";
    let last = 0;
    audio.addEventListener("timeupdate", () => {
      const step = audio.currentTime - last;
      if (step > 0 && step < 1) listened[file] = (listened[file] || 0) + step;
      last = audio.currentTime;
      shown();
    });
    audio.addEventListener("play", () => { last = audio.currentTime; shown(); });
    audio.addEventListener("pause", () => shown());
    audio.addEventListener("error", () => say("A sound cannot be played in this browser.", true));
    return (players[file] = audio);
  }
  function playing() { return current && !current.audio.paused ? current.file : null; }
  function toggle(file) {
    if (playing() === file) { current.audio.pause(); return; }
    // Side by side, the music continues at the same place and only the sound changes.
    const from = mushra && current && current.audio.currentTime < current.audio.duration - 0.05 ? current.audio.currentTime : null;
    if (current) current.audio.pause();
    const audio = player(file);
    if (from !== null) audio.currentTime = from;
    current = { file, audio };
    audio.play().catch(() => say("Press play once more.", true));
  }
  function silence() { if (current) current.audio.pause(); current = null; }
  let shown = () => {};

  // --- screens ------------------------------------------------------------------------------
  const element = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  };
  let keys = () => false;
  function show(...children) {
    screen.replaceChildren(...children);
    screen.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
  const trials = () => study.playlists[state.playlist % study.playlists.length];

  function introduction() {
    const field = (name, text, options) => element("label", { class: "field" }, element("span", {}, text),
      element("select", { name }, ...options.map((o) => element("option", { value: o }, o || "I would rather not say"))));
    const form = element("form", { onsubmit: (e) => { e.preventDefault(); begin(new FormData(form)); } },
      field("experience", "Your experience with sound",
        ["", "none in particular", "amateur musician", "professional musician", "sound engineer"]),
      field("listening", "What you listen with", ["", "headphones", "loudspeakers", "built-in speakers"]),
      element("nav", {}, element("button", { class: "main", id: "begin" }, "Begin")));
    const first = study.playlists[0].filter((t) => !t.practice).length;
    show(element("h1", {}, study.title),
      element("p", {}, mushra
        ? `You will hear ${first} excerpts of ${study.seconds} seconds, each in several versions, with a reference. Say how close each version comes to it. One of them is the reference itself: it should get 100.`
        : `You will hear ${first} samples of ${study.seconds} seconds: one instrument, or the voice, taken out of a song by some means. For each, answer two questions from 1 (worst) to 5 (best).`),
      element("p", {}, "The first samples are for practice and do not count. You can pause at any time: the page resumes where you were. Headphones help; set a comfortable volume with the first sample and keep it."),
      element("p", { class: "soft" }, server
        ? "Your answers go to the computer that serves this page, without your name or address."
        : "Your answers stay in this browser; at the end you save them as a file and send it back."),
      form);
    keys = () => false;
  }
  async function begin(form) {
    state.background = Object.fromEntries([...form.entries()].filter(([, v]) => v));
    state.started = new Date().toISOString();
    if (server) {
      try {
        const rater = await ask("POST", "api/raters", { background: state.background });
        Object.assign(state, rater);
        history.replaceState(null, "", `#r=${state.token}`);
      } catch { say("The server does not answer; try again.", true); return; }
    } else {
      const wanted = Number(new URLSearchParams(location.search).get("rater"));
      state.playlist = wanted > 0 ? wanted - 1 : Math.floor(Math.random() * study.playlists.length);
      state.token = crypto.getRandomValues(new Uint32Array(4)).join("-");
    }
    save();
    go(0);
  }
  function go(number) {
    silence();
    const all = trials();
    if (number >= all.length) { end(); return; }
    const trial = all[number];
    all.slice(number + 1, number + 2).forEach((next) => [...next.sounds, next.mixture].forEach(player));
    const practice = all.filter((t) => t.practice).length;
    const title = trial.practice ? `Practice ${number + 1} of ${practice}`
      : `Sample ${number + 1 - practice} of ${all.length - practice}`;
    const head = [element("h1", {}, title, element("small", {}, trial.stem)),
      element("progress", { max: all.length, value: number, "aria-label": "progress" })];
    if (trial.practice) head.push(element("p", { class: "soft" }, element("span", { class: "badge" }, "practice"), " This one does not count."));
    const back = element("button", { disabled: number === 0, onclick: () => go(number - 1) }, "Back");
    const next = element("button", { class: "main", id: "next", onclick: () => { if (complete(trial)) go(number + 1); } }, "Next");
    const refresh = () => { next.disabled = !complete(trial); };
    const parts = mushra ? sideBySide(trial, refresh) : oneSound(trial, refresh);
    show(...head, ...parts.nodes, element("nav", {}, back, next));
    refresh();
    shown = parts.shown;
    shown();
    keys = (e) => {
      if (e.key === "Enter" && !next.disabled && e.target.tagName !== "BUTTON") next.click();
      else if (e.key === "Backspace" && number > 0) back.click();
      else return parts.keys(e);
      return true;
    };
  }
  function bar(file) {
    const inner = element("i");
    const outer = element("div", { class: "bar", onclick: (e) => {
      const box = outer.getBoundingClientRect();
      const audio = current?.audio || player(file);
      if (audio.duration) audio.currentTime = audio.duration * (e.clientX - box.left) / box.width;
    } }, inner);
    return { outer, update: () => {
      const audio = current?.audio;
      inner.style.width = audio?.duration ? `${100 * audio.currentTime / audio.duration}%` : "0";
    } };
  }

  function oneSound(trial, refresh) {
    const [sound] = trial.sounds;
    const play = element("button", { class: "main", id: "play", onclick: () => toggle(sound) });
    const song = element("button", { id: "song", onclick: () => toggle(trial.mixture) });
    const line = bar(sound);
    const note = element("p", { class: "soft" });
    const sets = study.questions.map((question) => {
      const set = element("fieldset", { "data-question": question.name }, element("legend", {}, question.text),
        element("div", { class: "choices" }, ...Array.from({ length: high - low + 1 }, (_, i) => {
          const value = low + i;
          const input = element("input", { type: "radio", name: question.name, value, onchange: () => choose(question, value) });
          input.checked = answered(trial, sound, question.name) === value;
          return element("label", {}, input, element("span", {}, String(value)));
        })),
        element("div", { class: "ends" }, element("span", {}, `${low}: ${question.lowest}`), element("span", {}, `${high}: ${question.highest}`)));
      return set;
    });
    function choose(question, value) {
      answer(trial, sound, question.name, value);
      mark();
      refresh();
    }
    const active = () => {
      const focused = sets.find((set) => set.contains(document.activeElement));
      const empty = study.questions.findIndex((q) => answered(trial, sound, q.name) === undefined);
      return focused || sets[empty < 0 ? sets.length - 1 : empty];
    };
    const mark = () => sets.forEach((set) => set.classList.toggle("active", set === active() && !set.disabled));
    const update = () => {
      const isReady = (listened[sound] || 0) >= mustHear || complete(trial);
      for (const set of sets) set.disabled = !isReady;
      note.textContent = isReady ? "" : `Listen for ${mustHear} seconds, then answer.`;
      play.textContent = playing() === sound ? "Pause" : `Play the ${trial.stem}`;
      song.textContent = playing() === trial.mixture ? "Pause" : "The whole song";
      line.update();
      mark();
    };
    return {
      nodes: [element("div", { class: "players" }, play, song), line.outer, note, ...sets,
        element("p", { class: "soft keys" }, element("kbd", {}, "space"), " play, ", element("kbd", {}, "m"), " the whole song, ",
          element("kbd", {}, `${low}`), "–", element("kbd", {}, `${high}`), " answer, ", element("kbd", {}, "Enter"), " next, ",
          element("kbd", {}, "Backspace"), " back")],
      shown: update,
      keys: (e) => {
        if (e.key === " " && e.target.tagName !== "BUTTON") toggle(sound);
        else if (e.key === "m") toggle(trial.mixture);
        else if (/^[0-9]$/.test(e.key) && Number(e.key) >= low && Number(e.key) <= high) {
          const set = active();
          if (set.disabled) { say(`Listen for ${mustHear} seconds first.`); return true; }
          if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
          set.querySelector(`input[value="${e.key}"]`).click();
        } else return false;
        return true;
      },
    };
  }

  function sideBySide(trial, refresh) {
    const [question] = study.questions;
    const line = bar(trial.open_reference);
    const reference = element("button", { class: "main", id: "play", onclick: () => toggle(trial.open_reference) });
    const song = element("button", { id: "song", onclick: () => toggle(trial.mixture) });
    const rows = trial.sounds.map((sound, i) => {
      const letter = String.fromCharCode(65 + i);
      const button = element("button", { "aria-label": `play ${letter}`, "data-letter": letter, onclick: () => toggle(sound) }, letter);
      const given = answered(trial, sound, question.name);
      const slider = element("input", { type: "range", min: low, max: high, value: given ?? (low + high) / 2,
        "aria-label": `rating of ${letter}`, oninput: () => { output.textContent = slider.value; },
        onchange: () => { answer(trial, sound, question.name, Number(slider.value)); row.classList.remove("untouched"); refresh(); } });
      const output = element("output", {}, given === undefined ? "–" : String(given));
      const row = element("div", { class: given === undefined ? "untouched" : "" }, button, slider, output);
      return { sound, button, slider, row };
    });
    const update = () => {
      reference.textContent = playing() === trial.open_reference ? "Pause" : "Reference";
      song.textContent = playing() === trial.mixture ? "Pause" : "The whole song";
      for (const { sound, button, slider } of rows) {
        button.setAttribute("aria-pressed", String(playing() === sound));
        slider.disabled = playing() !== sound && !listened[sound] && answered(trial, sound, question.name) === undefined;
      }
      line.update();
    };
    return {
      nodes: [element("p", {}, question.text), element("div", { class: "players" }, reference, song), line.outer,
        element("div", { class: "scale" }, element("span", {}, ...["bad", "poor", "fair", "good", "excellent"].map((w) => element("span", {}, w)))),
        element("div", { class: "sliders" }, ...rows.map((r) => r.row)),
        element("p", { class: "soft" }, "One of the versions is the reference: it should get 100."),
        element("p", { class: "soft keys" }, element("kbd", {}, "r"), " reference, ", element("kbd", {}, "a"), "–",
          element("kbd", {}, rows[rows.length - 1].button.dataset.letter.toLowerCase()), " version, ", element("kbd", {}, "←"), " ",
          element("kbd", {}, "→"), " rate it, ", element("kbd", {}, "space"), " pause, ", element("kbd", {}, "Enter"), " next")],
      shown: update,
      keys: (e) => {
        const row = rows.find((r) => r.button.dataset.letter.toLowerCase() === e.key);
        if (e.key === "r") toggle(trial.open_reference);
        else if (e.key === "m") toggle(trial.mixture);
        else if (e.key === " " && e.target.tagName !== "BUTTON") { if (current) toggle(current.file); else toggle(trial.open_reference); }
        else if (row) { toggle(row.sound); row.slider.disabled = false; row.slider.focus(); }
        else return false;
        return true;
      },
    };
  }

  function end() {
    shown = () => {};
    keys = () => false;
    const missing = trials().findIndex((trial) => !complete(trial));
    if (missing >= 0) { go(missing); return; }
    const nodes = [element("h1", {}, "Thank you"), element("p", { id: "farewell" })];
    if (!server) nodes.push(element("button", { class: "main", id: "export", onclick: exportFile }, "Save my answers"));
    nodes.push(element("nav", {}, element("button", { onclick: () => go(trials().length - 1) }, "Back")));
    show(...nodes);
    farewell();
    if (server) send();
  }
  function exported() {
    return { unbraid_listening: 1, study: study.id, token: state.token, playlist: state.playlist,
      started: state.started, finished: new Date().toISOString(), background: state.background,
      ratings: Object.values(state.answers) };
  }
  function exportFile() {
    const blob = new Blob([JSON.stringify(exported(), null, 1)], { type: "application/json" });
    const link = element("a", { href: URL.createObjectURL(blob), download: `ratings-${state.token.slice(0, 8)}.json` });
    document.body.append(link);
    link.click();
    link.remove();
    say("Saved. Thank you!");
  }

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.target.tagName === "SELECT") return;
    if (keys(e)) e.preventDefault();
  });
  window.addEventListener("beforeunload", (e) => { if (state.waiting.length) e.preventDefault(); });
  window.unbraidListen = { get state() { return state; }, listened, exported }; // for tests

  // --- where we were ------------------------------------------------------------------------
  function goOnWith(token, known) {
    if (token !== state.token) Object.assign(state, { answers: {}, waiting: [] });
    Object.assign(state, { token, playlist: known.playlist });
    const named = (list) => new Map(list.map((r) => [nameOf(r.trial, r.sound, r.question), r]));
    const waiting = named(state.waiting), kept = named(known.ratings);
    for (const [name, r] of Object.entries(state.answers)) // given while the server was away
      if (!kept.has(name) && !waiting.has(name)) state.waiting.push(r);
    for (const [name, r] of kept) if (!waiting.has(name)) state.answers[name] = r;
    save();
    history.replaceState(null, "", `#r=${token}`);
    send();
  }
  async function start() {
    try { state = { ...state, ...JSON.parse(localStorage.getItem(key) || "{}") }; } catch { /* nothing kept */ }
    if (location.protocol.startsWith("http")) {
      try { server = (await ask("GET", "api/hello")).study === study.id; } catch { server = false; }
    }
    const token = /^#r=([\w-]+)$/.exec(location.hash)?.[1] || (server ? state.token : null);
    if (server && token) {
      let known;
      try { known = await ask("GET", `api/raters/${token}`); } catch (error) {
        if (error.message !== "404") { // the server is there but not well: nothing is thrown away
          say("The server does not answer; trying again.", true);
          setTimeout(start, 3000);
          return;
        }
      }
      if (known) goOnWith(token, known);
      else if (token !== state.token) { history.replaceState(null, "", location.pathname); return start(); }
      else state = { ...state, token: null, playlist: null, answers: {}, waiting: [] };
    }
    if (state.playlist === null || state.token === null) { introduction(); return; }
    const at = trials().findIndex((trial) => !complete(trial));
    if (at < 0) end(); else go(at);
  }
  start();
})();
