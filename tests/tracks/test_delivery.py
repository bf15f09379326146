"""How a song is delivered: stem files, one wav for all, sums of stems, loudness, projects."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition
from PIL import Image

from small_songs import LowHigh
from unbraid import OutputSettings, Separator, SettingsError
from unbraid.audio.files import probe, read
from unbraid.audio.loudness import integrated_loudness
from unbraid.audio.stem_file import StemLabel, read_stem_labels
from unbraid.audio.tags import Tags, read_tags
from unbraid.audio.write import AudioFormat, AudioWriter

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")
SHARES = np.array([0.4, 0.3, 0.2, 0.1], np.float32)


class Shares(LowHigh):
    """Stem k is its own share of the mixture."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, stems=STEMS, sample_rate=RATE)

    def __call__(self, mixture):
        shares = mixture.new_tensor(SHARES) if hasattr(mixture, "new_tensor") else SHARES
        return mixture[:, None] * shares[:, None, None]


@pytest.fixture
def separator():
    return Separator(Shares())


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Three seconds of stereo noise with tags and a cover, loud in the middle."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 3 * RATE)).astype(np.float32)
    noise[:, RATE : 2 * RATE] *= 2
    cover = tmp_path / "cover.png"
    Image.new("RGB", (16, 16), "red").save(cover)
    tags = Tags({"title": "A song", "artist": "Some"}, cover.read_bytes(), "image/png")
    path = tmp_path / "song.flac"
    with AudioWriter(path, AudioFormat("flac", "16"), RATE, 2, tags=tags) as writer:
        writer.write(np.rint(noise * 32768).astype(np.int32))
    return path


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, content) of each box in a row of them."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        found.append((kind, data[at + 8 : at + size]))
        at += size
    assert at == len(data)
    return found


def within(data: bytes, kind: bytes) -> bytes:
    (content,) = [content for name, content in boxes(data) if name == kind]
    return content


def test_a_stem_file_has_the_box_that_players_look_for(separator, song, tmp_path):
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(format="stem"))
    (path,) = result.outputs.values()
    assert path == tmp_path / "out" / "song.stem.mp4"
    data = path.read_bytes()
    assert next(kind for kind, _ in boxes(data)) == b"ftyp"
    assert data[8:12] == b"M4A "
    moov = within(data, b"moov")
    stem = json.loads(within(within(moov, b"udta"), b"stem"))
    assert stem["version"] == 1
    assert [s["name"] for s in stem["stems"]] == ["Drums", "Bass", "Other", "Vocals"]
    assert all(len(s["color"]) == 7 and s["color"][0] == "#" for s in stem["stems"])
    assert {"compressor", "limiter"} == stem["mastering_dsp"].keys()
    tracks = [content for kind, content in boxes(moov) if kind == b"trak"]
    audio = [t for t in tracks if b"soun" in within(within(t, b"mdia"), b"hdlr")]
    enabled = [within(t, b"tkhd")[3] & 1 for t in audio]
    assert enabled == [1, 0, 0, 0, 0]
    assert read_stem_labels(path)[3] == StemLabel("Vocals", "#56B4E9")


@pytest.mark.parametrize(("depth", "codec"), [(None, "aac"), ("16", "alac"), ("24", "alac")])
def test_every_stream_of_a_stem_file_is_the_song_or_its_stem_in_place(
    separator, song, tmp_path, depth, codec
):
    output = OutputSettings(format="stem", bit_depth=depth)
    (path,) = separator.separate_file(song, tmp_path / "out", output).outputs.values()
    mixture, _ = read(song)
    with av.open(str(path)) as container:
        streams = container.streams.audio
        assert [s.codec_context.name for s in streams] == [codec] * 5
        assert [bool(s.disposition & Disposition.default) for s in streams] == [True] + [False] * 4
    for number, share in enumerate([1.0, 0.3, 0.2, 0.1, 0.4], 1):
        got, rate = read(path, stream=number)
        assert rate == RATE
        assert 0 <= got.shape[1] - mixture.shape[1] <= 1023 * (codec == "aac")
        error = got[:, : mixture.shape[1]] - share * mixture
        limit = 10 ** (-10 / 20) if codec == "aac" else 2e-4
        assert np.sqrt(np.mean(error**2)) < limit * share * np.sqrt(np.mean(mixture**2)) + 1e-4


def test_of_a_stem_file_the_mixture_is_separated_unless_another_stream_is_chosen(
    separator, song, tmp_path
):
    output = OutputSettings(format="stem", bit_depth="16")
    (path,) = separator.separate_file(song, tmp_path / "stem", output).outputs.values()
    assert probe(path).stream == 1
    assert probe(path).stream_names == ("mixture", "Drums", "Bass", "Other", "Vocals")
    again = separator.separate_file(path, tmp_path / "again")
    assert any("audio stream 1 of 5" in note for note in again.notes)
    drums = separator.separate_file(path, tmp_path / "drums", stream=2)
    whole, part = (read(r.outputs["vocals"])[0] for r in (again, drums))
    np.testing.assert_allclose(part, 0.3 * whole, atol=2e-4)


def test_tags_and_cover_travel_into_the_stem_file(separator, song, tmp_path):
    result = separator.separate_file(song, tmp_path / "out", OutputSettings(format="stem"))
    tags = read_tags(result.outputs["stems"])
    assert tags.text["title"] == "A song"
    assert tags.text["artist"] == "Some"
    assert tags.cover == read_tags(song).cover


def test_a_mono_song_gives_a_stereo_stem_file(separator, tmp_path):
    soundfile.write(tmp_path / "mono.wav", np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    result = separator.separate_file(
        tmp_path / "mono.wav", tmp_path / "out", OutputSettings(format="stem")
    )
    assert probe(result.outputs["stems"], stream=5).channels == 2


def test_a_stem_file_is_the_same_every_time(separator, song, tmp_path):
    output = OutputSettings(format="stem")
    first, second = (
        separator.separate_file(song, tmp_path / name, output).outputs["stems"].read_bytes()
        for name in ("one", "two")
    )
    assert first == second


def test_a_stem_file_takes_four_parts(separator):
    with pytest.raises(SettingsError, match="4 stems, these are 2"):
        separator.plan([], output=OutputSettings(format="stem", two_stems="vocals"))


def test_one_wav_holds_the_channels_of_all_parts_side_by_side(separator, song, tmp_path):
    output = OutputSettings(format="multiwav", bit_depth="24")
    (path,) = separator.separate_file(song, tmp_path / "out", output).outputs.values()
    assert path.name == "song.wav"
    apart = separator.separate_file(song, tmp_path / "apart", OutputSettings(bit_depth="24"))
    together, _ = soundfile.read(path, dtype="int32")
    expected = [soundfile.read(p, dtype="int32")[0] for p in apart.outputs.values()]
    np.testing.assert_array_equal(together, np.concatenate(expected, axis=1))


def test_a_group_is_the_sum_of_its_stems_and_stands_for_them(separator, song, tmp_path):
    output = OutputSettings(groups=(("instrumental", ("drums", "bass", "other")),))
    result = separator.separate_file(song, tmp_path / "out", output)
    assert list(result.outputs) == ["vocals", "instrumental"]
    assert result.null_test_db < -60
    mixture, _ = read(song)
    got, _ = read(result.outputs["instrumental"])
    np.testing.assert_allclose(got, 0.6 * mixture, atol=2e-4)


@pytest.mark.parametrize(
    ("groups", "hint"),
    [
        ((("a", ("drums", "bas")),), "did you mean 'bass'"),
        ((("a", ("drums",)), ("b", ("drums",))), "two groups"),
        ((("drums", ("bass", "other")),), "stem of its own"),
    ],
)
def test_a_wrong_group_is_refused(separator, groups, hint):
    with pytest.raises(SettingsError, match=hint):
        separator.plan([], output=OutputSettings(groups=groups))


def test_karaoke_is_the_song_without_its_vocals_in_one_file(separator, song, tmp_path):
    output = OutputSettings(two_stems="vocals", only=("no_vocals",))
    result = separator.separate_file(song, tmp_path / "out", output)
    assert result.outputs == {"no_vocals": tmp_path / "out" / "song.wav"}
    mixture, _ = read(song)
    np.testing.assert_allclose(read(result.outputs["no_vocals"])[0], 0.6 * mixture, atol=2e-4)


def test_the_song_is_brought_to_a_loudness_and_its_stems_add_up_to_it(separator, song, tmp_path):
    output = OutputSettings(loudness_lufs=-25, bit_depth="32f", clip_mode="none")
    result = separator.separate_file(song, tmp_path / "out", output)
    total = sum(read(path)[0] for path in result.outputs.values())
    assert integrated_loudness(total, RATE) == pytest.approx(-25, abs=0.05)
    assert result.null_test_db < -100
    assert any("-25.0 LUFS" in note for note in result.notes)


def test_stems_are_brought_to_one_loudness_as_far_as_their_peaks_allow(separator, song, tmp_path):
    output = OutputSettings(loudness_lufs=-20, loudness_of="stems", bit_depth="24")
    result = separator.separate_file(song, tmp_path / "out", output)
    for path in result.outputs.values():
        assert integrated_loudness(read(path)[0], RATE) == pytest.approx(-20, abs=0.05)
    assert result.null_test_db is None
    loud = replace(output, loudness_lufs=-1.0)
    result = separator.separate_file(song, tmp_path / "loud", loud)
    assert all(0.9 < np.abs(read(path)[0]).max() <= 1 for path in result.outputs.values())
    assert any("peaks allow no more" in note for note in result.notes)


def test_tempo_and_key_are_in_names_and_found_again(separator, tmp_path):
    time = np.arange(12 * RATE) / RATE
    tone = 0.2 * sum(np.sin(2 * np.pi * hz * time) for hz in (110.0, 130.81, 164.81))
    beat = np.where(time % 0.5 < 0.02, 0.5, 0.0) * np.random.default_rng(0).normal(0, 1, len(time))
    soundfile.write(tmp_path / "song.wav", (tone + beat) * 0.4, RATE)
    output = OutputSettings(
        filename="{track}/{stem} {bpm} {key}.{ext}", skip_existing=True, project=True
    )
    result = separator.separate_file(tmp_path / "song.wav", tmp_path / "out", output)
    name = result.outputs["drums"].name
    assert re.fullmatch(r"drums 120 [A-G][b#]?m?\.wav", name)
    project = tmp_path / "out" / "song" / f"project{name[5:-4]}.rpp"
    assert "TEMPO 120 4 4" in project.read_text()
    assert f'FILE "{name}"' in project.read_text()
    again = separator.separate_file(tmp_path / "song.wav", tmp_path / "out", output)
    assert again.status == "skipped"
    assert again.outputs == result.outputs
    project.unlink()
    assert separator.separate_file(tmp_path / "song.wav", tmp_path / "out", output).status == "done"


@pytest.mark.parametrize(
    "wrong",
    [
        {"loudness_lufs": 3.0},
        {"loudness_of": "stems"},
        {"loudness_of": "stems", "loudness_lufs": -20.0, "residual": True},
        {"format": "stem", "project": True},
        {"only": ()},
        {"groups": (("", ("drums",)),)},
        {"format": "stem", "bit_depth": "32f"},
    ],
)
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(SettingsError):
        OutputSettings(**wrong)
