"""What a study says: means with intervals, agreement, paired tests, and who was left out and why.

A rater is left out by a rule about the hidden reference, which is stated with the results:

- likert: more than a quarter of the answers about it are 1 or 2, or their mean is not above the
  mean of the answers about all other systems.
- mushra: it got less than 90 in more than 15 % of the screens (ITU-R BS.1534-3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from unbraid.errors import SettingsError
from unbraid.listening.ratings import Answer
from unbraid.listening.statistics import (
    Interval,
    RaterBootstrap,
    grouped,
    holm,
    krippendorff_alpha,
    wilcoxon_signed_rank,
)
from unbraid.listening.study import Study
from unbraid.words import counted

ALL = "All"
LIKERT_LOW_SHARE = 0.25
MUSHRA_REFERENCE = 90
MUSHRA_LOW_SHARE = 0.15


@dataclass(frozen=True)
class Pair:
    """Two systems compared by the same raters.

    Attributes:
        question: about what.
        better, worse: the systems, by the mean of the raters' differences.
        difference: mean over raters of their mean rating of one minus that of the other.
        low, high: 95 % interval of it, by drawing raters; None for a single rater.
        raters: who rated both.
        p: of the signed-rank test over raters.
        p_holm: corrected for all pairs and questions.
    """

    question: str
    better: str
    worse: str
    difference: float
    low: float | None
    high: float | None
    raters: int
    p: float
    p_holm: float


def exclusion_rule(mode: str) -> str:
    """The rule of a mode in words."""
    if mode == "mushra":
        return (
            f"raters who gave the hidden reference less than {MUSHRA_REFERENCE} in more "
            f"than {MUSHRA_LOW_SHARE:.0%} of their screens (ITU-R BS.1534-3)"
        )
    return (
        f"raters with more than {LIKERT_LOW_SHARE:.0%} of their answers about the hidden "
        "reference at 1 or 2, or whose mean for it is not above their mean for all other systems"
    )


def excluded_raters(study: Study, answers: Sequence[Answer]) -> dict[str, str]:
    """Rater to the reason why their answers do not count."""
    reasons = {}
    for rater in dict.fromkeys(answer.rater for answer in answers):
        own = [answer for answer in answers if answer.rater == rater]
        reference = [a.value for a in own if a.system == study.reference]
        others = [a.value for a in own if a.system != study.reference]
        reason = _failing(study, reference, others)
        if reason:
            reasons[rater] = reason
    return reasons


def analyse(study: Study, answers: Sequence[Answer], *, seed: int = 0) -> dict[str, Any]:
    """The analysis as plain values, as written to `analysis.json`.

    Raises:
        SettingsError: if there are no answers, or none that count.
    """
    if not answers:
        raise SettingsError("no ratings yet: no rater has finished a sample that counts")
    excluded = excluded_raters(study, answers)
    kept = [answer for answer in answers if answer.rater not in excluded]
    if not kept:
        raise SettingsError(
            f"no rater recognised the hidden reference ({counted(len(excluded), 'rater')}); "
            "nothing is left to analyse"
        )
    rng = np.random.default_rng(seed)
    raters = list(dict.fromkeys(answer.rater for answer in answers))
    return {
        "kind": "listening",
        "study": study.id,
        "title": study.settings.title,
        "mode": study.settings.mode,
        "settings": asdict(study.settings),
        "systems": list(study.systems),
        "reference": study.reference,
        "stems": list(study.stems),
        "questions": list(study.question_names),
        "raters": len(raters),
        "raters_kept": len(raters) - len(excluded),
        "answers": len(answers),
        "answers_kept": len(kept),
        "exclusion_rule": exclusion_rule(study.settings.mode),
        "excluded": excluded,
        "means": _means(study, kept, rng),
        "agreement": _agreement(study, kept),
        "pairs": [asdict(pair) for pair in _pairs(study, kept, rng)],
    }


def _failing(study: Study, reference: Sequence[float], others: Sequence[float]) -> str | None:
    if not reference:
        return None
    if study.settings.mode == "mushra":
        low = sum(value < MUSHRA_REFERENCE for value in reference)
        if low > MUSHRA_LOW_SHARE * len(reference):
            return f"hidden reference below {MUSHRA_REFERENCE} in {low} of {len(reference)}"
        return None
    low = sum(value <= 2 for value in reference)
    if low > LIKERT_LOW_SHARE * len(reference):
        return f"hidden reference at 1 or 2 in {low} of {counted(len(reference), 'answer')}"
    if others and np.mean(reference) <= np.mean(others):
        return (
            f"hidden reference rated {np.mean(reference):.2f} on average, "
            f"all others {np.mean(others):.2f}"
        )
    return None


def _means(
    study: Study, answers: Sequence[Answer], rng: np.random.Generator
) -> dict[str, dict[str, dict[str, Any]]]:
    """question -> system -> stem, and `ALL`, the mean of the stems -> interval."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for question in study.question_names:
        rows = [(a.rater, (a.system, a.stem), a.value) for a in answers if a.question == question]
        bootstrap = RaterBootstrap(rows, rng)
        table[question] = {
            system: {
                ALL: _plain(bootstrap.mean_of([(system, stem) for stem in study.stems])),
                **{stem: _plain(bootstrap.mean_of([(system, stem)])) for stem in study.stems},
            }
            for system in study.systems
        }
    return table


def _agreement(study: Study, answers: Sequence[Answer]) -> dict[str, Any]:
    """question -> Krippendorff's alpha, and how many sounds more than one rater heard."""
    found = {}
    for question in study.question_names:
        units = grouped((a.sound, a.value) for a in answers if a.question == question)
        found[question] = {
            "alpha": krippendorff_alpha(units),
            "sounds_rated_twice": sum(len(values) > 1 for values in units.values()),
        }
    return found


def _pairs(study: Study, answers: Sequence[Answer], rng: np.random.Generator) -> list[Pair]:
    found = []
    for question in study.question_names:
        means = _rater_means(answers, question)
        for one, other in combinations(study.systems, 2):
            raters = sorted(means.get(one, {}).keys() & means.get(other, {}).keys())
            if not raters:
                continue
            differences = [means[one][rater] - means[other][rater] for rater in raters]
            mean = float(np.mean(differences))
            if mean < 0:
                one, other, differences = other, one, [-d for d in differences]
            bootstrap = RaterBootstrap(
                [(r, "", d) for r, d in zip(raters, differences, strict=True)], rng
            )
            interval = bootstrap.mean_of([""])
            p, _ = wilcoxon_signed_rank(differences)
            low, high = (interval.low, interval.high) if interval else (None, None)
            found.append(Pair(question, one, other, abs(mean), low, high, len(raters), p, p))
    corrected = holm([pair.p for pair in found])
    return [Pair(**{**asdict(pair), "p_holm": p}) for pair, p in zip(found, corrected, strict=True)]


def _rater_means(answers: Sequence[Answer], question: str) -> Mapping[str, Mapping[str, float]]:
    """system -> rater -> mean rating."""
    groups = grouped(((a.system, a.rater), a.value) for a in answers if a.question == question)
    means: dict[str, dict[str, float]] = {}
    for (system, rater), values in groups.items():
        means.setdefault(system, {})[rater] = float(np.mean(values))
    return means


def _plain(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else asdict(interval)
