"""Trained weights in demucs 4.1.0 and here, each with its default settings, on a song with stems.

    python -m benchmarks.same_quality --demucs ENV/bin/python --track FOLDER

FOLDER holds `drums.wav` and so on; the mixture is their sum. The weights are those of
`mini`'s part at full rate, which makes whole stems by itself, under the public names and without
ratio masks: neither they nor two rates are in demucs. Prints nSDR in dB for
both, and writes it to benchmarks/same_quality.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from unbraid import load_model
from unbraid.engines.torch.official import to_official_state
from unbraid.evaluation.metrics import nsdr
from unbraid.models.hybrid_demucs.network import HybridDemucs
from unbraid.zoo.checkpoint import save_checkpoint

RESULT = Path(__file__).parent / "same_quality.json"
NAME = "0123abcd"

_MAKE_PACKAGE = """
import sys, numpy, torch
from demucs.hdemucs import HDemucs
stems = ["drums", "bass", "other", "vocals"]
kwargs = {"channels": 8, "norm_starts": 1, "segment": 5}
model = HDemucs(stems, **kwargs)
weights = numpy.load(sys.argv[1])
model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
package = {"klass": HDemucs, "args": (stems,), "kwargs": kwargs,
           "state": model.state_dict(), "training_args": {}}
torch.save(package, sys.argv[2])
"""


def main() -> None:
    """Separate with both, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demucs", metavar="PYTHON", required=True, help="where demucs is")
    parser.add_argument("--track", metavar="FOLDER", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scores = compare(Path(folder), options.demucs, options.track)
    RESULT.write_text(json.dumps({"track": options.track.name, "nsdr": scores}, indent=1) + "\n")
    print(json.dumps(scores))


def compare(folder: Path, python: str, track: Path) -> dict[str, dict[str, float]]:
    """nSDR of every stem, by program."""
    sources = {path.stem: soundfile.read(path)[0] for path in sorted(track.glob("*.wav"))}
    sources.pop("mixture", None)
    rate = soundfile.info(track / "drums.wav").samplerate
    song, package = folder / "song.wav", folder / "models" / f"{NAME}.th"
    soundfile.write(song, sum(sources.values()), rate, subtype="FLOAT")
    package.parent.mkdir()
    plain = folder / "mini.safetensors"
    state = to_official_state(_without_masks(plain))
    np.savez(folder / "mini.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    made = [python, "-c", _MAKE_PACKAGE, str(folder / "mini.npz"), str(package)]
    subprocess.run(made, check=True)
    common = ["--float32", "--clip-mode", "none", str(song)]
    demucs = [python, "-m", "demucs", "-n", NAME, "--repo", str(package.parent)]
    unbraid = [sys.executable, "-m", "unbraid", "separate", "--model", str(plain)]
    scores = {}
    for name, command in {"demucs": demucs, "unbraid": unbraid}.items():
        out = folder / name
        subprocess.run([*command, "-o", str(out), *common], check=True, stdout=subprocess.DEVNULL)
        scores[name] = {
            path.stem: round(_score(sources[path.stem], path), 3)
            for path in sorted(out.rglob("*.wav"))
        }
    return scores


def _without_masks(path: Path) -> HybridDemucs:
    """The part of `mini` as a plain network, written to `path` too."""
    full: HybridDemucs = load_model("mini").get_submodule("model.full")
    save_checkpoint(path, full)
    return full


def _score(source: np.ndarray, path: Path) -> float:
    return float(nsdr(source.T[None], soundfile.read(path)[0].T[None])[0])


if __name__ == "__main__":
    main()
