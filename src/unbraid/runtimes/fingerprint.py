"""By what a model is known: a digest of what it is and holds, the same whatever runs it."""

from __future__ import annotations

import hashlib

from unbraid.models.bag import Bag
from unbraid.models.base import SeparationModel
from unbraid.runtimes.arrays import is_module


def fingerprint(model: SeparationModel) -> str:
    """Digest of a model's class, spec and weights, as hex.

    A model may bring its own in an attribute `fingerprint`: one that runs straight from a file has
    the file's hash, whatever runs it.
    """
    own = getattr(model, "fingerprint", None)
    if isinstance(own, str):
        return own
    digest = hashlib.sha256(f"{type(model).__qualname__} {model.spec}".encode())
    if isinstance(model, Bag):
        digest.update(repr((model.weights, model.segments)).encode())
        for index in range(len(model)):
            digest.update(fingerprint(model.member(index)).encode())
    elif is_module(model):
        import torch

        for name, tensor in model.state_dict().items():  # type: ignore[attr-defined]
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            flat = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
            digest.update(flat.numpy().data)
    return digest.hexdigest()
