"""The encoding of protocol buffers, which TensorFlow's and ONNX's files use.

A message is a row of fields: a number that says which field follows and how it is encoded, then
its value. What a field means is the reader's business. Lengths are checked before they are used.
"""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.errors import CheckpointError

Buffer = bytes | memoryview


class Reader:
    """Reads numbers and bytes from the front.

    Args:
        content: the message; of a memoryview, pieces are views, too.
        start: where it begins in the file.
    """

    def __init__(self, content: Buffer, start: int = 0) -> None:
        self._content, self._at, self._start = content, 0, start

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._content)

    @property
    def position(self) -> int:
        """Place of the next byte in the file."""
        return self._start + self._at

    def take(self, count: int) -> Buffer:
        """The next `count` bytes.

        Raises:
            CheckpointError: if there are fewer.
        """
        if count > len(self._content) - self._at:
            raise CheckpointError("an entry that reaches beyond its block")
        self._at += count
        return self._content[self._at - count : self._at]

    def varint(self) -> int:
        """Seven bits a byte, lowest first; below 2^64.

        Raises:
            CheckpointError: for a greater one, or if it is cut short.
        """
        value = 0
        for shift in range(0, 70, 7):
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        if byte >= 0x80 or value >> 64:
            raise CheckpointError("a number of too many bytes")
        return value

    def fields(self) -> Iterator[tuple[int, int | Buffer]]:
        """Number and value of each field; `position` is then the end of the value.

        Numbers of a fixed size come as the whole number that their bytes are.

        Raises:
            CheckpointError: for an encoding that is not in use any more.
        """
        while not self.done:
            tag = self.varint()
            kind = tag & 7
            if kind == 0:
                yield tag >> 3, self.varint()
            elif kind == 2:
                yield tag >> 3, self.take(self.varint())
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                yield tag >> 3, int.from_bytes(self.take(size), "little")
            else:
                raise CheckpointError(f"a field of kind {kind}")


def signed(value: int) -> int:
    """A varint as the signed 64-bit number that it stands for.

    >>> signed(2**64 - 1)
    -1
    """
    return value - (1 << 64) if value >> 63 else value
