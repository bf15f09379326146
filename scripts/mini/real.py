"""The real songs of ``data/songs`` as items: placed, summed per class, resampled to 44.1 kHz."""

import json
from pathlib import Path

import av
import numpy as np
import soxr

STEMS = ("drums", "bass", "other", "vocals")
SAMPLE_RATE = 44_100
SONGS_RATE = 48_000
LICENCE = "CC0-1.0: Software-Entwicklungskit, Everything is Free"


def decode_untrimmed(path):
    """All of one AAC file as float32 ``(samples, 2)``, priming samples included.

    Frame k of the result is samples ``k * 1024`` of the stream; a decoder that skipped some
    would shift a stem without a word, so the length is checked against the packet count.
    """
    packets, blocks = 0, []
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        stream = container.streams.audio[0]
        stream.codec_context.options = {"flags2": "+skip_manual"}
        for packet in container.demux(stream):
            packets += packet.size > 0
            blocks += [frame.to_ndarray().astype(np.float32) for frame in packet.decode()]
        rate = stream.sample_rate
    audio = np.concatenate(blocks, axis=-1).T
    if len(audio) != packets * 1024:
        raise RuntimeError(f"{path}: {packets} packets decoded to {len(audio)} samples")
    return (np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio), rate


def place(audio, segments, length):
    """Zeros of ``(length, 2)`` with each ``[start in file, start in song, count]`` copied in."""
    placed = np.zeros((length, 2), np.float32)
    for source, target, count in segments:
        skip = max(0, -target)
        piece = audio[source + skip : source + count]
        piece = piece[: max(0, length - target - skip)]
        placed[target + skip : target + skip + len(piece)] += piece
    return placed


def song_stems(songs_folder, song):
    """The four stems of one song of songs.json, ``(samples, 2)`` at 44.1 kHz, mix gain on."""
    length = round(song["duration"] * SONGS_RATE)
    sums = {stem: np.zeros((length, 2), np.float32) for stem in STEMS}
    for entry in song["files"]:
        audio, rate = decode_untrimmed(songs_folder / entry["file"])
        if rate != entry["sr"]:
            raise RuntimeError(f"{entry['file']}: {rate} Hz, songs.json says {entry['sr']}")
        placed = place(audio * entry["gain"], entry["segments"], length * rate // SONGS_RATE)
        if rate != SONGS_RATE:
            placed = soxr.resample(placed, rate, SONGS_RATE, quality="VHQ")
        count = min(length, len(placed))
        sums[entry["class"]][:count] += placed[:count]
    return {
        stem: soxr.resample(audio, SONGS_RATE, SAMPLE_RATE, quality="VHQ") * song["mix_gain"]
        for stem, audio in sums.items()
    }


def real_songs(data):
    """Yield ``(title, role, stems)`` for each real song, the validation song first."""
    folder = Path(data) / "songs"
    songs = json.loads((folder / "songs.json").read_text())["songs"]
    for title in sorted(songs, key=lambda title: (songs[title]["role"] != "valid", title)):
        yield title, songs[title]["role"], song_stems(folder, songs[title])
