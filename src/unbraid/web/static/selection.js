// Several songs of the library at once: a zip of them, or their end.
import { at } from "./api.js";
import { announce, byId, setText } from "./dom.js";
import { counted } from "./format.js";

const MOST = 200; // in one zip

export class Selection {
  /** library: the section around the list. on: { removeAll(ids) } */
  constructor(library, on) {
    Object.assign(this, { library, on });
    this.chosen = new Set(); // ids, also of songs that the search does not show now
    byId("select").addEventListener("click", () => this.toggle());
    byId("select-all").addEventListener("change", (event) => {
      for (const box of this.boxes()) this.choose(box, event.target.checked);
      this.tell();
    });
    byId("delete-selected").addEventListener("click", () => on.removeAll([...this.chosen]));
    library.addEventListener("change", (event) => {
      if (!event.target.matches(".pick input")) return;
      this.choose(event.target, event.target.checked);
      this.tell();
    });
  }

  get isOn() {
    return this.library.classList.contains("selecting");
  }

  boxes() {
    return [...this.library.querySelectorAll(".pick input")];
  }

  choose(box, checked) {
    box.checked = checked;
    this.chosen[checked ? "add" : "delete"](box.value);
  }

  toggle(on = !this.isOn) {
    this.library.classList.toggle("selecting", on);
    byId("select").setAttribute("aria-pressed", String(on));
    setText(byId("select"), on ? "Done" : "Select");
    byId("selection").hidden = !on;
    if (!on) this.chosen.clear();
    this.refresh();
  }

  /** After the list was made again: what was selected still is, where it exists. */
  refresh(gone = []) {
    for (const id of gone) this.chosen.delete(id);
    for (const box of this.boxes()) box.checked = this.chosen.has(box.value);
    byId("select").hidden = !this.isOn && !this.boxes().length;
    this.tell();
  }

  tell() {
    const boxes = this.boxes();
    const count = this.chosen.size;
    const all = byId("select-all");
    all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
    all.indeterminate = !all.checked && count > 0;
    const told = count > MOST ? `${count} selected; a zip holds up to ${MOST}` : count ? `${counted(count, "song")} selected` : "Select all";
    setText(byId("selected-told"), told);
    if (this.isOn && count) announce(told);
    byId("delete-selected").disabled = !count;
    const link = byId("take-selected");
    link.setAttribute("aria-disabled", String(!count || count > MOST));
    if (count && count <= MOST) link.href = at(`/api/zip?ids=${[...this.chosen].join(",")}`);
    else link.removeAttribute("href");
  }
}
