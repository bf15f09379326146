"""A made-up test set for `mini` with players that its training never had; Potassium beside it.

    python -m studies.mini.make_test --data INGREDIENTS --out ../mini-test

Writes an ordinary dataset: OUT/test/SONG/STEM.wav, and the validation song as
OUT/valid/Potassium/STEM.wav. Same seed, same bytes; what is there is not made again.

The songs come from the same code as the made-up songs of training: chords, drum patterns,
synthesizers and the mixing desk are of its kind, with other seeds. What is not of training: the
soundfonts (training had Fluid R3; MuseScore_General grew out of it in part, TimGM6mb did not), the
drum kits, basses and guitars, the drummers' takes (Groove MIDI's test split), the MIDI pieces
(those that training did not draw), and all voices: three singers of vocadito, whom the first 73
songs of make_data.py's seed 0 do not credit (LibriVox's and VCTK's speakers may all have been
heard), and speakers of flite and espeak-ng turned to song.

Nothing of it is for training or for passing on: TimGM6mb is under the GPL, the kits CC BY-SA.

Needs `pip install unbraid[train] pyworld` and the Debian packages fluidsynth flite espeak-ng
musescore-general-soundfont-small timgm6mb-soundfont avldrums.lv2-soundfont.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studies.mini.other_players import FONTS, OtherPlayers, pieces_heard, write_ingredients
from unbraid.errors import UnbraidError
from unbraid.songs.dataset_writer import make_tracks, write_track
from unbraid.songs.effects import RATE
from unbraid.songs.ingredients import find_ingredients
from unbraid.songs.make_song import make_song
from unbraid.songs.multitracks import Multitrack, find_multitracks, multitrack_stems
from unbraid.songs.song import STEMS, SongSettings

SETTINGS = SongSettings(seconds=(40, 50))
KINDS = ("band", "electronic", "midi")
SINGERS = (
    *("vocadito_1", "flite_slt", "vocadito_10", "flite_rms"),
    *("vocadito_14", "flite_awb", "espeak", "flite_kal16"),
)
STREAM = 7919  # apart from the seeds (seed, number) of training


@dataclass(frozen=True)
class Job:
    """A track to be made: a song, or the recorded one."""

    track: str
    out: Path
    seed: tuple[int, ...] = ()
    kind: str = ""
    ingredients: OtherPlayers | None = None
    recorded: Multitrack | None = None


def make(job: Job) -> dict[str, Any]:
    """Write the track; returns what its track.json says."""
    if job.recorded is not None:
        stems = multitrack_stems(job.recorded)
        facts: dict[str, Any] = {"title": job.recorded.title, "licences": [job.recorded.credit]}
    else:
        assert job.ingredients is not None
        stems, made = make_song(job.seed, job.ingredients, SETTINGS, job.kind)
        players = {name: getattr(job.ingredients, name) for name in ("font", "kit_name", "voice")}
        facts = {"seed": list(job.seed), **players, **made}
    silence = np.zeros_like(next(iter(stems.values())))
    signals = {stem: stems.get(stem, silence).T for stem in STEMS}
    return write_track(job.out / job.track, signals, RATE, facts, "wav")


def jobs(args: argparse.Namespace) -> list[Job]:
    """All tracks of the set."""
    training = find_ingredients(args.data)
    heard = pieces_heard(training, 0, args.training_songs)
    base = OtherPlayers(args.out / "ingredients", sing=True, data=args.data.absolute(), heard=heard)
    songs = []
    for number in range(args.songs):
        font = list(FONTS)[number % 2]
        players = dataclasses.replace(
            base,
            font=font,
            soundfont=FONTS[font],
            kit_name=("black_pearl", "red_zeppelin")[number // 2 % 2],
            voice=SINGERS[number % len(SINGERS)],
        )
        kind, seed = KINDS[number % len(KINDS)], (STREAM + args.seed, number)
        songs.append(Job(f"test/{kind}-{number}", args.out, seed, kind, players))
    recorded = [song for song in find_multitracks(args.data / "songs") if song.is_valid]
    return [Job(f"valid/{song.title}", args.out, recorded=song) for song in recorded] + songs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="ingredients, see docs/data.md")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument(
        "--training-songs", type=int, default=160, help="of seed 0, whose pieces are left out"
    )
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    write_ingredients(args.out / "ingredients", args.data)
    done = {}
    for track in make_tracks(args.out, jobs(args), lambda job: job.track, make, args.workers):
        print(track.track, track.facts["rms_db"], flush=True)
        done[track.track] = track.facts["licences"]
    licences = {track: done[track] for track in sorted(done)}
    (args.out / "test.json").write_text(json.dumps({"licences": licences}, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UnbraidError as error:
        sys.exit(f"error: {error}")
