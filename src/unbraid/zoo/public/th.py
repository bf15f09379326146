"""Files of `torch.save`: public packages (class, arguments, weights), or weights alone."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from unbraid.errors import CheckpointError
from unbraid.zoo.hashes import check_named_hash
from unbraid.zoo.public.package import (
    CLASS_PATHS,
    PublicModel,
    class_of,
)
from unbraid.zoo.public.pickles import Maker, PlainDict
from unbraid.zoo.public.torch_legacy import LEGACY_START, read_torch_legacy
from unbraid.zoo.public.torch_zip import read_torch_zip

_V1_CLASSES = ("demucs.model.Demucs", "demucs.tasnet.ConvTasNet")
"""Classes named in files of Demucs v1; `systems.py` reads their weights."""
_LEFT_OUT = (
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "argparse.Namespace",
    "torch.torch_version.TorchVersion",
)
"""What Lightning keeps arguments in, and asteroid the version of torch: not needed here."""
_LIGHTNING_CLASSES = (
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
)
"""Classes that checkpoints of older versions of Lightning name, as keys."""


def read_torch_file(path: Path) -> Any:
    """The contents of the file at `path` as plain data; weights are read later.

    Raises:
        CheckpointError: if the file is damaged, altered, or names anything except tensors, plain
            data and the known classes.
    """
    with path.open("rb") as file:
        is_legacy = file.read(len(LEGACY_START)) == LEGACY_START
    check_named_hash(path)
    return (read_torch_legacy if is_legacy else read_torch_zip)(path, _names())


def read_th(path: Path) -> PublicModel:
    """The public model in the package at `path`; weights are read later.

    Raises:
        CheckpointError: as `read_torch_file` and `package_of`.
    """
    return package_of(path, read_torch_file(path))


def is_package(content: Any) -> bool:
    """Whether a file's content names its class and so needs no settings file."""
    return isinstance(content, dict) and not content.keys().isdisjoint(("klass", "kwargs"))


def package_of(path: Path, package: Any) -> PublicModel:
    """The public model in the contents of the file at `path`.

    Raises:
        CheckpointError: if it lacks class, arguments or weights, or has an unknown class.
    """
    try:
        if not isinstance(package, dict):
            raise CheckpointError(f"a {type(package).__name__}, not a package of a model")
        klass, args, kwargs = (package.get(key) for key in ("klass", "args", "kwargs"))
        state = package.get("state")
        if not isinstance(klass, Maker):
            raise CheckpointError("not a package of a model: it names no class")
        if not isinstance(args, (tuple, list)) or not isinstance(kwargs, dict):
            raise CheckpointError("not a package of a model: it has no arguments")
        if not isinstance(state, dict):
            raise CheckpointError("not a package of a model: it has no weights")
        name = class_of(klass.name)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return PublicModel(path, name, tuple(args), kwargs, state, package.get("training_args"))


def _names() -> dict[str, Maker]:
    """The names allowed in a package, besides those of tensors."""
    classes = [*CLASS_PATHS, *_V1_CLASSES, "diffq.diffq.DiffQuantizer"]
    named = {" ".join(path.rsplit(".", 1)): Maker(path) for path in classes}
    # Scores stored with the weights may be NumPy numbers; their values are not needed here.
    for module in ("numpy.core.multiarray scalar", "numpy._core.multiarray scalar"):
        named[module] = Maker("a number of NumPy", _nothing)
    named["numpy dtype"] = Maker("numpy.dtype", _nothing)
    named["_codecs encode"] = Maker("_codecs.encode", _bytes)
    for path in _LEFT_OUT:
        named[" ".join(path.rsplit(".", 1))] = Maker(path, _left_out, is_class=True)
    for path in _LIGHTNING_CLASSES:
        named[" ".join(path.rsplit(".", 1))] = Maker(path)
    named["fractions Fraction"] = Maker("fractions.Fraction", _fraction)
    named["torch Size"] = Maker("torch.Size", _size)
    return named


def _nothing(*arguments: Any) -> None:
    """Placeholder for a value that is not kept."""


def _bytes(text: Any, coding: Any = None) -> bytes | None:
    """Bytes that an old protocol wrote as text; a value that is not needed in other codings."""
    if type(text) is not str or coding != "latin1":
        return None
    return text.encode("latin-1")


def _left_out(*arguments: Any) -> PlainDict:
    """The same for a value whose state may be set, and items added, later."""
    return PlainDict()


def _fraction(numerator: Any, denominator: Any = 1) -> Fraction:
    if type(numerator) is str and re.fullmatch(r"-?\d{1,18}(/\d{1,18})?", numerator):
        return Fraction(numerator)
    if type(numerator) is int and type(denominator) is int and denominator:
        return Fraction(numerator, denominator)
    raise CheckpointError("not a fraction")


def _size(sizes: Any) -> tuple[Any, ...]:
    if type(sizes) is not tuple:
        raise CheckpointError("not a size")
    return sizes
