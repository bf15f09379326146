// Settings for new songs: model, stems, format, quality, preview. Remembered in this browser.
import { keep, recall } from "./kept.js";
import { byId, h } from "./dom.js";
import { counted, partClass, partName } from "./format.js";

const KEPT = "unbraid.choices";
const FORMATS = {
  wav: "WAV (exact)", flac: "FLAC (exact, smaller)", mp3: "MP3", m4a: "M4A (AAC)", ogg: "Ogg Vorbis", opus: "Opus",
};

export const formatName = (format) => FORMATS[format] || format.toUpperCase();

/** The form of choices; `settings` as the server gives them. */
export class Choices {
  constructor(settings) {
    this.settings = settings;
    this.form = byId("choices");
    this.preview = byId("preview");
    this.fillSelects();
    const kept = recall(KEPT);
    this.restore(kept);
    this.showStems(kept);
    this.form.addEventListener("change", (event) => this.changed(event));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.preview.addEventListener("change", () => this.keep());
    this.tell();
  }

  get model() {
    return this.settings.models.find((model) => model.name === this.form.elements.model.value);
  }

  get split() {
    return this.form.elements.split.value;
  }

  fillSelects() {
    const { models, formats } = this.settings;
    this.offer(models);
    this.form.elements.format.append(...formats.map((format) =>
      h("option", { value: format }, formatName(format))));
  }

  /** Offer these models; the chosen one stays. */
  offer(models) {
    this.settings.models = models;
    const select = this.form.elements.model;
    const chosen = select.value || models.find((model) => model.default)?.name;
    select.replaceChildren(...models.map((model) => h("option", { value: model.name }, model.name)));
    select.value = chosen;
  }

  /** Choose a model that is offered. */
  choose(name) {
    this.form.elements.model.value = name;
    this.showStems(this.read());
    this.tell();
    this.keep();
  }

  /** The buttons for the model's stems, as chosen before where that can be. */
  showStems(kept) {
    const stems = this.model.stems;
    const two = stems.includes(kept.two) ? kept.two : stems.includes("vocals") ? "vocals" : stems[0];
    const wanted = (kept.some || []).filter((stem) => stems.includes(stem));
    const some = wanted.length ? wanted : stems;
    const pill = (type, name, stem, checked) => h("label", { class: partClass(stem) },
      h("input", { type, name, value: stem, checked }), h("span", { class: "chip" }, partName(stem)));
    byId("two").replaceChildren(...stems.map((stem) => pill("radio", "two", stem, stem === two)));
    byId("some").replaceChildren(
      ...stems.map((stem) => pill("checkbox", "some", stem, some.includes(stem))));
    byId("model-note").textContent = this.model.description;
  }

  changed(event) {
    if (event.target.name === "model") this.showStems(this.read());
    if (event.target.name === "some" && !this.read().some.length) event.target.checked = true;
    this.tell();
    this.keep();
  }

  read() {
    const data = new FormData(this.form);
    return {
      model: data.get("model"), split: data.get("split"), two: data.get("two"), some: data.getAll("some"),
      format: data.get("format"), shifts: data.get("shifts"), residual: data.has("residual"),
      preview: this.preview.checked,
    };
  }

  /** The fields of an upload. */
  fields() {
    const { model, split, two, some, format, shifts, residual, preview } = this.read();
    const fields = { model, format, shifts, preview: String(preview) };
    if (split === "two") fields.two_stems = two; // the rest is one of the two
    else fields.residual = String(residual);
    if (split === "some" && some.length < this.model.stems.length) fields.stems = some.join(",");
    return fields;
  }

  /** One line with the current choices, shown while the options are closed. */
  tell() {
    const { split, two, some, format, shifts } = this.read();
    byId("two").hidden = split !== "two";
    byId("some").hidden = split !== "some";
    byId("residual-choice").hidden = split === "two";
    const parts = split === "two" ? `${two} and no_${two}`
      : split === "some" ? some.join(", ") : this.model.stems.join(", ");
    const care = shifts === "0" ? [] : [counted(Number(shifts), "pass", "passes")];
    byId("options-told").textContent = [this.model.name, parts, format.toUpperCase(), ...care].join(" · ");
  }

  keep() {
    keep(KEPT, this.read());
  }

  restore(kept) {
    for (const name of ["model", "format", "shifts"]) {
      const select = this.form.elements[name];
      if ([...select.options].some((option) => option.value === kept[name])) select.value = kept[name];
    }
    if (["all", "two", "some"].includes(kept.split)) this.form.elements.split.value = kept.split;
    this.form.elements.residual.checked = kept.residual !== false;
    this.preview.checked = kept.preview === true;
  }
}
