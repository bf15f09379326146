"""Names of outputs: safe whatever a song is called, apart from each other, never outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbraid.errors import SettingsError
from unbraid.tracks.names import InputTrack, plan_outputs
from unbraid.tracks.safe_names import check_template, safe_name

ROOT = Path("/out")


def plans(*paths, template="{track}/{stem}.{ext}", parts=("low", "high"), folder=()):
    tracks = [InputTrack(Path(path), folder) for path in paths]
    return plan_outputs(tracks, ROOT, template, parts=parts, ext="wav", model="mini")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{track}.{ext}", "{stem}"),
        ("{stem}.{ex}", "did you mean {ext}"),
        ("{track.parent}/{stem}", "unknown field"),
        ("{track[0]}/{stem}", "unknown field"),
        ("{stem:>99999}", "formats"),
        ("{stem!r}", "formats"),
        ("{stem", "cannot be read"),
        ("{}/{stem}", "unknown field"),
        ("../{stem}", "leading dot"),
        ("a/../../{stem}", "leading dot"),
        (".{stem}", "leading dot"),
        ("/tmp/{stem}", "below the output folder"),
        ("C:/{stem}", "below the output folder"),
        ("a\\{stem}", "backslash"),
        ("{stem}\0", "control character"),
        ("{stem}/", "below the output folder"),
        ("a" * 300 + "{stem}", "longer than 255"),
    ],
)
def test_templates_that_cannot_name_files_are_refused(template, told):
    with pytest.raises(SettingsError, match=told.replace("{", r"\{").replace("}", r"\}")):
        check_template(template)


def test_the_usual_song():
    (plan,) = plans("music/My Song.mp3")
    assert plan.path("low") == ROOT / "My Song" / "low.wav"


def test_all_fields_can_be_used():
    (plan,) = plans("a/b.mp3", template="{model}-{track}.{trackext}-{stem}.{ext}")
    assert plan.files["low"] == "mini-b.mp3-low.wav"


def test_songs_of_one_name_are_told_apart_in_their_order():
    files = [plan.files["low"] for plan in plans("a/s.mp3", "b/s.mp3", "c/s.mp3", "d/s.wav")]
    assert files == ["s/low.wav", "s.mp3/low.wav", "s (2)/low.wav", "s.wav/low.wav"]


def test_names_that_some_disks_hold_for_the_same_are_told_apart():
    first, second, third = plans("Song.wav", "song.wav", "so\u0308ng.wav")
    assert first.files["low"] != second.files["low"]
    assert len({first.group.casefold(), second.group.casefold(), third.group.casefold()}) == 3


def test_a_template_without_the_track_takes_one_song_only():
    (plan,) = plans("a.wav", template="{stem}.{ext}")
    assert plan.files == {"low": "low.wav", "high": "high.wav"}
    with pytest.raises(SettingsError, match=r"put \{track\} into it"):
        plans("a.wav", "b.wav", template="{stem}.{ext}")


def test_sub_folders_are_mirrored():
    (plan,) = plans("music/rock/a.wav", folder=("rock",))
    assert plan.files["low"] == "rock/a/low.wav"


def test_a_long_name_is_cut_and_keeps_its_stem():
    names = ["é" * 120 + str(n) for n in range(2)]
    first, second = plans(*(f"{n}.mp3" for n in names), template="{track} {stem}.{ext}")
    for name in (*first.files.values(), *second.files.values()):
        assert len(name.encode()) <= 255
        assert name.endswith((" low.wav", " high.wav"))
    assert first.files["low"] != second.files["low"]


@pytest.mark.parametrize("name", ["..", ".", "...", ".hidden", "con", "a\nb", "a\0b", "\udcff", ""])
def test_odd_names_become_visible_plain_ones(name):
    safe = safe_name(name)
    assert safe.isprintable()
    assert safe
    assert not safe.startswith(".")
    assert safe.encode()


@given(
    st.text(min_size=1, max_size=300).filter(lambda t: "/" not in t and "\0" not in t),
    st.lists(st.text(max_size=40), max_size=2),
)
def test_outputs_lie_below_the_root_whatever_names_are(name, folder):
    (plan,) = plans(name, folder=tuple(folder), template="{track}/{trackext}{stem}.{ext}")
    for file in plan.files.values():
        parts = Path(file).parts
        assert not Path(file).is_absolute()
        assert not any(part.startswith(".") or len(part.encode()) > 255 for part in parts)
        assert not any(c in file for c in "\n\r\0\\")
    assert plan.path("low").relative_to(ROOT)


def all_files(found) -> list[str]:
    names = [name for plan in found for name in (*plan.files.values(), plan.page)]
    return [name.casefold() for name in names]


@pytest.mark.parametrize(
    ("songs", "template"),
    [
        (("hum.wav", "hum_no.wav"), "{track}_{stem}.{ext}"),
        (("hum_no.wav", "hum.wav"), "{track}_{stem}.{ext}"),
        (("a.wav", "a no.wav", "A NO.mp3"), "{track} {stem}.{ext}"),
        (("a.wav", "no_a.wav"), "{stem}_{track}.{ext}"),
        (("a.flac", "a_.flac", "a__.flac"), "{track}_{stem}.{ext}"),
    ],
)
def test_no_two_songs_share_a_file_though_their_patterns_differ(songs, template):
    parts = ("vocals", "no_vocals", "_vocals", "vocals_no", "no vocals")
    found = plans(*songs, template=template, parts=parts)
    names = all_files(found)
    assert len(set(names)) == len(names)
    assert plans(*songs, template=template, parts=parts) == found


def test_a_file_is_never_where_another_song_needs_a_folder():
    first, second = InputTrack(Path("x/a.wav")), InputTrack(Path("x/b.wav"), ("a", "low"))

    def planned(*tracks):
        return plan_outputs(
            tracks, ROOT, "{track}/{stem}", parts=("low", "high"), ext="wav", model="m"
        )

    names = all_files(planned(second, first))
    assert not any(f"{name}/" in other for name in names for other in names)
    with pytest.raises(SettingsError, match="needs a folder"):
        planned(first, second)


@pytest.mark.parametrize("parts", [("a/b", "a_b"), ("Drums", "drums")])
def test_two_parts_that_would_share_a_file_are_told(parts):
    with pytest.raises(SettingsError, match="would share the file"):
        plans("song.wav", parts=parts)


@pytest.mark.parametrize(
    ("template", "page"),
    [
        ("{track}/{stem}.{ext}", "song/report.html"),
        ("{stem}/{track}.{ext}", "report/song.html"),
        ("{track} {stem}.{ext}", "song report.html"),
        ("{stem}.{track}", "report.song.html"),
    ],
)
def test_a_report_is_named_as_the_parts_are(template, page):
    assert plans("song.wav", template=template)[0].page == page


@given(
    st.lists(st.text("ab_ .no", min_size=1, max_size=6), min_size=2, max_size=6, unique=True),
    st.sampled_from(
        ["{track}_{stem}.{ext}", "{track}/{stem}.{ext}", "{stem}{track}", "{track}{stem}.{ext}"]
    ),
)
def test_all_files_of_a_run_are_distinct_whatever_songs_are_called(names, template):
    found = plans(*(f"in/{name}.wav" for name in names), template=template, parts=("a", "no_a"))
    names = all_files(found)
    assert len(set(names)) == len(names)
    assert not any(other.startswith(f"{name}/") for name in names for other in names)
