"""The actor that works on a node of a Ray cluster."""

from __future__ import annotations

import os
import time
from pathlib import Path

from unbraid.api import Separator
from unbraid.batch.process import kernels_note_of, make_worker
from unbraid.batch.request import BatchRequest
from unbraid.batch.supervisor import WorkerOrder
from unbraid.errors import Cancelled, UnbraidError
from unbraid.separation.progress import CancelToken
from unbraid.version import __version__


class RayWorker:
    """The actor: one worker, whose model stays loaded.

    Args:
        request: the batch, with whole paths.
    """

    def __init__(self, request: BatchRequest) -> None:
        self._request, self._cancel = request, CancelToken()
        self._separator: Separator | None = None

    def prepare(self, version: str, sign: Path | None, files: list[str]) -> tuple[str, str]:
        """Load the model.

        Args:
            version: of unbraid, where the batch was started.
            sign: a file that must be here if the output folder is the same one.
            files: inputs that must be here.
        Returns:
            why this machine cannot work ("" if it can), and a note about it ("" if none).
        """
        if version != __version__:
            return f"unbraid {__version__} is installed there, and {version} here", ""
        if sign is not None and not _appears(sign):
            return f"{sign.parents[2]} is another folder there: use a shared one, or a URL", ""
        missing = [file for file in files if not os.path.lexists(file)]
        if missing:
            return f"{missing[0]} is not there: inputs must be in a shared folder, or URLs", ""
        try:
            self._separator = Separator(**self._request.separator)
        except UnbraidError as error:
            return str(error), ""
        return "", kernels_note_of(self._request, self._separator) or ""

    def work(self, order: WorkerOrder) -> str:
        """Work until the batch is finished, or stopped; returns why it cannot go on, or ""."""
        assert self._separator is not None
        try:
            make_worker(order, self._separator, self._cancel).run()
        except Cancelled:
            return ""
        except UnbraidError as error:
            return str(error)
        return ""

    def stop(self) -> None:
        """Let `work` end soon."""
        self._cancel.cancel()


def _appears(sign: Path) -> bool:
    """Whether a file is there; network file systems may take a moment to show it."""
    for _ in range(20):
        if sign.exists():
            return True
        time.sleep(0.25)
    return False
