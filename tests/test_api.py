"""Laws of `Separator`: what stems must be, whatever the song."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

import unbraid
from small_songs import SAMPLE_RATE, Loud, LowHigh, floats, integers, noise, write_song
from unbraid import (
    AudioError,
    AudioReadError,
    OutputSettings,
    Separator,
    SettingsError,
    ShapeError,
)
from unbraid.audio.files import read
from unbraid.audio.write import AudioFormat, AudioWriter
from unbraid.errors import CheckpointError
from unbraid.threads import get_threads
from unbraid.tracks import line
from unbraid.tracks.inputs import find_inputs
from unbraid.tracks.names import InputTrack
from unbraid.tracks.pipeline import run_pipeline
from unbraid.tracks.spool import SpoolView


@pytest.fixture
def separator():
    return Separator(LowHigh())


def encoded(path: Path, signal: np.ndarray) -> Path:
    name = path.suffix.lstrip(".")
    with AudioWriter(path, AudioFormat(name), SAMPLE_RATE, len(signal)) as writer:
        writer.write(signal.astype(np.float32))
    return path


@pytest.mark.parametrize(
    ("subtype", "format", "bits"),
    [("PCM_16", "wav", 16), ("PCM_24", "wav", 24), ("PCM_16", "flac", 16), ("PCM_24", "flac", 24)],
)
def test_stems_and_residual_are_the_input_in_integers(separator, tmp_path, subtype, format, bits):
    song = write_song(tmp_path / "a.wav", subtype=subtype)
    output = OutputSettings(format=format, residual=True)
    result = separator.separate_file(song, tmp_path / "out", output)
    assert list(result.outputs) == ["low", "high", "residual"]
    assert soundfile.info(result.outputs["low"]).subtype == f"PCM_{bits}"
    total = sum(integers(path, bits) for path in result.outputs.values())
    np.testing.assert_array_equal(total, integers(song, bits))
    assert result.null_test_db < -200


def test_a_part_and_its_complement_are_the_input_in_integers(separator, tmp_path):
    song = write_song(tmp_path / "a.wav")
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(two_stems="high"))
    assert list(result.outputs) == ["high", "no_high"]
    total = sum(integers(path) for path in result.outputs.values())
    np.testing.assert_array_equal(total, integers(song))


def test_stems_too_loud_share_one_gain_and_still_add_up(tmp_path):
    song = write_song(tmp_path / "a.wav", 0.9 * np.sign(noise()))
    result = Separator(Loud()).separate_file(song, tmp_path / "out", OutputSettings(residual=True))
    assert result.gain_db < -8
    low, high = (integers(result.outputs[stem]) for stem in ("low", "high"))
    assert np.abs(low).max() <= 32767
    np.testing.assert_allclose(high, -2.5 / 3.0 * low, atol=40)  # but for the shared mean
    total = sum(integers(path) for path in result.outputs.values())
    np.testing.assert_array_equal(total, integers(song))


def test_a_residual_that_cannot_fit_gives_what_is_over_to_a_stem(tmp_path):
    # One stem of a song at full scale, of the opposite sign: input - stem is beyond full scale.
    song = write_song(tmp_path / "a.wav", np.sign(noise()) * 0.999)
    output = OutputSettings(stems=("high",), residual=True)
    result = Separator(Loud()).separate_file(song, tmp_path / "out", output)
    total = sum(integers(path) for path in result.outputs.values())
    np.testing.assert_array_equal(total, integers(song))
    assert result.gain_db >= 20 * np.log10(0.5) - 0.01 or result.gain_db < 0
    assert any("went to a stem" in note for note in result.notes)


def test_float_without_clipping_keeps_values_beyond_full_scale(tmp_path):
    song = write_song(tmp_path / "a.wav", noise(), subtype="FLOAT")
    output = OutputSettings(clip_mode="none", residual=True)
    result = Separator(Loud()).separate_file(song, tmp_path / "out", output)
    assert soundfile.info(result.outputs["low"]).subtype == "FLOAT"
    assert np.abs(floats(result.outputs["low"])).max() > 1.5
    assert result.gain_db == 0
    total = sum(floats(path) for path in result.outputs.values())
    np.testing.assert_allclose(total, floats(song), atol=3e-7)


def test_integers_without_clipping_saturate_and_say_so(tmp_path):
    song = write_song(tmp_path / "a.wav")
    output = OutputSettings(clip_mode="none")
    result = Separator(Loud()).separate_file(song, tmp_path / "out", output)
    assert np.abs(integers(result.outputs["low"])).max() >= 32767
    assert any("cut off" in note for note in result.notes)


@pytest.mark.parametrize(
    ("channels", "sample_rate"), [(1, 44100), (2, 48000), (6, 44100), (1, 8000)]
)
def test_stems_have_rate_channels_and_length_of_the_source(
    separator, tmp_path, channels, sample_rate
):
    signal = noise(0.7, channels, sample_rate)
    song = write_song(tmp_path / "a.wav", signal, sample_rate)
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(residual=True))
    for path in result.outputs.values():
        info = soundfile.info(path)
        assert (info.channels, info.samplerate) == (channels, sample_rate)
        assert info.frames == signal.shape[1]
    total = sum(integers(path) for path in result.outputs.values())
    np.testing.assert_array_equal(total, integers(song))


def test_surround_channels_stay_where_they_are(separator, tmp_path):
    signal = np.zeros((6, 20000))
    signal[3] = noise(20000 / SAMPLE_RATE, 1)[0]
    song = write_song(tmp_path / "a.wav", signal)
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(bit_depth="24"))
    low = floats(result.outputs["low"])
    assert np.abs(low[3]).max() > 0.1
    # What is shared with the other channels is the mean that normalizing takes off, at most.
    assert np.abs(np.delete(low, 3, axis=0)).max() < 1e-3


@pytest.mark.parametrize("format", ["mp3", "m4a"])
def test_lossy_songs_give_stems_at_lag_0_and_of_the_decoded_length(separator, tmp_path, format):
    signal = noise(1.2, seed=3)
    signal[:, 20000] = 0.99
    song = encoded(tmp_path / f"a.{format}", signal)
    decoded, _ = read(song)
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(residual=True))
    total = sum(floats(path) for path in result.outputs.values())
    assert total.shape == decoded.shape
    np.testing.assert_allclose(total, decoded, atol=0.51 / 32768)
    lags = np.correlate(total[0, 19000:22000], signal[0, 19500:21500])
    assert np.argmax(lags) == 500


def test_a_file_gives_what_its_signal_gives(separator, tmp_path):
    signal = noise(1.3).astype(np.float32)
    song = write_song(tmp_path / "a.wav", signal, subtype="FLOAT")
    result = separator.separate_file(song, tmp_path / "out")
    stems = separator.separate(signal, SAMPLE_RATE)
    for stem, path in result.outputs.items():
        np.testing.assert_allclose(floats(path), stems[stem], atol=1e-6)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_song_gives_the_same_bytes_alone_and_beside_others(elsewhere, tmp_path, monkeypatch):
    pipeline = partial(run_pipeline, elsewhere=elsewhere)
    monkeypatch.setattr(line, "run_pipeline", lambda *steps, **_: pipeline(*steps))
    songs = [write_song(tmp_path / f"{n}.wav", noise(0.5, seed=n)) for n in range(3)]
    shifted = Separator(LowHigh(), shifts=2, seed=5)
    plans = shifted.plan([InputTrack(song) for song in songs], tmp_path / "all")
    together = list(shifted.attempt_all(plans))
    alone = Separator(LowHigh(), shifts=2, seed=5).separate_file(songs[1], tmp_path / "one")
    for stem, path in alone.outputs.items():
        assert path.read_bytes() == together[1].outputs[stem].read_bytes()


def test_progress_of_many_songs_is_that_of_the_song_whose_turn_it_is(tmp_path):
    songs = [write_song(tmp_path / f"{n}.wav", noise(0.5, seed=n)) for n in range(3)]
    told: list[str] = []
    separator = Separator(LowHigh(), on_progress=lambda p: told.append(f"{p.fraction:.2f}"))
    plans = separator.plan([InputTrack(song) for song in songs], tmp_path / "out")
    ended = separator.attempt_all(plans, on_turn=lambda plan: told.append(plan.track.path.name))
    assert [result.status for result in ended] == ["done"] * 3
    names = [told.index(song.name) for song in songs]
    assert names == sorted(names)
    assert names[0] == 0
    for first, last in itertools.pairwise([*names, len(told)]):
        fractions = [float(entry) for entry in told[first + 1 : last]]
        assert fractions == sorted(fractions)
        assert "0.94" in told[first:last]  # all of its separation
    assert told[-1] == "1.00"


def test_of_many_songs_one_that_fails_stands_in_its_place(separator, tmp_path):
    songs = [write_song(tmp_path / f"{n}.wav", noise(0.2, seed=n)) for n in range(3)]
    songs[1].write_bytes(b"no sound")
    plans = separator.plan([InputTrack(song) for song in songs], tmp_path / "out")
    results = list(separator.attempt_all(plans))
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert [result.input for result in results] == [str(song) for song in songs]
    again = separator.attempt_all(plans, OutputSettings(skip_existing=True))
    assert [result.status for result in again] == ["skipped", "failed", "skipped"]


def test_cancelled_it_leaves_what_is_done_and_nothing_else(separator, tmp_path):
    songs = [write_song(tmp_path / f"{n}.wav", noise(0.5, seed=n)) for n in range(4)]
    plans = separator.plan([InputTrack(song) for song in songs], tmp_path / "out")
    cancel = unbraid.CancelToken()
    ended = separator.attempt_all(plans, cancel=cancel)
    assert next(ended).status == "done"
    cancel.cancel()
    with pytest.raises(unbraid.Cancelled):
        list(ended)
    assert "0" in {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert not list((tmp_path / "out").glob(".unbraid-*"))


def test_stems_of_another_run_are_no_songs_unless_their_folder_is_asked_for(separator, tmp_path):
    song, stems = write_song(tmp_path / "a.wav", noise(0.2)), tmp_path / "stems"
    separator.separate_file(song, stems)
    own = write_song(stems / "own.wav", noise(0.2))
    walked = find_inputs([str(tmp_path)], tmp_path / "elsewhere")
    assert [track.path for track in walked] == [song, own]
    meant = find_inputs([str(stems)], tmp_path / "elsewhere")
    assert [track.path.name for track in meant] == ["high.wav", "low.wav", "own.wav"]


def test_only_the_stems_asked_for_are_written_and_they_are_the_same(separator, tmp_path):
    song = write_song(tmp_path / "a.wav")
    everything = separator.separate_file(song, tmp_path / "all")
    some = separator.separate_file(song, tmp_path / "some", OutputSettings(stems=("high",)))
    assert list(some.outputs) == ["high"]
    assert some.null_test_db is None
    assert some.outputs["high"].read_bytes() == everything.outputs["high"].read_bytes()


def test_silence_gives_silence(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", np.zeros((2, 3000)))
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(residual=True))
    assert all(not integers(path).any() for path in result.outputs.values())
    assert result.null_test_db == -300


def test_one_sample_is_a_song(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", np.array([[0.5]]))
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(residual=True))
    total = sum(integers(path) for path in result.outputs.values())
    np.testing.assert_array_equal(total, integers(song))


def test_output_at_another_rate_has_the_resampled_length(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(0.5))
    output = OutputSettings(sample_rate=48000, residual=True)
    result = separator.separate_file(song, tmp_path / "out", output)
    info = soundfile.info(result.outputs["low"])
    assert (info.samplerate, info.frames) == (48000, 24000)
    assert result.null_test_db < -80


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_with_their_place(separator, tmp_path, value):
    signal = noise(0.5)
    signal[1, 1234] = value
    song = write_song(tmp_path / "a.wav", signal, subtype="FLOAT")
    with pytest.raises(AudioReadError, match=r"sample 1234, channel 2"):
        separator.separate_file(song, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(AudioError, match="NaN or Inf"):
        separator.separate(signal, SAMPLE_RATE)


def test_signals_come_back_in_kind(separator):
    array = noise(0.2)
    assert separator.separate(array, 44100)["low"].dtype == np.float64
    tensor = torch.from_numpy(array).half()
    stems = separator.separate(tensor, 44100)
    assert list(stems) == ["low", "high"]
    assert stems["low"].dtype == torch.float16
    assert stems["low"].shape == tensor.shape


def test_a_signal_is_not_changed(separator):
    signal = noise(0.2)
    before = signal.copy()
    separator.separate(signal, 44100)
    separator.separate(torch.from_numpy(signal), 22050)
    np.testing.assert_array_equal(signal, before)


@pytest.mark.parametrize(
    ("signal", "told"),
    [
        (np.zeros(100), r"signal\[None\]"),
        (np.zeros((1000, 2)), "transpose"),
        (np.zeros((2, 0)), "shape"),
        (np.zeros((2, 9), np.int16), "divide integers"),
        (torch.zeros(1, 2, 100), "shape"),
    ],
)
def test_what_is_no_signal_is_told(separator, signal, told):
    with pytest.raises(ShapeError, match=told):
        separator.separate(signal, 44100)


def test_progress_of_a_file_rises_from_0_to_1(tmp_path):
    seen = []
    separator = Separator(LowHigh(), on_progress=seen.append)
    separator.separate_file(write_song(tmp_path / "a.wav"), tmp_path / "out")
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert [*dict.fromkeys(p.stage for p in seen)] == ["read", "separate", "write"]


def test_cancelling_leaves_nothing(tmp_path):
    cancel = unbraid.CancelToken()
    separator = Separator(
        LowHigh(), on_progress=lambda p: cancel.cancel() if p.fraction > 0.5 else None
    )
    song = write_song(tmp_path / "a.wav", noise(3))
    (plan,) = separator.plan([InputTrack(song)], tmp_path / "out")
    with pytest.raises(unbraid.Cancelled):
        separator.attempt(plan, cancel=cancel)
    assert not (tmp_path / "out").exists()


def test_a_mistake_of_ours_fails_one_song_only(tmp_path, monkeypatch):
    class Broken(LowHigh):
        def __call__(self, mixture):
            raise ZeroDivisionError("oh")

    song = write_song(tmp_path / "a.wav")
    separator = Separator(Broken())
    (plan,) = separator.plan([InputTrack(song)], tmp_path / "out")
    result = separator.attempt(plan)
    assert result.status == "failed"
    assert result.error.startswith("internal error: ZeroDivisionError: oh")
    monkeypatch.setenv("UNBRAID_DEBUG", "1")
    assert "Traceback" in separator.attempt(plan).error


def test_a_model_that_gives_nan_is_refused(tmp_path):
    class Broken(LowHigh):
        def __call__(self, mixture):
            return super().__call__(mixture) * float("nan")

    song = write_song(tmp_path / "a.wav")
    with pytest.raises(unbraid.ModelError, match="not finite"):
        Separator(Broken()).separate_file(song, tmp_path / "out")


def test_a_full_disk_is_one_line_and_leaves_nothing(separator, tmp_path, monkeypatch):
    import errno

    from unbraid.tracks.spool import Spool

    def full(self, block):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Spool, "append", full)
    song = write_song(tmp_path / "a.wav")
    with pytest.raises(AudioError, match=r"a\.wav'.*no space left on device"):
        separator.separate_file(song, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_little_room_is_told_before_separating(separator, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    song = write_song(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="are free"):
        separator.separate_file(song, tmp_path / "out")


@pytest.mark.parametrize(
    "wrong",
    [
        {"stems": ("lo",)},
        {"two_stems": "vocals"},
        {"stems": ()},
        {"stems": ("low",), "two_stems": "low"},
        {"format": "aiff"},
        {"format": "mp3", "bit_depth": "24"},
        {"format": "flac", "bit_depth": "32f"},
        {"clip_mode": "tanh"},
        {"sample_rate": 0},
        {"sample_rate": "cd"},
        {"bitrate_kbps": 3, "format": "mp3"},
        {"filename": "{stem}/../../{track}"},
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_done(separator, tmp_path, wrong):
    with pytest.raises(SettingsError):
        separator.separate_file(tmp_path / "none.wav", tmp_path / "out", OutputSettings(**wrong))


@pytest.mark.parametrize("threads", [0, -1, 10**6])  # the last is more than a system gives
def test_threads_that_cannot_be_are_refused_and_not_kept(threads):
    before = get_threads()
    with pytest.raises(SettingsError, match=f"threads are from 1 to 1024, got {threads}"):
        Separator("quartet", threads=threads)
    assert get_threads() == before


_UNTYPED = """
import unbraid

for wrong, said in (
    ({"device": None}, "a device is auto, cpu, cuda, cuda:N or mps, got None"),
    ({"device": 0}, "got 0"),
    ({"model": None}, "a model is a name, a path or a model, got NoneType"),
    ({"model": b"mini"}, "got bytes"),
    ({"segment_s": "2"}, "segment_s is a number of seconds, or None, got '2'"),
    ({"overlap": None}, "overlap is a number, got None"),
    ({"seed": None}, "seed is a whole number, got None"),
    ({"shifts": 1.5}, "shifts is a whole number, got 1.5"),
    ({"batch_size": "x"}, "batch_size is a whole number, or None, got 'x'"),
):
    try:
        unbraid.Separator(**{"model": "quartet", **wrong})
        assert False, wrong
    except unbraid.UnbraidError as error:
        assert said in str(error), (wrong, str(error))
output = unbraid.OutputSettings
for wrong in ({"residual": "yes"}, {"two_stems": 3}, {"loudness_lufs": "a"}, {"filename": 3}):
    try:
        output(**wrong)
    except unbraid.errors.SettingsError as error:
        assert "got" in str(error)
    else:
        raise AssertionError(wrong)
plain = output(stems="low", bit_depth=24, only=["low"])
assert plain == output(stems=("low",), bit_depth="24", only=("low",)), plain
"""


def test_arguments_of_other_types_are_taken_or_refused_in_one_sentence():
    # In a program of its own, as types are checked while tests run.
    subprocess.run([sys.executable, "-c", _UNTYPED], check=True)


def test_lossy_parts_are_null_tested_by_decoding_them(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", np.cumsum(noise(1.0), axis=1) * 0.01)
    output = OutputSettings(format="mp3", residual=True)
    result = separator.separate_file(song, tmp_path / "out", output)
    assert -60 < result.null_test_db < -10
    assert {path.suffix for path in result.outputs.values()} == {".mp3"}


def test_tags_travel_to_the_stems(separator, tmp_path):
    song = tmp_path / "a.flac"
    with soundfile.SoundFile(song, "w", SAMPLE_RATE, 2) as file:
        file.title = "Potassium"
        file.write(noise().T)
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(format="flac"))
    with soundfile.SoundFile(result.outputs["low"]) as file:
        assert file.title == "Potassium"


def test_memory_shortens_segments_or_is_refused(tmp_path):
    roomy = Separator(LowHigh(), max_memory="900GB")
    assert roomy.settings.segment_s is None
    with pytest.raises(SettingsError, match="too little"):
        Separator(LowHigh(), max_memory="1MB")


def test_a_gpu_takes_as_many_segments_at_once_as_fit_and_the_stems_stay(monkeypatch):
    signal = noise(3.0).astype(np.float32)
    plain = Separator(LowHigh()).separate(signal, SAMPLE_RATE)
    monkeypatch.setattr("unbraid.tracks.run_settings.free_gpu_bytes", lambda device: 10**12)
    roomy = Separator(LowHigh())
    assert roomy.settings.batch_size == 16
    assert Separator(LowHigh(), batch_size=3).settings.batch_size == 3
    for stem, part in roomy.separate(signal, SAMPLE_RATE).items():
        np.testing.assert_array_equal(part, plain[stem])


def test_a_listener_hears_what_is_written(tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2.0))
    heard: list[np.ndarray] = []
    views: list[SpoolView] = []

    def listen(progress):
        if views and progress.stage == "separate":
            start = sum(part.shape[-1] for part in heard)
            heard.append(views[0].read(start, views[0].samples - start))

    separator = Separator(LowHigh(), on_progress=listen, segment_s=0.25)
    output = OutputSettings(bit_depth="32f", clip_mode="none")
    result = separator.separate_file(song, tmp_path / "out", output, on_stems=views.append)
    (view,) = views
    assert view.stems == ("low", "high") and view.sample_rate == SAMPLE_RATE
    parts = np.concatenate(heard, axis=-1)
    assert parts.shape[-1] > 0.5 * SAMPLE_RATE
    for name, part in zip(view.stems, parts, strict=True):
        np.testing.assert_array_equal(floats(result.outputs[name])[:, : part.shape[1]], part)
    assert (view.samples, view.read(0, 10)) == (0, None)


@pytest.mark.parametrize("sizes", [[20_000], [1, 4000, 15_999]])
def test_a_stream_gives_what_its_signal_gives_in_blocks_of_any_length(separator, sizes):
    signal = noise(1.0)[:, :20_000].astype(np.float32)
    blocks = np.split(signal, np.cumsum(sizes)[:-1], axis=1)
    stream = list(separator.separate_stream(iter(blocks), SAMPLE_RATE))
    for stem, whole in separator.separate(signal, SAMPLE_RATE).items():
        np.testing.assert_array_equal(np.concatenate([b[stem] for b in stream], axis=1), whole)


def test_a_stream_of_nothing_or_of_other_channels_is_refused(separator):
    with pytest.raises(unbraid.ShapeError, match="at least one block"):
        list(separator.separate_stream([], SAMPLE_RATE))
    with pytest.raises(unbraid.ShapeError, match="as the first one"):
        list(separator.separate_stream([noise(0.1), noise(0.1)[:1]], SAMPLE_RATE))


@pytest.mark.parametrize(
    "rate", [float(SAMPLE_RATE), np.float32(SAMPLE_RATE), np.int64(SAMPLE_RATE)]
)
def test_a_sample_rate_is_any_whole_number(separator, rate):
    signal = noise(0.1)
    for stem, part in separator.separate(signal, rate).items():
        np.testing.assert_array_equal(part, separator.separate(signal, SAMPLE_RATE)[stem])


@pytest.mark.parametrize("rate", [None, "44100", float("nan"), 44100.5, 0, -1, True, 1e300, [1]])
def test_what_is_no_sample_rate_is_told(separator, rate, unchecked):
    with pytest.raises(unbraid.UnbraidError, match="whole number of Hz"):
        separator.separate(noise(0.1), rate)


@pytest.mark.parametrize("rate", [48000.0, np.int64(48000), np.float32(48000)])
def test_an_output_rate_is_any_whole_number(rate):
    output = OutputSettings(sample_rate=rate)
    assert type(output.sample_rate) is int and output == OutputSettings(sample_rate=48000)


@pytest.mark.parametrize("rate", [None, 44100.5, True, float("nan"), [48000], b"source"])
def test_what_is_no_output_rate_is_told(rate, unchecked):
    with pytest.raises(unbraid.SettingsError, match="whole number of Hz"):
        OutputSettings(sample_rate=rate)


def test_many_files_are_separated_by_their_paths(separator, tmp_path):
    for name in "ab":
        write_song(tmp_path / "songs" / f"{name}.wav", noise(0.2))
    songs = unbraid.find_inputs(tmp_path / "songs", tmp_path / "out")
    results = list(separator.separate_many(songs, tmp_path / "out"))
    assert [(r.status, r.outputs["low"].parent.name) for r in results] == [
        ("done", "a"),
        ("done", "b"),
    ]
    plans = separator.plan(songs, tmp_path / "out")
    with pytest.raises(SettingsError, match="some of both"):
        list(separator.separate_many([*plans, "c.wav"]))
    with pytest.raises(SettingsError, match="a list of paths, got"):
        list(separator.separate_many("c.wav"))


def test_help_says_what_every_public_name_of_a_separator_is():
    public = {name: getattr(Separator, name) for name in dir(Separator) if name[0] != "_"}
    borrowed = property(attrgetter("any")).__doc__
    assert [name for name, what in public.items() if what.__doc__ in (None, borrowed)] == []


def test_settings_of_a_model_that_are_no_file_are_refused():
    with pytest.raises(CheckpointError, match="the settings of the model, is not a file"):
        Separator("mini", model_config="no.yaml")


def test_a_separator_says_what_it_is(separator):
    assert "low, high" in repr(separator) and "overlap 0.25" in repr(separator)


def test_a_result_says_what_became_of_the_song(separator, tmp_path):
    result = separator.separate_file(write_song(tmp_path / "a.wav"), tmp_path / "out")
    assert repr(result).startswith("<TrackResult done: ")
    assert "low, high" in repr(result) and "dB" in repr(result)
    failed = next(separator.separate_many([tmp_path / "none.wav"], tmp_path / "out"))
    assert repr(failed).startswith("<TrackResult failed: ") and failed.error in repr(failed)


def test_a_separator_by_name_can_be_pickled_and_another_says_why_not():
    by_name = Separator("mini", device="cpu", shifts=1, overlap=0.5, segment_s=5.0)
    again = pickle.loads(pickle.dumps(by_name))
    assert (again.settings, again.model.name) == (by_name.settings, "mini")
    with pytest.raises(SettingsError, match="cannot be pickled"):
        pickle.dumps(Separator(LowHigh()))


def test_progress_is_drawn_on_stderr(tmp_path, capsys):
    song = write_song(tmp_path / "a.wav", noise(0.2))
    Separator(LowHigh(), progress=True).separate_file(song, tmp_path / "out")
    drawn = capsys.readouterr()
    assert drawn.out == "" and "separating" in drawn.err
    assert drawn.err.rstrip(" \n").endswith("100%")


def test_numbers_beyond_32_bit_floats_are_refused_without_a_warning(separator):
    with pytest.raises(AudioError, match="beyond 32-bit floats"):
        separator.separate(np.full((2, 100), 1e300), SAMPLE_RATE)
