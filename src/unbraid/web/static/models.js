// "Which model?": a card for each, downloads of those that are not here yet, and the choice.
import { call } from "./api.js";
import { announce, byId, h, setText } from "./dom.js";
import { icon } from "./icons.js";
import { fileSize, partClass, partName, roughTime } from "./format.js";

const LOOK_MS = 700;
const GOING = ["waiting", "downloading"];

export class Models {
  /** choices: the form whose model is chosen here. */
  constructor(choices) {
    this.choices = choices;
    this.dialog = byId("models");
    this.list = byId("models-list");
    this.cards = new Map(); // name -> element
    this.timer = 0;
    this.going = new Set(); // names of models that were on their way when last heard of
    byId("which-model").addEventListener("click", () => this.open());
    byId("models-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.look(); // a download may be on its way from before
  }

  open() {
    this.dialog.showModal();
    return this.look();
  }

  /** The models as they are now, and again soon while something is on its way. */
  async look() {
    clearTimeout(this.timer);
    try {
      const { models, may_download: may } = await call("GET", "/api/models");
      setText(byId("models-told"), "");
      await this.show(models, may);
      if (models.some((model) => GOING.includes(model.download.status))) this.lookSoon();
    } catch (error) {
      setText(byId("models-told"), error.message);
      if (this.going.size) this.lookSoon();
    }
  }

  lookSoon() {
    this.timer = setTimeout(() => this.look(), LOOK_MS);
  }

  async show(models, may) {
    const came = models.filter((model) => model.local && this.going.has(model.name));
    this.going = new Set(models.filter((model) => GOING.includes(model.download.status)).map((model) => model.name));
    const offered = new Set(this.choices.settings.models.map((model) => model.name));
    const runs = (model) => model.local && !model.needs_torch;
    if (models.some((model) => runs(model) && !offered.has(model.name))) {
      this.choices.offer((await call("GET", "/api/settings")).models);
    }
    for (const model of came) announce(`${model.name} is downloaded.`);
    for (const model of models) {
      if (!this.cards.has(model.name)) {
        this.cards.set(model.name, this.card(model));
        this.list.append(this.cards.get(model.name));
      }
      this.update(this.cards.get(model.name), model, may);
    }
    const moving = models.find((model) => model.download.status === "downloading");
    setText(byId("which-model"), moving ? `Downloading · ${percent(moving)}` : "Which model?");
  }

  card(model) {
    const facts = [
      model.size_mb == null ? null : fileSize(1e6 * model.size_mb),
      model.song_s == null ? null : `about ${roughTime(model.song_s)} a song`,
    ].filter(Boolean);
    const scores = model.test_set_seen ? ["trained on the test set of MUSDB18, so figures on it say nothing"] : model.scores;
    return h("li", { class: "card" },
      h("div", {},
        model.use ? h("p", { class: "use" }, model.use.charAt(0).toUpperCase() + model.use.slice(1)) : null,
        h("h3", {}, model.name, h("span", { class: "soft" }, facts.join(" · "))),
        h("p", { class: "small" }, model.description),
        h("p", { class: "chips small" }, ...model.stems.map((stem) => h("span", { class: `chip ${partClass(stem)}` }, partName(stem)))),
        scores.length ? h("p", { class: "small soft" }, `Published: ${scores.join("; ")}`) : null,
        h("details", { class: "small" },
          h("summary", {}, h("span", {}, h("b", {}, "Licence: "), model.licence_in_words)),
          h("p", { class: "soft" }, model.licence || "Its card states none."))),
      h("div", { class: "card-action" }));
  }

  update(card, model, may) {
    const chosen = this.choices.model?.name === model.name;
    card.setAttribute("aria-current", String(chosen));
    const going = GOING.includes(model.download.status);
    const state = [chosen, model.local, going, model.download.error, may].join();
    const place = card.querySelector(".card-action");
    if (card.dataset.state !== state) {
      const hadFocus = place.contains(document.activeElement);
      card.dataset.state = state;
      place.replaceChildren(...this.actions(model, { chosen, going, may }));
      if (hadFocus) place.querySelector("button")?.focus();
    }
    const bar = place.querySelector("progress");
    if (bar) bar.value = model.download.progress;
  }

  actions(model, { chosen, going, may }) {
    const button = (text, onclick, more = {}) => h("button", { type: "button", onclick,
      "aria-label": `${text}: ${model.name}`, ...more }, more.drawing ? icon(more.drawing) : null, text);
    if (chosen) return [h("p", { class: "small badge-chosen" }, icon("check"), "Chosen")];
    if (model.local && !model.needs_torch) return [button("Use", () => this.choose(model.name), { class: "strong" })];
    if (going) return [
      h("progress", { max: "1", "aria-label": `Download of ${model.name}` }),
      ...(may ? [button("Stop", () => this.ask("DELETE", model.name))] : []),
    ];
    const told = [model.download.error, model.needs_torch ? "Needs torch, which is not installed where unbraid runs." : null,
      may || model.local ? null : "Not downloaded yet; only the host of this server can do that."].filter(Boolean);
    return [
      ...(may && !model.local ? [button(model.download.error ? "Try again" : "Download", () => this.ask("POST", model.name))] : []),
      ...told.map((text) => h("p", { class: `small ${text === model.download.error ? "danger" : "soft"}` }, text)),
    ];
  }

  choose(name) {
    this.choices.choose(name);
    announce(`${name} is chosen for the next songs.`);
    this.dialog.close();
    for (const card of this.cards.values()) card.dataset.state = "";
  }

  async ask(method, name) {
    try {
      const model = await call(method, `/api/models/${encodeURIComponent(name)}/download`);
      this.update(this.cards.get(name), model, true);
      if (GOING.includes(model.download.status)) this.going.add(name);
    } catch (error) {
      setText(byId("models-told"), error.message);
      return;
    }
    await this.look();
  }
}

const percent = (model) => `${Math.floor(100 * model.download.progress)} %`;
