"""Files, folders and links that are no model, whatever their names say: one line, no traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from unbraid.errors import CheckpointError, ModelError
from unbraid.zoo.open import open_model
from zoo.public_files import write_th

FILES = Path(__file__).parent.parent / "reference" / "classic_files"
KINDS = {
    "onnx": "mdx/flat/bass.onnx", "hdf5": "wavenet/voice.hdf5", "th": "demucs_quantized.th",
    "index": "wave_u_net/full_44KHz-1.index", "gz": "demucs_v1/demucs.th.gz",
}  # fmt: skip


def refusal(path: Path | str) -> str:
    with pytest.raises(ModelError) as refused:
        list(open_model(path).weights.values())
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("ending", [*KINDS, "ckpt", "safetensors", "data-00000-of-00001"])
def test_an_empty_file_is_none_of_them(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"model.{ending}").touch()
    assert "empty" in refusal(tmp_path / f"model.{ending}") or ending == "index"


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"onnx"}))
def test_what_ends_in_onnx_and_is_none_is_said_to_be_none(kind: str, tmp_path: Path) -> None:
    shutil.copy(FILES / KINDS[kind], tmp_path / "bass.onnx")
    assert "bass.onnx: refused: not an ONNX file, or a damaged one" in refusal(
        tmp_path / "bass.onnx"
    )


def test_a_name_too_long_for_the_system_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal("x" * 300)
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))


def test_folders_and_links_to_nowhere_are_no_models_of_a_folder(tmp_path: Path) -> None:
    write_th(tmp_path / "one.th")
    (tmp_path / "two.th").symlink_to(tmp_path / "missing")
    (tmp_path / "bag.yaml").symlink_to(tmp_path / "bag.yaml")
    for name in ("one.safetensors", "three.th", "bass.onnx", "mixer.ckpt"):
        (tmp_path / name).mkdir()
    assert open_model(tmp_path).path == open_model(tmp_path / "one").path == tmp_path / "one.th"
    for name in ("two", "three", "bag"):
        with pytest.raises(CheckpointError, match="there are one"):
            open_model(tmp_path / name)
