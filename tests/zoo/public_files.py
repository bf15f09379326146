"""Writes public files byte by byte, honest and otherwise, without the code that usually does.

A pickle is put together from fragments: each leaves one value on the stack.
"""

from __future__ import annotations

import functools
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from unbraid.engines.torch.official import from_official, to_official_state

KWARGS = {"channels": 4, "depth": 2, "dconv_comp": 2, "samplerate": 8000, "segment": 1}
SOURCES = ["drums", "bass", "other", "vocals"]


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def plain(value: object) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def name(module: str, what: str) -> bytes:
    return f"c{module}\n{what}\n".encode()


def table(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


ORDERED = name("collections", "OrderedDict") + b")R"


def storage(key: str, count: int, kind: str = "HalfStorage") -> bytes:
    return (
        b"("
        + text("storage")
        + name("torch", kind)
        + text(key)
        + text("cpu")
        + plain(count)
        + b"tQ"
    )


def tensor(
    source: bytes, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0,
    hooks: bytes = ORDERED,
) -> bytes:  # fmt: skip
    inner = source + plain(offset) + plain(size) + plain(stride) + b"\x89" + hooks
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + inner + b"tR"


def honest_model() -> torch.nn.Module:
    torch.manual_seed(3)
    return from_official("Demucs", {**KWARGS, "sources": SOURCES})


HYBRID_KWARGS = {"channels": 8, "samplerate": 8000, "segment": 1}


def write_hybrid_th(path: Path) -> tuple[Path, torch.nn.Module]:
    """A package of an HDemucs, and the model in it."""
    torch.manual_seed(4)
    model = from_official("HDemucs", {**HYBRID_KWARGS, "sources": SOURCES})
    weights = {key: value.half() for key, value in to_official_state(model).items()}
    state = {
        key: tensor(storage(str(index), value.numel()), tuple(value.shape), value.stride())
        for index, (key, value) in enumerate(weights.items())
    }
    fragments = {
        "klass": name("demucs.hdemucs", "HDemucs"),
        "args": plain((SOURCES,)),
        "kwargs": plain(HYBRID_KWARGS),
        "state": table(state),
    }
    entries = {f"data/{n}": value.numpy().tobytes() for n, value in enumerate(weights.values())}
    return write_zip(path, pickled(fragments), entries), model.half().float()


@functools.cache
def honest_state() -> Mapping[str, Tensor]:
    """Its weights as they are stored; made once, so nobody changes them."""
    return {key: value.half() for key, value in to_official_state(honest_model()).items()}


def parts(**changes: bytes) -> dict[str, bytes]:
    """The fragments of an honest package, with some in place of others."""
    state = {}
    for index, (key, value) in enumerate(honest_state().items()):
        state[key] = tensor(storage(str(index), value.numel()), tuple(value.shape), value.stride())
    honest = {
        "klass": name("demucs.demucs", "Demucs"),
        "args": plain((SOURCES,)),
        "kwargs": plain(KWARGS),
        "state": table(state),
        "training_args": plain({"seed": 42}),
    }
    return {**honest, **changes}


def pickled(fragments: Mapping[str, bytes]) -> bytes:
    return b"\x80\x02" + table(fragments) + b"."


def storages() -> dict[str, bytes]:
    return {
        f"data/{index}": value.numpy().tobytes()
        for index, value in enumerate(honest_state().values())
    }


def write_zip(
    path: Path, data: bytes, entries: Mapping[str, bytes] | None = None, *,
    compression: int = zipfile.ZIP_STORED, folder: str = "archive",
) -> Path:  # fmt: skip
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(f"{folder}/data.pkl", data)
        for entry, content in (storages() if entries is None else entries).items():
            file.writestr(f"{folder}/{entry}", content)
    return path


def write_th(path: Path, **changes: bytes) -> Path:
    """A package, honest but for the changed fragments."""
    return write_zip(path, pickled(parts(**changes)))


def write_pickle(path: Path, fragment: bytes) -> Path:
    """A package whose training arguments, which nobody looks at, are `fragment`."""
    return write_th(path, training_args=fragment)
