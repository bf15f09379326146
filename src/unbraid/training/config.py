"""The recipe of a training run: frozen dataclasses, which `tables.py` fills from TOML.

A recipe file lists only its differences from its base (`base = "hybrid"`). The last base is
`recipes/base.toml`, which has every key with its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from unbraid.data.augment import AugmentSettings
from unbraid.data.excerpt_places import ExcerptSettings
from unbraid.data.repitch import RepitchSettings
from unbraid.errors import ModelError, SettingsError
from unbraid.models.registry import (
    Member,
    is_composite,
    make_config,
    plain_config,
    replace_settings,
)
from unbraid.separation.settings import SeparationSettings
from unbraid.zoo.header import mend_v1

SHARED = ("stems", "segment_s")
"""Settings that a recipe may give to all members of a model made of models."""


@dataclass(frozen=True)
class ModelRecipe:
    """The model to train.

    Attributes:
        architecture: a name in `models.registry`.
        settings: fields of its config that differ from the paper's, stems among them.
    """

    architecture: str = "hybrid_demucs"
    settings: Mapping[str, Any] = field(default_factory=lambda: {"segment_s": 44.0})


@dataclass(frozen=True)
class StartRecipe:
    """The initial weights.

    Attributes:
        model: name or path of a model to start from; "" for new weights.
        widen: if that model is narrower than the recipe's, make it as wide first, with the same
            estimates; the width must be a multiple of the model's (see `training.widen`).
        output_scale: factor of the new weights of the last layers; below 1 the first estimates are
            near silence, and their bias is 0.
    """

    model: str = ""
    widen: bool = False
    output_scale: float = 1.0


@dataclass(frozen=True)
class DataRecipe:
    """How data is loaded.

    Attributes:
        train_valid: train on the validation tracks too; every epoch is then the best so far.
        workers: processes that prepare data; -1 for one per core, 8 at most; 0 for none.
        cache_gb: how much decoded audio may be kept on disk, 0 for none.
        missing: whether a stem that a track lacks is an error or silence.
        resident: keep all training samples in the memory of the device, and cut excerpts there:
            a fast GPU need not wait for files.
    """

    train_valid: bool = False
    missing: Literal["error", "silence"] = "error"
    workers: int = -1
    cache_gb: float = 50.0
    resident: bool = False


@dataclass(frozen=True)
class LossRecipe:
    """The loss.

    Attributes:
        kind: "l1" or "mse" on waveforms; "relative": amplitude of the error over that of the
            mixture, which does not depend on loudness; "log": its power in tens of decibels, as
            nSDR counts, for models that share out the mixture by masks; "magnitude" or "spectrum":
            mean squared error of magnitudes, or of complex values, of the STFT.
        n_fft, hop: of that STFT.
        domain: "waves", or "bands" for models whose masks are over bands of a spectrogram: the
            error of the masks in those bands, without inverse transforms, which is faster. It takes
            "relative" and "log", and computes without `run.compile`.
        combine: take the loss on all sums of stems, too.
        angle: weight of the loss on the angle between waveforms (weighted SDR), which is added.
        weights: of the stems, by name; 1 for those left out.
        spectral: weight of the loss on magnitudes at several resolutions (with "bands": on
            amplitudes of the errors in each band), which is added in training (validation by
            "loss" stays with `kind` on waveforms); 0 for none.
    """

    kind: Literal["l1", "mse", "relative", "log", "magnitude", "spectrum"] = "l1"
    n_fft: int = 4096
    hop: int = 1024
    domain: Literal["waves", "bands"] = "waves"
    combine: bool = False
    angle: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    spectral: float = 0.0


@dataclass(frozen=True)
class OptimizerRecipe:
    """The optimizer.

    Attributes:
        kind: Adam, or AdamW, which keeps weight decay separate from the gradient.
        lr, beta1, beta2, eps, weight_decay: as in torch.
        batch_size: excerpts in one step, all processes together.
        accumulate: parts of a step that each process computes one after the other.
        clip_norm: greatest norm of the gradient, 0 for no limit.
        warmup_steps: steps over which the learning rate rises from 0.
        final_lr: its share at the end of the run, reached along a cosine.
    """

    kind: Literal["adam", "adamw"] = "adam"
    lr: float = 3e-4
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    batch_size: int = 64
    accumulate: int = 1
    clip_norm: float = 0.0
    warmup_steps: int = 0
    final_lr: float = 1.0


@dataclass(frozen=True)
class SvdRecipe:
    """The penalty on singular values; see `training.svd`.

    Attributes:
        weight: factor of the penalty, 0 for none.
        method: "low_rank" (randomized), "power" (iteration) or "exact".
        min_size_mb: least size of a weight that counts, in MB of float32.
        rank, iterations: of the first two methods; for "power" `rank` random starts.
        swap_transposed: rows of transposed convolutions are their outputs.
        convolutions_only: only weights with three or four dimensions.
        probability: of a step to compute it at all; it then counts 1 / probability times.
    """

    weight: float = 0.0
    method: Literal["low_rank", "power", "exact"] = "low_rank"
    min_size_mb: float = 0.1
    rank: int = 1
    iterations: int = 2
    swap_transposed: bool = False
    convolutions_only: bool = False
    probability: float = 1.0


@dataclass(frozen=True)
class EmaRecipe:
    """Moving averages of the weights: decays of those taken every step, and every epoch."""

    batch: tuple[float, ...] = (0.9995, 0.9999)
    epoch: tuple[float, ...] = (0.9, 0.95)


@dataclass(frozen=True)
class ValidationRecipe:
    """How candidates are compared, on whole tracks.

    Attributes:
        every: epochs from one validation to the next; the last epoch always has one.
        metric: "loss" (lower is better) or "nsdr" (higher is).
        overlap, shifts: of the separation.
        segment_s: of the separation; 0 for the model's own.
        longest_s: seconds that count from the start of each track; 0 for all of it.
        samples: tracks that the report and TensorBoard show and play.
    """

    every: int = 1
    metric: Literal["loss", "nsdr"] = "loss"
    overlap: float = 0.0
    shifts: int = 1
    segment_s: float = 0.0
    longest_s: float = 0.0
    samples: int = 1

    @property
    def separation(self) -> SeparationSettings:
        """How tracks are separated."""
        return SeparationSettings(
            segment_s=self.segment_s or None, overlap=self.overlap, shifts=self.shifts
        )


@dataclass(frozen=True)
class GuardRecipe:
    """When a step is refused, and when the run stops; see `training.guard`.

    Attributes:
        factor: a loss this many times above the median of the last `window` has exploded.
        window: steps the median is taken over.
        repeats: times in a row that the run returns to its last state before it stops.
    """

    factor: float = 20.0
    window: int = 50
    repeats: int = 5


@dataclass(frozen=True)
class RunRecipe:
    """How training is computed, saved and logged; values change results only by rounding.

    Attributes:
        precision: "fp32"; "tf32", and "bf16" or "fp16" for autocast, which are faster on a GPU.
        compile: compile the model first.
        cudnn_benchmark: on CUDA, first try which of its algorithms is fastest for each layer.
        recompute: keep less for the backward pass and compute it again: less memory, more time.
        save_steps, save_minutes: from one saved state to the next, besides the ends of epochs;
            0 for never.
        log_steps: from one line of the log to the next.
    """

    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    cudnn_benchmark: bool = False
    recompute: bool = False
    save_steps: int = 0
    save_minutes: float = 10.0
    log_steps: int = 10


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a run, except the data.

    Attributes:
        description: one line for people.
        seed: of weights, order, excerpts and augmentation.
        epochs: passes over the training excerpts.
        model ... run: one table of the file each. `excerpts`, `augment` and `repitch` are those of
            `unbraid.data`.
    """

    description: str = ""
    seed: int = 42
    epochs: int = 360
    model: ModelRecipe = field(default_factory=ModelRecipe)
    start: StartRecipe = field(default_factory=StartRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    excerpts: ExcerptSettings = field(default_factory=ExcerptSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    repitch: RepitchSettings = field(default_factory=RepitchSettings)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    svd: SvdRecipe = field(default_factory=SvdRecipe)
    ema: EmaRecipe = field(default_factory=EmaRecipe)
    validation: ValidationRecipe = field(default_factory=ValidationRecipe)
    guard: GuardRecipe = field(default_factory=GuardRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)


def model_member(recipe: Recipe) -> Member:
    """Architecture and config of the recipe's model, checked.

    `ratio_masks = true` among the settings of a network adds ratio masks to it, and the
    architecture "two_rate_demucs" is short for two networks of Hybrid Demucs.

    Raises:
        SettingsError: if the config is invalid.
    """
    settings, shared = dict(recipe.model.settings), {}
    if is_composite(recipe.model.architecture):
        shared = {key: settings.pop(key) for key in SHARED if key in settings}
    try:
        architecture, plain, _ = mend_v1(recipe.model.architecture, settings)
        config = make_config(architecture, plain)
        if shared:
            lists = {k: tuple(v) if isinstance(v, list) else v for k, v in shared.items()}
            config = replace_settings(config, **lists)
    except (ModelError, SettingsError) as error:
        raise SettingsError(f"model: {error}") from error
    return Member(architecture, config)


def model_recipe(member: Member) -> ModelRecipe:
    """What makes `member`, as a recipe says it."""
    inner = member.config.members.get("model") if member.architecture == "ratio_masks" else None
    if inner is not None and not is_composite(inner.architecture):
        settings = {**plain_config(inner.config), "ratio_masks": True}
        return ModelRecipe(inner.architecture, _lists(settings))
    return ModelRecipe(member.architecture, _lists(plain_config(member.config)))


def in_full(recipe: Recipe) -> Recipe:
    """The same recipe with every setting of its model, the architecture's defaults too."""
    return replace(recipe, model=model_recipe(model_member(recipe)))


def _lists(value: Any) -> Any:
    """Plain values in the form of TOML."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value
