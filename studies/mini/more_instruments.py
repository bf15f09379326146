"""More drum kits and synthesizer basses for the material of `mini`, out of two Debian packages.

    apt-get download sonic-pi-samples hydrogen-drumkits; dpkg -x each of them into DEBS
    python -m studies.mini.more_instruments --debs DEBS --ingredients INGREDIENTS

Adds to INGREDIENTS/instruments, a copy of yours: sixteen kits of Sonic Pi's single
hits and eight basses of one note each (CC0, by some twenty people of freesound.org, whom the
package's copyright file names), and the Rumpf kit (CC BY 3.0, Emanuel Rumpf). Same seed, same kits;
what is there already stays.
"""

from __future__ import annotations

import argparse
import json
import shutil
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = "usr/share/sonic-pi/samples"
RUMPF = "usr/share/hydrogen/data/drumkits/rumpf_kit_z01_h2"
CREDITS = {
    "instruments/drums/sonic": "CC0-1.0: samples of Sonic Pi, from freesound.org",
    "instruments/bass/sonic": "CC0-1.0: samples of Sonic Pi, from freesound.org",
    "instruments/drums/rumpf": "CC-BY-3.0: rumpf_kit_z01 by Emanuel Rumpf",
}
KITS = 16
CHOICES = {  # General MIDI drum: what may play it
    36: "bd_boom bd_pure bd_haus bd_tek bd_fat bd_808 bd_zum bd_gas bd_sone bd_klub bd_zome bd_ada"
    " drum_bass_hard drum_bass_soft drum_heavy_kick elec_hollow_kick elec_soft_kick",
    38: "sn_dolf sn_zome sn_dub drum_snare_hard drum_snare_soft elec_hi_snare"
    " elec_mid_snare elec_lo_snare elec_filt_snare elec_snare",
    39: "sn_dolf sn_zome perc_snap perc_snap2 elec_snare elec_filt_snare",
    37: "elec_wood elec_tick perc_snap tabla_ke1 tabla_te1",
    42: "drum_cymbal_closed drum_cymbal_pedal elec_tick elec_cymbal",
    46: "drum_cymbal_open drum_cymbal_soft",
    49: "drum_cymbal_hard drum_splash_hard drum_splash_soft",
    51: "drum_cymbal_soft elec_bell elec_triangle",
    53: "drum_cowbell elec_bell",
    41: "drum_tom_lo_hard drum_tom_lo_soft elec_fuzz_tom tabla_ghe1",
    45: "drum_tom_mid_hard drum_tom_mid_soft tabla_ghe4",
    47: "drum_tom_mid_hard drum_tom_mid_soft tabla_tun1",
    48: "drum_tom_hi_hard drum_tom_hi_soft tabla_na",
}
BASSES = {  # and the MIDI pitch of each note, as measured
    "bass_dnb_f": 41, "bass_hard_c": 36, "bass_hit_c": 24, "bass_thick_c": 36,
    "bass_trance_c": 36, "bass_voxy_c": 36, "bass_woodsy_c": 36, "bass_drop_c": 36,
}  # fmt: skip


def sonic_kits(samples: Path, seed: int) -> list[dict[str, Any]]:
    """Kits whose every drum is one of those that may play it; no kick in two kits."""
    rng = np.random.default_rng(seed)
    kicks = rng.permutation(CHOICES[36].split())
    entries = []
    for number in range(KITS):
        for note, names in CHOICES.items():
            name = str(kicks[number]) if note == 36 else str(rng.choice(names.split()))
            if not (samples / f"{name}.flac").is_file():
                raise SystemExit(f"{samples} has no {name}.flac")
            entries.append(_hit(f"sonic/{name}.flac", note, f"sonic-{number:02d}"))
    return entries


def rumpf_kit(folder: Path) -> list[dict[str, Any]]:
    """The kit's instruments from General MIDI's drum 36 on, in its own order."""
    entries = []
    for note, item in enumerate(
        xml.etree.ElementTree.parse(folder / "drumkit.xml").iter("instrument"), start=36
    ):
        name = item.findtext("layer/filename") or item.findtext("filename")
        if name and note <= 53:
            entries.append(_hit(f"rumpf/{name}", note, "rumpf"))
    return entries


def _hit(file: str, note: int, kit: str) -> dict[str, Any]:
    return {"file": file, "gm_note": note, "vel": [1, 127], "inst": kit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--debs", type=Path, required=True)
    parser.add_argument("--ingredients", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    top: Path = args.ingredients / "instruments"
    samples, rumpf = args.debs / SAMPLES, args.debs / RUMPF
    hits = sonic_kits(samples, args.seed) + rumpf_kit(rumpf)
    notes = [
        {"file": f"sonic/{name}.flac", "inst": name, "midi": midi, "art": "sustain",
         "vel": [1, 127]}
        for name, midi in BASSES.items()
    ]  # fmt: skip
    for family, new in (("drums", hits), ("bass", notes)):
        path = top / family / "map.json"
        content = json.loads(path.read_text())
        entries = content["samples"] if isinstance(content, dict) else content
        there = {(entry.get("inst"), entry["file"]) for entry in entries}
        entries += [entry for entry in new if (entry["inst"], entry["file"]) not in there]
        path.write_text(json.dumps(content, indent=1) + "\n")
        for file in {entry["file"] for entry in new}:
            source = samples if file.startswith("sonic/") else rumpf
            (top / family / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / Path(file).name, top / family / file)
    path = args.ingredients / "credits.json"
    credits = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(credits | CREDITS, indent=1) + "\n")


if __name__ == "__main__":
    main()
