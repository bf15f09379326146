// Songs on their way to the server, each with a row of its own in the queue. They are sent one after
// the other, so that the queue has them in the order in which they were chosen.
import { upload } from "./api.js";
import { announce } from "./dom.js";
import { WorkRow } from "./rows.js";
import { fileSize } from "./format.js";

export class Uploads {
  /** list: the element for rows. on: { taken(job, row), changed() } */
  constructor(list, choices, limits, on) {
    Object.assign(this, { list, choices, limits, on });
    this.waiting = [];
    this.sending = false;
    this.open = 0; // rows that are not jobs yet
  }

  add(files) {
    const fields = this.choices.fields();
    for (const file of files) {
      const item = { file, fields, row: new WorkRow(file.name, this.on), stopped: false };
      this.open += 1;
      this.list.append(item.row.element);
      const limit = this.limits.upload_bytes;
      if (limit && file.size > limit) {
        this.refuse(item, `This file is too large: ${fileSize(file.size)}; the limit is ${fileSize(limit)}.`);
      } else {
        item.row.showSending(0, () => this.stop(item));
        this.waiting.push(item);
      }
    }
    this.on.changed();
    this.next();
  }

  next() {
    if (!this.sending && this.waiting.length) this.send(this.waiting.shift());
  }

  async send(item) {
    this.sending = true;
    const { done, abort } = upload(item.file, item.fields, (fraction) => {
      if (!item.stopped) item.row.showSending(fraction, () => this.stop(item));
    });
    item.abort = abort;
    try {
      const job = await done;
      this.open -= 1;
      this.on.taken(job, item.row);
    } catch (error) {
      if (error.name === "AbortError") this.drop(item);
      else this.refuse(item, error.message);
    } finally {
      this.sending = false;
      this.next();
    }
  }

  stop(item) {
    item.stopped = true;
    if (item.abort) item.abort();
    else {
      this.waiting = this.waiting.filter((other) => other !== item);
      this.drop(item);
    }
  }

  refuse(item, message) {
    item.row.showRefused(message, () => this.drop(item));
    announce(`${item.file.name}: ${message}`);
  }

  drop(item) {
    this.open -= 1;
    item.row.remove();
    this.on.changed();
  }
}
