"""Files that try everything: all refused, none executes anything, and honest ones still load."""

from __future__ import annotations

import copyreg
import json
import pickle
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unbraid.engines.load import load_model
from unbraid.errors import CheckpointError
from unbraid.zoo.checkpoint import save_checkpoint
from zoo.public_files import (
    KWARGS,
    ORDERED,
    SOURCES,
    honest_model,
    honest_state,
    name,
    parts,
    pickled,
    plain,
    storage,
    storages,
    table,
    tensor,
    text,
    write_pickle,
    write_th,
    write_zip,
)

CANARY = "canary"
Writer = Callable[[Path], Path]


def call(module: str, what: str, *arguments: object) -> bytes:
    """What `__reduce__` leaves in a pickle: a name, arguments, and the order to call."""
    return name(module, what) + plain(arguments) + b"R"


def touch() -> str:
    return f"touch {CANARY}"


def code() -> str:
    return f"open({CANARY!r}, 'w').close()"


def bomb(levels: int = 40) -> list[object]:
    """Few bytes, 2 ** levels items."""
    value: list[object] = ["x"]
    for _ in range(levels):
        value = [value, value]
    return value


# --- pickles: each fragment stands where the training arguments are

PICKLES: dict[str, bytes] = {
    "os.system": call("os", "system", touch()),
    "posix.system": call("posix", "system", touch()),
    "nt.system": call("nt", "system", touch()),
    "eval": call("builtins", "eval", code()),
    "exec": call("builtins", "exec", code()),
    "eval of python 2": call("__builtin__", "eval", code()),
    "open": call("builtins", "open", CANARY, "w"),
    "getattr": call("builtins", "getattr", "x", "upper"),
    "import": call("builtins", "__import__", "antigravity"),
    "import_module": call("importlib", "import_module", "antigravity"),
    "Popen": call("subprocess", "Popen", ["touch", CANARY]),
    "check_output": call("subprocess", "check_output", ["touch", CANARY]),
    "pty.spawn": call("pty", "spawn", ["touch", CANARY]),
    "runpy": call("runpy", "run_path", CANARY),
    "code of types": call("types", "FunctionType"),
    "pickle.loads": call("pickle", "loads", pickle.dumps(1)),
    "torch.load": call("torch.serialization", "load", CANARY),
    "load from bytes": call("torch.storage", "_load_from_bytes", b"x"),
    "torch.hub": call("torch.hub", "load", "a/b", "c"),
    "torch.jit": call("torch.jit", "load", CANARY),
    "torch compile": call("torch._inductor.codecache", "PyCodeCache", "x"),
    "numpy load": call("numpy", "load", CANARY),
    "operator": call("operator", "attrgetter", "system"),
    "functools.partial": call("functools", "partial", "x"),
    "a class of ours": call("unbraid.models.demucs.network", "Demucs"),
    "dotted name": name("demucs.demucs", "Demucs.__init__"),
    "stack global": b"\x8c\x02os\x8c\x06system\x93" + plain((touch(),)) + b"R",
    "stack global of no text": b"K\x01K\x02\x93",
    "inst": b"(" + text(touch()) + b"ios\nsystem\n",
    "obj": b"(" + name("os", "system") + text(touch()) + b"o",
    "newobj": name("collections", "OrderedDict") + b")\x81",
    "newobj_ex": name("collections", "OrderedDict") + b")}\x92",
    "extension code": b"\x82\xf0" + plain((touch(),)) + b"R",
    "extension code of 2 bytes": b"\x83\xf0\x00" + plain((touch(),)) + b"R",
    "extension code of 4 bytes": b"\x84\xf0\x00\x00\x00" + plain((touch(),)) + b"R",
    "build a class": name("demucs.demucs", "Demucs") + plain({"forward": 1}) + b"b",
    "build a list": b"]" + plain({"append": 1}) + b"b",
    "build a storage": storage("0", 256) + plain({"key": "../x"}) + b"b",
    "call a class": name("demucs.demucs", "Demucs") + plain((SOURCES,)) + b"R",
    "call a storage": name("torch", "FloatStorage") + plain((10**12,)) + b"R",
    "call a text": text("os.system") + plain((touch(),)) + b"R",
    "call with no tuple": name("collections", "OrderedDict") + b"]R",
    "text persistent id": b"P0\n",
    "persistent id of no storage": plain(("module", "os", "system")) + b"Q",
    "nested persistent id": storage("0", 256) + b"Q",
    "persistent id with a function": b"(" + text("storage") + name("os", "system") + b"tQ",
    "storage with a path": storage("../../etc/passwd", 1),
    "storage of unknown type": storage("0", 1, "ComplexFloatStorage"),
    "storage of a class": storage("0", 1, "nn.Module"),
    "text of 2^62 letters": b"\x8d" + struct.pack("<Q", 2**62) + b"x",
    "bytes of 2^62": b"\x8e" + struct.pack("<Q", 2**62) + b"x",
    "bytearray of 2^62": b"\x96" + struct.pack("<Q", 2**62) + b"x",
    "text of 2^32 letters": b"X" + struct.pack("<I", 2**32 - 1) + b"x",
    "long of 2^31 bytes": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x",
    "text number": b"L1" + b"0" * 5000 + b"L\n",
    "out of band buffer": b"\x97",
    "memo that is not there": b"j\xff\xff\xff\xff",
    "mark that is not there": b"tttt",
    "empty stack": b"00000000000000000000",
    "protocol 255": b"\x80\xff",
    "unknown instruction": b"\xff",
    "unhashable key": b"}(]K\x01u",
    "mutable key": b"}(" + ORDERED + b"K\x01u",
    "append to a tuple": b")K\x01a",
    "endless fraction": call("fractions", "Fraction", "1e999999999"),
    "fraction by zero": call("fractions", "Fraction", 1, 0),
    "fraction of nothing": call("fractions", "Fraction", bomb(10)),
}

# --- tensors that are none

TENSORS: dict[str, bytes] = {
    "larger than its storage": tensor(storage("0", 256), (257,), (1,)),
    "storage larger than the file has": tensor(storage("0", 2**40), (2**40,), (1,)),
    "storage smaller than the file has": tensor(storage("0", 8), (8,), (1,)),
    "negative storage": tensor(storage("0", -256), (1,), (1,)),
    "negative size": tensor(storage("0", 256), (-1,), (1,)),
    "negative stride": tensor(storage("0", 256), (2,), (-1,)),
    "negative offset": tensor(storage("0", 256), (2,), (1,), -2),
    "offset beyond the end": tensor(storage("0", 256), (2,), (1,), 255),
    "one value repeated 2^40 times": tensor(storage("0", 256), (2**40,), (0,)),
    "strides that overlap": tensor(storage("0", 256), (200, 200), (1, 0)),
    "sizes and strides apart": tensor(storage("0", 256), (2, 2), (1,)),
    "of a thousand dimensions": tensor(storage("0", 256), (1,) * 1000, (1,) * 1000),
    "with sizes of a half": tensor(storage("0", 256), (0.5,), (1,)),  # type: ignore[arg-type]
    "with hooks": tensor(storage("0", 256), (2,), (1,), hooks=table({"x": name("os", "system")})),
    "of no storage": tensor(plain("0"), (2,), (1,)),
    "a thousand of one storage": b"(" + tensor(storage("0", 256), (256,), (1,)) * 1000 + b"l",
    "as a parameter of nothing": name("torch._utils", "_rebuild_parameter")
    + plain((1, False, {}))
    + b"R",
}

# --- packages and zip files


def kwargs(**changes: object) -> Writer:
    return lambda path: write_th(path, kwargs=plain({**KWARGS, **changes}))


def state(**changes: bytes) -> Writer:
    """State in which some weights are others."""

    def write(path: Path) -> Path:
        honest = {
            key: tensor(storage(str(i), value.numel()), tuple(value.shape), value.stride())
            for i, (key, value) in enumerate(honest_state().items())
        }
        return write_th(path, state=table({**honest, **changes}))

    return write


def cut_short(path: Path) -> Path:
    write_th(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def flipped(path: Path) -> Path:
    write_th(path)
    data = bytearray(path.read_bytes())
    at = data.index(storages()["data/4"])
    data[at + 5] ^= 0xFF
    path.write_bytes(bytes(data))
    return path


def patched(find: bytes, offset: int, value: bytes) -> Writer:
    """An honest file with some bytes of its first central directory entry changed."""

    def write(path: Path) -> Path:
        write_th(path)
        data = bytearray(path.read_bytes())
        at = data.index(find) + offset
        data[at : at + len(value)] = value
        path.write_bytes(bytes(data))
        return path

    return write


def overlapping(path: Path) -> Path:
    """All entries of the directory point at one and the same piece of the file."""
    write_th(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 42 : at + 46] = struct.pack("<I", 0)
        at += 4
    path.write_bytes(bytes(data))
    return path


def twice(path: Path) -> Path:
    write_th(path)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning):
        file.writestr("archive/data.pkl", pickled({"x": call("os", "system", touch())}))
    return path


def quantized(**changes: bytes) -> Writer:
    words = tensor(storage("q", 64, "LongStorage"), (1, 2, 32), (64, 32, 1))
    item = b"(" + plain([None] * 14) + plain((0.0, 1.0)) + words + b"t"
    meta = table({"init_kwargs": plain({"group_size": 8, "min_size": 0.0}), "packed": b"\x88"})
    content = {
        "__quantized": b"\x88", "quantized": b"(" + item * 30 + b"l", "others": b"]",
        "float16": b"]", "meta": meta, **changes,
    }  # fmt: skip
    entries = {**storages(), "data/q": bytes(512), "data/s": bytes(8)}
    return lambda path: write_zip(path, pickled(parts(state=table(content))), entries)


PACKAGES: dict[str, Writer] = {
    "a class of nobody's": lambda path: write_th(path, klass=name("evil.models", "Demucs")),
    "a class as text": lambda path: write_th(path, klass=text("demucs.demucs.Demucs")),
    "a function as class": lambda path: write_th(path, klass=name("os", "system")),
    "a storage as class": lambda path: write_th(path, klass=name("torch", "HalfStorage")),
    "a class of the next family": lambda path: write_th(
        path, klass=name("demucs.xdemucs", "XDemucs")
    ),
    "no package": lambda path: write_zip(path, b"\x80\x02]."),
    "no weights": lambda path: write_th(path, state=b"N"),
    "no arguments": lambda path: write_th(path, kwargs=b"N"),
    "a state that holds itself": lambda path: write_th(
        path, state=b"}\x94" + b"(" + text("a") + b"h\x00u"
    ),
    "a missing weight": lambda path: write_th(path, state=b"}"),
    "a further weight": state(more=tensor(storage("0", 256), (256,), (1,))),
    "a weight of another shape": state(
        **{"encoder.0.0.bias": tensor(storage("0", 64), (64,), (1,))}
    ),
    "a weight of whole numbers": lambda path: write_zip(
        path,
        pickled(parts(state=table({"encoder.0.0.bias": tensor(storage("i", 4, "LongStorage"), (4,),
        (1,))}))), {**storages(), "data/i": bytes(32)},
    ),
    "a weight that is a text": state(**{"encoder.0.0.bias": text("x")}),
    "a gigantic width": kwargs(channels=10**9),
    "a gigantic depth": kwargs(depth=10**9),
    "a gigantic growth": kwargs(growth=1e300),
    "a width beyond all numbers": kwargs(channels=10**300),
    "a width of NaN": kwargs(channels=float("nan")),
    "a growth of NaN": kwargs(growth=float("nan")),
    "a segment of infinity": kwargs(segment=float("inf")),
    "a width of text": kwargs(channels="4"),
    "no width": kwargs(channels=None),
    "a negative kernel": kwargs(kernel_size=-8),
    "a stride of 0": kwargs(stride=0),
    "groups of 0": kwargs(norm_groups=0, norm_starts=0),
    "compression of 0": kwargs(dconv_comp=0),
    "endless branches": kwargs(dconv_depth=10**9),
    "an endless LSTM": kwargs(lstm_layers=10**9),
    "a sample rate of 0": kwargs(samplerate=0),
    "a mode of text": kwargs(dconv_mode="1"),
    "stems without end": lambda path: write_th(path, args=plain(([str(i) for i in range(10**4)],))),
    "stems that lead out": lambda path: write_th(path, args=plain((["../../x", "b", "c", "d"],))),
    "stems of one name": lambda path: write_th(path, args=plain((["a", "a", "a", "a"],))),
    "stems within stems": lambda path: write_th(path, args=plain((bomb(),))),
    "too many arguments": lambda path: write_th(path, args=plain(tuple(range(1000)))),
    "quantized levels that are not there": quantized(),
    "quantized and cut short": quantized(quantized=b"]"),
    "quantized in unknown ways": quantized(meta=plain({"packed": False, "init_kwargs": {}})),
    "quantized by nobody": quantized(meta=b"N"),
    "quantized with groups of 0": quantized(
        meta=plain({"packed": True, "init_kwargs": {"group_size": 0, "min_size": 0}})
    ),
    "quantized in words of another type": quantized(
        quantized=b"(" + (b"(" + plain([None] * 14) + plain((0.0, 1.0))
        + tensor(storage("0", 256), (1, 8, 32), (256, 32, 1)) + b"t") * 30 + b"l"
    ),
    "quantized with bounds of NaN": quantized(
        quantized=b"(" + (b"(" + plain([None] * 14) + plain((float("nan"), 1.0))
        + tensor(storage("q", 64, "LongStorage"), (1, 2, 32), (64, 32, 1)) + b"t") * 30 + b"l"
    ),
    "a zip bomb": lambda path: write_zip(
        path, pickled(parts()) + bytes(64 << 20), compression=zipfile.ZIP_DEFLATED
    ),
    "a compressed file": lambda path: write_zip(
        path, pickled(parts()), compression=zipfile.ZIP_DEFLATED
    ),
    "a pickle of 65 MB": lambda path: write_zip(path, pickled(parts()) + bytes(65 << 20)),
    "a zip file without a pickle": lambda path: write_zip(path, b"", folder="archive/x"),
    "a zip file with paths": lambda path: write_zip(path, pickled(parts()), {"../../x": b"x"}),
    "a zip file from the root": lambda path: write_zip(path, pickled(parts()), folder=""),
    "two pickles of one name": twice,
    "overlapping entries": overlapping,
    "a file of the other byte order": lambda path: write_zip(
        path, pickled(parts()), {**storages(), "byteorder": b"big"}
    ),
    "a file that is cut short": cut_short,
    "a file with a bit turned": flipped,
    "a size of 2^31": patched(b"PK\x01\x02", 20, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
    "a place beyond the end": patched(b"PK\x01\x02", 42, b"\xff\xff\xff\x7f"),
    "an encrypted entry": patched(b"PK\x01\x02", 8, b"\x01"),
    "an unknown compression": patched(b"PK\x01\x02", 10, b"\x63"),
    "an empty zip file": lambda path: (path.write_bytes(b"PK\x05\x06" + bytes(18)), path)[1],
    "a file of an old torch": lambda path: (
        path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
        path,
    )[1],
    "a bare pickle": lambda path: (
        path.write_bytes(b"\x80\x02" + call("os", "system", touch()) + b"."),
        path,
    )[1],
    "a bare pickle of protocol 0": lambda path: (
        path.write_bytes(b"cos\nsystem\n(S'touch canary'\ntR."),
        path,
    )[1],
    "a file with another's hash": lambda path: write_th(path.with_name("abc-00000000.th")),
    "an empty file": lambda path: (path.write_bytes(b""), path)[1],
    "a text": lambda path: (path.write_text("no model"), path)[1],
}  # fmt: skip


@pytest.fixture(autouse=True)
def watched(tmp_path, monkeypatch, unchecked):
    """In an empty folder; afterwards nothing has appeared there that the test did not write."""
    monkeypatch.chdir(tmp_path)
    copyreg.add_extension("os", "system", 0xF0)
    yield
    copyreg.remove_extension("os", "system", 0xF0)
    assert not (tmp_path / CANARY).exists()


def assert_refused(path: Path) -> None:
    started = time.process_time()
    with pytest.raises(CheckpointError) as refusal:
        load_model(path)
    assert time.process_time() - started < 10
    message = str(refusal.value)
    assert "\n" not in message and len(message) < 1500
    assert str(path.parent) in message or path.name in message


def test_an_honest_file_loads(tmp_path):
    model = load_model(write_th(tmp_path / "honest.th"))
    mixture = torch.randn(1, 2, 3000)
    wanted = honest_model()
    wanted.load_state_dict({k: v.half().float() for k, v in wanted.state_dict().items()})
    with torch.no_grad():
        assert torch.equal(model(mixture), wanted(mixture))


def test_the_canary_sings_when_a_pickle_is_trusted(tmp_path):
    pickle.loads(b"\x80\x02" + PICKLES["os.system"] + b".")
    assert (tmp_path / CANARY).exists()
    (tmp_path / CANARY).unlink()


@pytest.mark.parametrize("case", PICKLES)
def test_hostile_pickles_are_refused(case, tmp_path):
    assert_refused(write_pickle(tmp_path / "hostile.th", PICKLES[case]))


@pytest.mark.parametrize("case", TENSORS)
def test_impossible_tensors_are_refused(case, tmp_path):
    assert_refused(write_pickle(tmp_path / "hostile.th", TENSORS[case]))


@pytest.mark.parametrize("case", PACKAGES)
def test_hostile_packages_are_refused(case, tmp_path):
    assert_refused(PACKAGES[case](tmp_path / "hostile.th"))


def test_a_few_bytes_that_unfold_without_end_are_not_unfolded(tmp_path):
    # Nothing looks at training arguments, so an honest model with a bomb there is just a model.
    assert load_model(write_pickle(tmp_path / "odd.th", plain(bomb()))) is not None


# --- safetensors

PUBLIC = {
    "klass": "demucs.demucs.Demucs",
    "args": json.dumps([SOURCES]),
    "kwargs": json.dumps(KWARGS),
}


def public(drop: str = "", **changes: str) -> Writer:
    def write(path: Path) -> Path:
        tensors = {key: value for key, value in honest_state().items() if key != drop}
        save_file(tensors, path, {**PUBLIC, **changes})
        return path

    return write


def own(**changes: object) -> Writer:
    """A file of ours with some of its header changed; config entries as config__NAME."""

    def write(path: Path) -> Path:
        save_checkpoint(path, honest_model())
        size = struct.unpack("<Q", path.read_bytes()[:8])[0]
        header = json.loads(path.read_bytes()[8 : 8 + size])
        said = json.loads(header["__metadata__"]["unbraid"])
        for key, value in changes.items():
            target = said["config"] if key.startswith("config__") else said
            target[key.removeprefix("config__")] = value
        header["__metadata__"]["unbraid"] = json.dumps(said)
        return raw(header, path.read_bytes()[8 + size :])(path)

    return write


def raw(header: object, data: bytes = b"", length: int | None = None) -> Writer:
    text_ = header if isinstance(header, bytes) else json.dumps(header).encode()

    def write(path: Path) -> Path:
        size = len(text_) if length is None else length
        path.write_bytes(struct.pack("<Q", size) + text_ + data)
        return path

    return write


def entry(shape: list[int], start: int, stop: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, stop]}


SAFETENSORS: dict[str, Writer] = {
    "a foreign class": public(klass="os.system"),
    "a class by another path": public(klass="demucs.demucs.capture_init"),
    "a class of the next family": public(klass="demucs.xdemucs.XDemucs"),
    "no class": raw({"__metadata__": {"args": "[]"}, "x": entry([1], 0, 4)}, bytes(4)),
    "arguments of no JSON": public(kwargs="__import__('os')"),
    "arguments that are a list": public(kwargs="[]"),
    "arguments with NaN": public(kwargs='{"channels": NaN}'),
    "arguments nested without end": public(kwargs="[" * 100_000),
    "a fraction of nothing": public(kwargs='{"segment": {"_type": "fraction", "numerator": 1}}'),
    "a fraction by zero": public(
        kwargs='{"segment": {"_type": "fraction", "numerator": 1, "denominator": 0}}'
    ),
    "a table as an argument": public(kwargs='{"channels": {"_class": "os.system"}}'),
    "a gigantic width": public(kwargs=json.dumps({**KWARGS, "channels": 10**9})),
    "a missing weight": public(drop="encoder.0.0.bias"),
    "a structure with a class": public(structure='{"_class": "os.system"}'),
    "a structure with a call": public(structure='{"_call": ["os.system", "touch canary"]}'),
    "a structure of missing weights": public(structure='{"_dict": [["a", {"_tensor": "b"}]]}'),
    "a structure nested without end": public(structure='{"_list": [' * 100 + "1" + "]}" * 100),
    "a structure of nothing": public(structure="3"),
    "a structure of odd pairs": public(structure='{"_dict": [[1]]}'),
    "a header of 2^60 bytes": raw({}, length=2**60),
    "a header of 2^63 bytes": raw({}, length=2**63),
    "a header of no JSON": raw(b"{" + b"x" * 100),
    "a header nested without end": raw(b"{" + b'"a":{' * 50_000),
    "weights beyond the end": raw({"x": entry([2**40], 0, 2**42)}),
    "weights that overlap": raw({"x": entry([2], 0, 8), "y": entry([2], 4, 12)}, bytes(12)),
    "weights of another size": raw({"x": entry([3], 0, 8)}, bytes(8)),
    "weights of negative size": raw({"x": entry([-2], 0, 8)}, bytes(8)),
    "weights of more than all numbers": raw({"x": entry([2**40, 2**40], 0, 8)}, bytes(8)),
    "weights of unknown type": raw({"x": entry([2], 0, 8, "PICKLE")}, bytes(8)),
    "weights before the start": raw({"x": entry([2], -8, 0)}, bytes(8)),
    "ours, of a later format": own(format=99),
    "ours, of an unknown architecture": own(architecture="os.system"),
    "ours, with an unknown setting": own(config__hook="os.system"),
    "ours, of gigantic width": own(config__width=10**9),
    "ours, with a width of NaN": own(config__width=float("nan")),
    "ours, of endless depth": own(config__depth=10**9),
    "ours, of another width": own(config__width=8),
    "ours, with a config of nothing": own(config=3),
    "ours, with stems that lead out": own(config__stems=["/etc/x", "b", "c", "d"]),
    "ours, with weights of text": own(config__kernel="8"),
}


def test_honest_safetensors_load(tmp_path):
    assert load_model(public()(tmp_path / "honest.safetensors")) is not None
    assert load_model(own()(tmp_path / "own.safetensors")) is not None


@pytest.mark.parametrize("case", SAFETENSORS)
def test_hostile_safetensors_are_refused(case, tmp_path):
    assert_refused(SAFETENSORS[case](tmp_path / "hostile.safetensors"))


# --- bags

BAGS: dict[str, str | bytes] = {
    "a path up": "models: ['../honest']",
    "a path": "models: ['/etc/passwd']",
    "a path of Windows": "models: ['..\\\\honest']",
    "a hidden name": "models: ['.honest']",
    "an address": "models: ['http://localhost/x']",
    "a name with zero": 'models: ["honest\\0"]',
    "a name that is not there": "models: [absent]",
    "no name": "models: [[honest]]",
    "python's apply": f"models: !!python/object/apply:os.system ['touch {CANARY}']",
    "python's new": "models: [!!python/object/new:os.system [x]]",
    "python's name": "models: [!!python/name:os.system '']",
    "python's module": "models: [!!python/module:os '']",
    "python's tuple": "models: !!python/tuple [honest]",
    "a tag of nobody's": "models: [!evil honest]",
    "references": "a: &a [x]\nmodels: [honest]\nweights: [*a]",
    "billions of references": "\n".join(
        ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    )
    + "\nmodels: *a39",
    "merged keys": "a: &a {models: [honest]}\n<<: *a",
    "unknown settings": "models: [honest]\nhook: x",
    "no models": "weights: [[1, 1, 1, 1]]",
    "no model at all": "models: []",
    "a hundred models": f"models: [{', '.join(['honest'] * 100)}]",
    "no table": "- honest",
    "a text": "honest",
    "nothing": "",
    "zeros": b"\0" * 100,
    "no UTF-8": b"models: [\xff\xfe]",
    "open brackets": "models: " + "[" * 20_000,
    "a megabyte": "models: [honest]\n#" + "x" * 1_000_000,
    "weights of NaN": "models: [honest]\nweights: [[.nan, 1, 1, 1]]",
    "weights of nan": "models: [honest]\nweights: [[nan, 1, 1, 1]]",
    "weights below 0": "models: [honest]\nweights: [[-1, 1, 1, 1]]",
    "weights of another number": "models: [honest]\nweights: [[1, 1]]",
    "weights for nobody": "models: [honest]\nweights: [[0, 1, 1, 1]]",
    "weights of text": "models: [honest]\nweights: [[a, b, c, d]]",
    "weights that are one": "models: [honest]\nweights: 1",
    "a segment of infinity": "models: [honest]\nsegment: inf",
    "a segment of nan": "models: [honest]\nsegment: nan",
    "a segment below 0": "models: [honest]\nsegment: -1",
    "a segment of text": "models: [honest]\nsegment: long",
    "a segment of tables": "models: [honest]\nsegment: {a: 1}",
}


@pytest.mark.parametrize("case", BAGS)
def test_hostile_bags_are_refused(case, tmp_path):
    write_th(tmp_path / "honest.th")
    content = BAGS[case]
    path = tmp_path / "hostile.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(path)


def test_an_honest_bag_loads(tmp_path):
    write_th(tmp_path / "honest.th")
    (tmp_path / "bag.yaml").write_text("models: ['honest', honest]\nsegment: 0.5\n")
    assert load_model(tmp_path / "bag.yaml").spec.segment_samples == 4000


def test_there_are_forty_and_more():
    assert sum(map(len, (PICKLES, TENSORS, PACKAGES, SAFETENSORS, BAGS))) >= 200
