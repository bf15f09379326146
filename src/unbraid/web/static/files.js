// Files from a drop, folders opened, and what of them can be a song.

const SONGS = /\.(mp3|wav|wave|flac|ogg|oga|opus|m4a|m4b|aac|aif|aiff|aifc|wma|wv|ape|caf|au|w64|rf64|mka|mp4|m4v|mov|mkv|webm|avi|3gp|ac3|mp2|tta|dsf)$/i;

/** Does its name say that it is sound or video? */
export const looksLikeSong = (name) => SONGS.test(name) && !name.startsWith(".");

/**
 * All files of a drop, folders opened.
 * Returns { files, leftOut }: files in folders that are not songs are only counted; a file
 * dropped by itself is always sent, so that the server can say what is wrong with it.
 */
export async function droppedFiles(transfer) {
  // Entries have to be taken before the first await: the transfer is emptied after the event.
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile())
    .filter(Boolean);
  const found = { files: [], leftOut: 0 };
  for (const entry of entries) {
    if (entry instanceof File) found.files.push(entry);
    else if (entry.isFile) found.files.push(await asFile(entry));
    else await openFolder(entry, found);
  }
  return found;
}

/** The songs among the files of a chosen folder. */
export function songsOf(list) {
  const files = [...list].filter((file) => looksLikeSong(file.name));
  return { files, leftOut: list.length - files.length };
}

const asFile = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function openFolder(folder, found) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) { // a reader hands out a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  for (const entry of entries) {
    if (entry.isDirectory) await openFolder(entry, found);
    else if (looksLikeSong(entry.name)) found.files.push(await asFile(entry));
    else found.leftOut += 1;
  }
}
