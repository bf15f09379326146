"""One line that names the file, for every error in reading weights."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unbraid.errors import CheckpointError

_DAMAGE = (OSError, ValueError, LookupError, struct.error, OverflowError)


@contextmanager
def refusing(
    path: Path, kind: str, damage: tuple[type[Exception], ...] = _DAMAGE
) -> Iterator[None]:
    """Name the file in every error; for errors of its bytes, say that it is not a readable `kind`.

    Args:
        path: the file.
        kind: of file, as "HDF5 file".
        damage: what reading a damaged file may raise.
    Raises:
        CheckpointError: instead of what reading bytes of any content may raise.
    """
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: refused: {error}") from error
    except damage as error:
        raise CheckpointError(
            f"{path}: not a readable {kind} ({error!s:.200}); it may be cut short or altered, "
            "get it again"
        ) from error
