"""One optimizer step: gradients, checks, an update of the weights and their averages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unbraid.errors import SettingsError, TrainingError
from unbraid.models.network import Network
from unbraid.shapes import Sources
from unbraid.training import svd
from unbraid.training.config import OptimizerRecipe, Recipe, RunRecipe, model_member
from unbraid.training.distributed import Team
from unbraid.training.domain_losses import training_losses
from unbraid.training.feed import Batch, Feed
from unbraid.training.losses import band_losses, spectral_losses, stem_weights, weighted_loss
from unbraid.training.state import RunState

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_LEAST_SCALE = 2.0**-10


@dataclass(frozen=True)
class StepResult:
    """The results of a step.

    Attributes:
        loss: of the whole batch, penalties left out.
        stems: loss of each stem, in the model's order.
        penalty: the singular-value penalty before its weight.
        gradient_norm: before clipping; NaN or Inf if fp16 could not hold the gradient.
        trouble: why the step was not made; None if it was.
        stop: whether a process of the team was asked to stop.
    """

    loss: float
    stems: tuple[float, ...]
    penalty: float
    gradient_norm: float
    trouble: str | None
    stop: bool


class Stepper:
    """Makes steps.

    Args:
        model: the model to call, perhaps compiled; it shares its weights with `state.model`.
        total_steps: of the whole run, over which the learning rate falls.
    """

    def __init__(
        self, model: nn.Module, recipe: Recipe, team: Team, feed: Feed, state: RunState,
        stems: Iterable[str], total_steps: int,
    ) -> None:  # fmt: skip
        self._model, self._recipe, self._team, self._feed = model, recipe, team, feed
        self._state, self._total_steps = state, total_steps
        self._weights = stem_weights(recipe.loss, tuple(stems)).to(team.device)

    def make(self, batch: Batch, stop_asked: bool = False) -> StepResult:
        """One step on this process's share of a batch; together with all processes of the team."""
        state, recipe = self._state, self._recipe.optimizer
        state.model.train()
        losses, penalty = self._gradients(batch.sources)
        sums = torch.cat([losses, losses.new_tensor([float(stop_asked)])])
        *stems, stop = self._team.mean(sums).tolist()
        loss = float(weighted_loss(torch.tensor(stems), self._weights.cpu()))

        state.scaler.unscale_(state.optimizer)
        norm = float(
            nn.utils.clip_grad_norm_(state.model.parameters(), recipe.clip_norm or math.inf)
        )
        trouble = state.guard.trouble(loss, None if self._scaler_settles() else norm)
        result = StepResult(loss, tuple(stems), penalty, norm, trouble, stop > 0)
        if trouble is not None:
            state.scaler.update()  # it has seen the gradient, and must forget it
            return result
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, state.position.step, self._total_steps)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.guard.accept(loss)
        self._advance()
        return result

    def _advance(self) -> None:
        state, position = self._state, self._state.position
        position.step += 1
        position.batch += 1
        for average in state.step_averages.values():
            average.update(state.model)
        if position.batch == self._feed.batches_per_epoch:
            for average in state.epoch_averages.values():
                average.update(state.model)

    def _gradients(self, sources: Sources) -> tuple[Tensor, float]:
        """Leave the team's mean gradient in the parameters; losses by stem, and the penalty."""
        state, parts = self._state, self._recipe.optimizer.accumulate
        state.optimizer.zero_grad(set_to_none=True)
        sources = sources.to(self._team.device, non_blocking=True)
        step, attempt = state.position.step, state.guard.attempt
        augmented = self._feed.augmented(sources, step, attempt)
        losses = torch.zeros_like(self._weights)
        for part in torch.chunk(augmented, parts):
            part_losses = self._losses(part)
            loss = weighted_loss(part_losses, self._weights) / parts
            state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            losses = losses + part_losses.detach() / parts
        penalty = self._add_penalty()
        self._team.mean_gradients(state.model)
        return losses, penalty

    def _losses(self, sources: Sources) -> Tensor:
        """The loss of each stem on augmented sources."""
        recipe, precision = self._recipe.loss, autocast(self._recipe.run, self._team.device)
        if recipe.domain == "bands":
            with precision:
                errors = _network(self._state.model).band_errors(sources)
            return band_losses(errors, recipe.kind, recipe.spectral)
        with precision, compiling():
            estimates = self._model(sources.sum(1))
        estimates = estimates.float()
        losses = training_losses(estimates, sources, recipe)
        if recipe.spectral:
            losses = losses + recipe.spectral * spectral_losses(estimates, sources)
        return losses

    def _add_penalty(self) -> float:
        recipe, state = self._recipe.svd, self._state
        if not recipe.weight:
            return 0.0
        penalty = svd.penalty(state.model, recipe, state.position.step)
        if penalty.requires_grad:
            state.scaler.scale(recipe.weight * penalty).backward()  # type: ignore[no-untyped-call]
        return float(penalty.detach())

    def _scaler_settles(self) -> bool:
        """With fp16 a gradient may overflow: the scaler then skips the step and halves itself."""
        scaler = self._state.scaler
        return bool(scaler.is_enabled()) and scaler.get_scale() > _LEAST_SCALE


def check_domain(model: nn.Module, recipe: Recipe) -> None:
    """Raise `ModelError` if the loss is in bands and the model has no masks over bands."""
    if recipe.loss.domain == "bands":
        spec = model_member(recipe).config.spec
        model.eval()  # so that the statistics of batch normalization stay as they are
        with torch.no_grad():
            _network(model).band_errors(torch.zeros(1, len(spec.stems), spec.channels, 1))


def _network(model: nn.Module) -> Network:
    assert isinstance(model, Network)
    return model


def make_optimizer(model: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """Adam, or AdamW."""
    kind = torch.optim.AdamW if recipe.kind == "adamw" else torch.optim.Adam
    return kind(
        model.parameters(),
        lr=recipe.lr,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.eps,
        weight_decay=recipe.weight_decay,
    )


def learning_rate(recipe: OptimizerRecipe, step: int, total_steps: int) -> float:
    """The learning rate of a step: up over the warm-up, then down along a cosine to `final_lr`.

    >>> learning_rate(OptimizerRecipe(lr=1.0), 5, 10)
    1.0
    >>> learning_rate(OptimizerRecipe(lr=1.0, warmup_steps=4, final_lr=0.0), 0, 10)
    0.25
    """
    rise = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    done = min(1.0, step / total_steps) if total_steps else 0.0
    fall = recipe.final_lr + (1 - recipe.final_lr) * (1 + math.cos(math.pi * done)) / 2
    return recipe.lr * rise * fall


def autocast(recipe: RunRecipe, device: str) -> AbstractContextManager[object]:
    """The precision of the forward pass."""
    kind = device.partition(":")[0]
    dtype = _AUTOCAST.get(recipe.precision)
    return torch.autocast(kind, dtype=dtype) if dtype is not None else nullcontext()


@contextmanager
def compiling() -> Iterator[None]:
    """Turn errors of torch's compiler into one line that says what to do.

    Raises:
        TrainingError: instead of the error of torch's compiler.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            name = type(error).__name__
            raise TrainingError(
                f"torch cannot compile the model on this machine ({name}); set run.compile=false"
            ) from error
        raise


def make_scaler(recipe: RunRecipe, device: str) -> torch.amp.GradScaler:
    """A loss scaler for fp16; for other precisions it does nothing."""
    kind = device.partition(":")[0]
    return torch.amp.GradScaler(kind, enabled=recipe.precision == "fp16")


def set_precision(recipe: RunRecipe, device: str) -> None:
    """Set how this process computes float32.

    Raises:
        SettingsError: if the device does not compute in the recipe's precision.
    """
    if recipe.precision == "fp16" and device == "cpu":
        raise SettingsError("the CPU does not compute in fp16; set run.precision to fp32 or bf16")
    short = recipe.precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = short
    torch.backends.cudnn.allow_tf32 = short
    torch.backends.cudnn.benchmark = recipe.cudnn_benchmark
