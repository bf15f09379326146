// Renaming in place: the name becomes a field. Enter and leaving it keep the new name, Escape the old.
import { call } from "./api.js";
import { announce, h } from "./dom.js";

const LONGEST = 200;

/**
 * Let the reader type another name for a job over `element`, which shows it.
 * done(job) hears of the renamed job, failed(error) of a refusal; the focus returns to `back`.
 */
export function renameIn(element, job, { done, failed, back }) {
  const field = h("input", { type: "text", class: "rename", value: job.title, maxlength: LONGEST,
    "aria-label": `New name for ${job.title}`, autocomplete: "off", spellcheck: "false" });
  let open = true;
  const end = async (keep) => {
    if (!open) return; // removing the field takes its focus away, which would end it again
    open = false;
    const text = field.value.trim();
    const hadFocus = document.activeElement === field;
    field.remove();
    element.hidden = false;
    if (hadFocus) back?.focus();
    if (!keep || !text || text === job.title) return;
    try {
      const renamed = await call("PATCH", `/api/jobs/${encodeURIComponent(job.id)}`, { name: text });
      announce(`Renamed to ${renamed.title}.`);
      done(renamed);
    } catch (error) {
      failed(error);
    }
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters are commands elsewhere
    if (event.key === "Enter" && !event.isComposing) end(true);
    if (event.key === "Escape") end(false);
  });
  field.addEventListener("blur", () => end(true));
  element.hidden = true;
  element.after(field);
  field.focus();
  field.select();
}
