"""Reads the pickle in a public `.th` file without Python's `pickle`; no code is called.

A pickle is a program for a small stack machine. This is that machine with only the instructions
that plain data and tensors need. Names to import are looked up in a table given by the caller and
replaced by the `Maker` found there; unknown instructions and names are refused. Work and memory
are bounded by the size of the pickle.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.errors import CheckpointError

MOST_BYTES = 64 << 20
"""Largest pickle that is read, without its long texts; real ones have a few hundred kilobytes."""

MOST_TEXT = 512 << 20
"""With them: old protocols write bytes as text, and compressed weights are such bytes."""
_LONG = 1 << 20


@dataclass(frozen=True)
class Maker:
    """The replacement for a known name.

    Attributes:
        name: as spelled in the file, for messages.
        make: called with plain arguments; None if the name must not be called.
        is_class: whether it may also be made as an instance of a class is.
    """

    name: str
    make: Callable[..., Any] | None = None
    is_class: bool = False


class PlainDict(dict[Any, Any]):
    """A dict made by a known name, such as OrderedDict; attributes set on it are dropped."""


_MARK = object()


def read_pickle(
    data: bytes, names: Mapping[str, Maker], persistent: Callable[[Any], Any] | None = None
) -> Any:
    """The value that the pickle `data` describes.

    Args:
        names: "module name" -> its replacement.
        persistent: returns the value for a persistent id; None refuses them.
    Raises:
        CheckpointError: for a damaged pickle, an unknown instruction, or an unknown name.
    """
    if len(data) > MOST_TEXT:
        raise CheckpointError(f"a pickle of {len(data)} bytes; at most {MOST_TEXT} are read")
    value, end = read_pickle_at(data, 0, names, persistent)
    if len(data) - end > MOST_BYTES:
        raise CheckpointError(f"a pickle with {len(data) - end} bytes behind its end")
    return value


def read_pickle_at(
    data: bytes,
    start: int,
    names: Mapping[str, Maker] | None = None,
    persistent: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """The value that the pickle at `start` in `data` describes, and where it ends.

    Args, errors: as of `read_pickle`; without `names` the pickle holds plain data alone.
    """
    machine = _Machine(data, names or {}, persistent)
    machine.at = start
    try:
        return machine.run(), machine.at
    except (IndexError, KeyError, TypeError, ValueError, struct.error, AttributeError) as error:
        raise CheckpointError(f"a damaged pickle ({type(error).__name__})") from error


class _Machine:
    """The stack machine: `run` executes instructions until STOP."""

    def __init__(
        self,
        data: bytes,
        names: Mapping[str, Maker],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.data, self.at, self.long_text = memoryview(data), 0, 0
        self.names, self.persistent = names, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            code = self.take(1)[0]
            if self.at - self.long_text > MOST_BYTES:
                raise CheckpointError(f"a pickle of more than {MOST_BYTES} bytes without its texts")
            if code == ord("."):
                return self.stack.pop()
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise CheckpointError(
                    f"a pickle instruction that plain data does not need ({bytes([code])!r})"
                )
            instruction(self)

    def take(self, count: int) -> memoryview:
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            raise CheckpointError("a pickle that is cut short")
        self.at += count
        return piece

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, form: str) -> str:
        piece = self.take(self.number(form))
        self.long_text += len(piece) if len(piece) > _LONG else 0
        return bytes(piece).decode("utf-8", "surrogatepass")

    def line(self) -> str:
        end = bytes(self.data[self.at : self.at + 512]).index(b"\n")
        text = bytes(self.take(end)).decode("ascii")
        self.take(1)
        return text

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise CheckpointError("a damaged pickle (no mark)")

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise CheckpointError("a damaged pickle (empty stack)")
        del self.stack[-count:]
        self.push(items)

    def known(self, module: Any, name: Any) -> None:
        maker = self.names.get(f"{module} {name}")
        if maker is None:
            raise CheckpointError(
                f"it names {module}.{name!s:.100}, which is not among the classes that a public "
                "model may hold; nothing was imported"
            )
        self.push(maker)

    def reduce(self) -> None:
        arguments, maker = self.stack.pop(), self.stack.pop()
        if not isinstance(maker, Maker) or maker.make is None or type(arguments) is not tuple:
            name = maker.name if isinstance(maker, Maker) else type(maker).__name__
            raise CheckpointError(f"it calls {name}, which may not be called")
        self.push(maker.make(*arguments))

    def new_object(self) -> None:
        maker = self.stack[-2]
        if not isinstance(maker, Maker) or not maker.is_class:
            raise CheckpointError(
                "it makes an instance of something that is not a class of plain data"
            )
        self.reduce()

    def build(self) -> None:
        self.stack.pop()
        if not isinstance(self.stack[-1], PlainDict):
            raise CheckpointError(f"it sets the state of a {type(self.stack[-1]).__name__}")

    def persist(self) -> None:
        if self.persistent is None:
            raise CheckpointError("a pickle with persistent ids")
        self.push(self.persistent(self.stack.pop()))

    def extend_list(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise CheckpointError("a damaged pickle (no list)")
        self.stack[-1].extend(items)

    def extend_dict(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise CheckpointError("a damaged pickle (no dict)")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, (str, int, float, bool, type(None), Maker)):
                raise CheckpointError(f"a {type(key).__name__} as a key")
            target[key] = value

    def long(self) -> int:
        return int.from_bytes(self.take(self.number("<B")), "little", signed=True)


def _append(machine: _Machine) -> None:
    item = machine.stack.pop()
    machine.extend_list([item])


def _set_item(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.extend_dict([key, value])


def _stack_global(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise CheckpointError("a damaged pickle (a name that is not text)")
    machine.known(module, name)


def _set_items(machine: _Machine) -> None:
    items = machine.pop_to_mark()
    machine.extend_dict(items)


def _append_items(machine: _Machine) -> None:
    items = machine.pop_to_mark()
    machine.extend_list(items)


def _make_dict(machine: _Machine) -> None:
    items = machine.pop_to_mark()
    machine.push({})
    machine.extend_dict(items)


def _protocol(machine: _Machine) -> None:
    version = machine.number("<B")
    if version > 5:
        raise CheckpointError(f"pickle protocol {version}; 2 to 5 are read")


def _remember(form: str) -> Callable[[_Machine], None]:
    return lambda m: m.memo.__setitem__(m.number(form), m.stack[-1])


def _recall(form: str) -> Callable[[_Machine], None]:
    return lambda m: m.push(m.memo[m.number(form)])


# The codes are those of the pickle documentation (`pickletools`), by name.
_INSTRUCTIONS: dict[int, Callable[[_Machine], Any]] = {
    0x80: _protocol,
    0x95: lambda m: m.number("<Q"),  # FRAME: how many bytes follow, for readers of streams
    ord("("): lambda m: m.push(_MARK),
    ord("0"): lambda m: m.stack.pop(),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("J"): lambda m: m.push(m.number("<i")),
    0x8A: lambda m: m.push(m.long()),
    ord("G"): lambda m: m.push(m.number(">d")),
    ord("X"): lambda m: m.push(m.text("<I")),
    0x8C: lambda m: m.push(m.text("<B")),
    ord("C"): lambda m: m.push(bytes(m.take(m.number("<B")))),
    ord("B"): lambda m: m.push(bytes(m.take(m.number("<I")))),
    ord("]"): lambda m: m.push([]),
    ord("}"): lambda m: m.push({}),
    ord(")"): lambda m: m.push(()),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("t"): lambda m: m.push(tuple(m.pop_to_mark())),
    ord("l"): lambda m: m.push(m.pop_to_mark()),
    ord("d"): _make_dict,
    ord("a"): _append,
    ord("e"): _append_items,
    ord("s"): _set_item,
    ord("u"): _set_items,
    ord("h"): _recall("<B"),
    ord("j"): _recall("<I"),
    ord("q"): _remember("<B"),
    ord("r"): _remember("<I"),
    0x94: lambda m: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    ord("c"): lambda m: m.known(m.line(), m.line()),
    0x93: _stack_global,
    0x81: lambda m: m.new_object(),
    ord("R"): lambda m: m.reduce(),
    ord("b"): lambda m: m.build(),
    ord("Q"): lambda m: m.persist(),
}
