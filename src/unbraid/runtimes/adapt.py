"""A model made ready to run: in which precision, in which form, how much at once."""

from __future__ import annotations

from collections.abc import Sequence

from unbraid.models.bag import Bag
from unbraid.models.base import SeparationModel, takes_arrays


def adapt(
    model: SeparationModel, device: str, precision: str = "auto", *, one_by_one: bool = False
) -> SeparationModel:
    """The same model, computing in `precision`; on the CPU in its inference form, if it has one.

    A model of arrays stays as it is: it was made for this device and precision, and takes the items
    of a batch one after the other anyway.

    Args:
        model: a model or a `Bag`, already on `device`.
        precision: "auto": float32 as torch computes it by default (on CUDA its convolutions may use
            TF32); "fp32": float32 throughout; "bf16", "fp16": autocast to it.
        one_by_one: pass the items of a batch through the model one after the other, so that a
            source with many channels takes no more memory than one with two.
    """
    if takes_arrays(model):
        return model
    plain = precision == "auto" or (precision == "fp32" and not device.startswith("cuda"))
    if plain and not one_by_one and device != "cpu":
        return model
    if isinstance(model, Bag):
        members = _Adapted(model, device, precision, one_by_one)
        return Bag(members, model.weights, segment_samples=None, spec=model.specs)
    from unbraid.runtimes.torch_runtime import adapt_module

    return adapt_module(model, device, "auto" if plain else precision, one_by_one)


class _Adapted(Sequence[SeparationModel]):
    """The members of a bag, each adapted when it is fetched."""

    def __init__(self, bag: Bag, device: str, precision: str, one_by_one: bool) -> None:
        self._bag = bag
        self._how = (device, precision, one_by_one)

    def __len__(self) -> int:
        return len(self._bag)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        device, precision, one_by_one = self._how
        return adapt(self._bag.member(index), device, precision, one_by_one=one_by_one)
