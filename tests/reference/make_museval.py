"""Store what museval 0.4.1 says of `museval_cases`: run it in an environment of its own.

    python -m venv museval-env
    museval-env/bin/pip install museval==0.4.1 "numpy<2" setuptools
    cd tests/reference && museval-env/bin/python make_museval.py

museval wants to find ffmpeg when it is imported, though it is not used here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from museval.metrics import bss_eval
from museval_cases import cases

METRICS = ("SDR", "ISR", "SIR", "SAR")


def main() -> None:
    """Write museval.json beside this file."""
    stored = {}
    for name, (references, estimates, window, hop) in cases().items():
        scores = bss_eval(references, estimates, window=window, hop=hop)
        stored[name] = {
            metric: np.round(values, 6).tolist()
            for metric, values in zip(METRICS, scores, strict=False)
        }
    text = json.dumps(stored).replace("], [", "],\n [").replace('}, "', '},\n"')
    Path(__file__).with_name("museval.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
