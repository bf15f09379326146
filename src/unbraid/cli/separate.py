"""Separate songs into stems. An INPUT is an audio or video file, a folder or
a pattern.

unbraid song.mp3                    separated/song/{drums,bass,other,vocals}.wav
unbraid album/ -o stems --residual  with a residual: all parts sum to the song
unbraid song.mp3 --two-stems vocals           vocals and no_vocals
unbraid *.flac --format flac --skip-existing  only songs not yet separated
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.cli import types
from unbraid.cli.commands import add_model
from unbraid.cli.memory import no_collection
from unbraid.errors import SettingsError, UnbraidError

if TYPE_CHECKING:
    from unbraid.api import OutputSettings, Separator, TrackResult
    from unbraid.cli.display import Display
    from unbraid.tracks.names import OutputPlan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options of the command."""
    add = parser.add_argument
    add("inputs", metavar="INPUT", nargs="+", help="an audio file, video, folder, pattern, or -")
    add("-o", "--out", metavar="DIR", default="separated", help="output folder (%(default)s)")
    add_model_options(parser)
    add(
        "--stream",
        metavar="N",
        type=types.count,
        help="number of the audio stream (as players choose)",
    )
    add_output_options(parser.add_argument_group("what is written"))
    add_separation_options(parser.add_argument_group("how it is separated"))
    _add_run(parser.add_argument_group("the run"))


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options that choose the model; `separator_arguments` reads them."""
    add = parser.add_argument
    add_model(parser)
    add("--config", metavar="FILE", help="the YAML of a .ckpt (the one next to it)")
    add("--repo", metavar="DIR", help="folder that holds the model")


def add_output_options(group: argparse._ArgumentGroup) -> None:
    """What is written; `output_settings` reads it."""
    from unbraid.audio.formats import BIT_DEPTHS
    from unbraid.tracks.choices import LOUDNESS_OF, OUTPUT_FORMATS

    add = group.add_argument
    add("--stems", metavar="A,B", help="write only these stems")
    sums = "write a sum of stems instead of them; may be repeated"
    add("--group", metavar="NAME=A+B", action="append", default=[], help=sums)
    add("--two-stems", metavar="NAME", help="write NAME and no_NAME, which sum to the original")
    add("--residual", action="store_true", help="add a residual: all parts sum to the original")
    add("--only", metavar="A,B", help="of all these parts, write only A and B")
    add("--karaoke", action="store_true", help="write the song without its vocals, as one file")
    kinds = f"{', '.join(OUTPUT_FORMATS)}; the last two: one file for all parts (%(default)s)"
    add("--format", metavar="FORMAT", choices=OUTPUT_FORMATS, default="wav", help=kinds)
    add("--mp3", dest="format", action="store_const", const="mp3", help="same as --format mp3")
    add("--flac", dest="format", action="store_const", const="flac", help="same as --format flac")
    add("--bit-depth", choices=BIT_DEPTHS, help="bits per sample (the source's, at least 16)")
    add("--int24", action="store_true", help="same as --bit-depth 24")
    add("--float32", action="store_true", help="same as --bit-depth 32f")
    add("--bitrate", metavar="KBPS", type=int, help="for mp3, m4a and opus (320, 256, 256)")
    add("--mp3-bitrate", metavar="KBPS", type=int, help="for mp3 (320)")
    add(
        "--sample-rate",
        metavar="source|model|HZ",
        type=types.rate,
        default="source",
        help="of the stems (%(default)s)",
    )
    add(
        "--filename",
        metavar="TEMPLATE",
        default="",
        help="file names in DIR; fields track, trackext, stem, ext, model, bpm, key "
        "({track}/{stem}.{ext})",
    )
    add(
        "--clip-mode",
        choices=("rescale", "clamp", "none"),
        default="rescale",
        help="above full scale: lower all stems by one gain, clip, or keep (%(default)s)",
    )
    add("--loudness", metavar="LUFS", type=float, help="bring every song to this loudness")
    of = "what --loudness is about: the song, or each stem (%(default)s)"
    add("--loudness-of", choices=LOUDNESS_OF, default="song", help=of)
    add("--reaper", action="store_true", help="also write a Reaper project of the stems")


def add_separation_options(group: argparse._ArgumentGroup) -> None:
    """Options for the separation; `separator_arguments` reads them."""
    add = group.add_argument
    add("--segment", metavar="S", type=types.segment, help="seconds per pass (the model's own)")
    add("--overlap", metavar="F", type=float, default=0.25, help="of segments (%(default)s)")
    windows = "how segments mix: triangles; as MSST: flat, and even for HT Demucs (%(default)s)"
    add("--windows", choices=("triangle", "flat", "even"), default="triangle", help=windows)
    add("--shifts", metavar="N", type=int, default=0, help="average N shifted runs (%(default)s)")
    add("--bigshifts", metavar="N", type=int, default=0, help="average N rotated runs, as MSST")
    add("--tta", action="store_true", help="average over swapped channels and both polarities, too")
    add("--seed", metavar="N", type=int, default=0, help="for shifts and dither (%(default)s)")
    devices = "auto|cpu|cuda[:N]|mps"
    add("-d", "--device", metavar=devices, default="auto", help="where to compute (%(default)s)")
    precisions = ("auto", "fp32", "bf16", "fp16")
    add("--precision", choices=precisions, default="auto", help="of the model (%(default)s)")
    threads = "number of CPU threads (as measured by bench, else all cores)"
    add(
        "-j",
        "--jobs",
        "--threads",
        metavar="auto|N",
        type=types.threads,
        dest="threads",
        default="auto",
        help=threads,
    )
    add("--max-memory", metavar="SIZE", help="shorten segments to stay below, such as 2GB")


def _add_run(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--skip-existing", action="store_true", help="skip songs already separated (by content)")
    add("--overwrite", action="store_true", help="replace existing files")
    add("--dry-run", action="store_true", help="estimate time, memory and disk; write nothing")
    add("--report", action="store_true", help="write an HTML page next to the stems")
    add("--json", action="store_true", help="print one JSON object per song on stdout")
    add("--quiet", action="store_true", help="print nothing but errors on stderr")
    add("-v", "--verbose", action="store_true", help="also print which engine runs, and why")
    shard = "process only share I of N of the songs"
    add("--shard", metavar="I/N", type=types.shard, default=(1, 1), help=shard)


def run(options: argparse.Namespace) -> int:
    """Separate; returns the exit code."""
    with no_collection():
        output = output_settings(options)
        if options.report and output.is_one_file:
            raise SettingsError(
                f"--report needs a file for each stem, not --format {output.format}"
            )
        from unbraid.api import Separator
        from unbraid.tracks.inputs import find_inputs
        from unbraid.tracks.pipes import copied_pipes

        tracks = find_inputs(options.inputs, Path(options.out), stream=options.stream)
        separator = Separator(**separator_arguments(options))
        from unbraid.cli.display import make_display  # while a thread packs the weights

    with copied_pipes(tracks) as ready:
        plans = separator.plan(ready, options.out, output)
        part, parts = options.shard
        mine = plans[part - 1 :: parts]
        reports = options.report and not options.dry_run
        with make_display(len(mine), quiet=options.quiet, report=reports) as display:
            _say_how(separator, options, display)
            results = _run_all(separator, plans, mine, output, options, display)
            display.summary(results)
    return 1 if any(result.status == "failed" for result in results) else 0


def _say_how(separator: Separator, options: argparse.Namespace, display: Display) -> None:
    from unbraid.engines.load import kernels_note

    model, name = separator.model, separator_arguments(options)["model"]
    if options.verbose:
        display.note(f"{model.name} runs on {model.device} in {model.engine}")
    elif note := kernels_note(name, model.device, model.precision, config=options.config):
        display.note(note)
    if options.segment is None and separator.settings.segment_s is not None:
        display.note(f"segments of {separator.settings.segment_s:g} s, to stay in memory")


def _run_all(
    separator: Separator,
    plans: list[OutputPlan],
    mine: list[OutputPlan],
    output: OutputSettings,
    options: argparse.Namespace,
    display: Display,
) -> list[TrackResult]:
    from unbraid.tracks.inputs import identities

    def begin(plan: OutputPlan) -> None:
        display.begin(str(plan.track.path))

    def costs() -> Generator[TrackResult, None, None]:
        for plan in mine:
            begin(plan)
            yield separator.costs(plan, output=output)

    inputs = identities(plan.track for plan in plans)
    separator.on_progress = display.progress
    separated = separator.separate_many(mine, output=output, inputs=inputs, on_turn=begin)
    results = []
    with closing(costs() if options.dry_run else separated) as ended:
        for plan, result in zip(mine, ended, strict=True):
            if options.report and result.status in ("done", "skipped"):
                result = _with_report(plan, result, separator, output, display)
            results.append(result)
            display.end(result)
            if options.json:
                print(json.dumps(result.as_dict(), default=str), flush=True)
    return results


def _with_report(
    plan: OutputPlan,
    result: TrackResult,
    separator: Separator,
    output: OutputSettings,
    display: Display,
) -> TrackResult:
    """Write the page, unless skipped stems have it; stems without a page count as a failure."""
    from unbraid.separation.progress import Watch
    from unbraid.song_page.report import report_is_current, write_song_report
    from unbraid.tracks.pipes import plain_mixture

    page = plan.root / plan.page
    try:
        with plain_mixture(plan.track) as mixture:
            told = replace(result, input=str(mixture))
            is_there = report_is_current(told, page, separator=separator, output=output)
            if result.status != "skipped" or not is_there:
                write_song_report(
                    told,
                    page,
                    separator=separator,
                    output=output,
                    overwrite=output.overwrite,
                    watch=Watch(partial(display.progress, song=str(plan.track.path))),
                )
    except (UnbraidError, OSError) as error:
        return replace(result, status="failed", error=f"the report was not written: {error}")
    display.page(page)
    return result


def separator_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `unbraid.Separator`; plain values."""
    model = options.model if options.repo is None else str(Path(options.repo) / options.model)
    return {
        "model": model,
        "device": options.device,
        "overlap": options.overlap,
        "windows": options.windows,
        "shifts": options.shifts,
        "bigshifts": options.bigshifts,
        "tta": options.tta,
        "seed": options.seed,
        "segment_s": options.segment,
        "precision": options.precision,
        "threads": options.threads,
        "max_memory": options.max_memory,
        "model_config": options.config,
    }


def output_settings(options: argparse.Namespace) -> OutputSettings:
    """Settings for writing stems, from the options of `add_output_options`."""
    from unbraid.tracks.settings import OutputSettings

    depth = options.bit_depth
    for asked, option, same in (
        (options.int24, "--int24", "24"),
        (options.float32, "--float32", "32f"),
    ):
        if asked and depth not in (None, same):
            raise SettingsError(f"{option} and --bit-depth {depth} exclude each other")
        depth = same if asked else depth
    bitrate = options.bitrate
    if options.mp3_bitrate is not None:
        if options.format != "mp3":
            raise SettingsError(f"--mp3-bitrate goes with --format mp3, not {options.format}")
        bitrate = options.mp3_bitrate
    two_stems, only, filename = options.two_stems, _names(options.only), options.filename
    if options.karaoke:
        if options.stems or options.two_stems or options.only:
            raise SettingsError("--karaoke writes the song without vocals and chooses no stems")
        two_stems, only = "vocals", ("no_vocals",)
        filename = filename or "{track} (karaoke).{ext}"
    return OutputSettings(
        format=options.format,
        bit_depth=depth,
        bitrate_kbps=bitrate,
        sample_rate=options.sample_rate,
        stems=_names(options.stems),
        two_stems=two_stems,
        residual=options.residual,
        clip_mode=options.clip_mode,
        filename=filename,
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
        groups=tuple(_group(text) for text in options.group),
        only=only,
        loudness_lufs=options.loudness,
        loudness_of=options.loudness_of,
        project=options.reaper,
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _group(text: str) -> tuple[str, tuple[str, ...]]:
    """
    >>> _group("instrumental=drums+bass+other")
    ('instrumental', ('drums', 'bass', 'other'))
    """
    name, _, members = text.partition("=")
    return name.strip(), tuple(stem.strip() for stem in members.split("+") if stem.strip())
