"""A worker process: reads its order from stdin, says when it is ready, works until the end."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from pathlib import Path

from unbraid.api import Separator
from unbraid.batch.base_worker import BaseWorker
from unbraid.batch.request import BatchRequest
from unbraid.batch.store_worker import StoreWorker
from unbraid.batch.supervisor import STOPPED, WorkerOrder
from unbraid.batch.worker import Worker
from unbraid.engines.load import kernels_note
from unbraid.errors import Cancelled, UnbraidError
from unbraid.models.default import DEFAULT_MODEL
from unbraid.separation.progress import CancelToken


def main() -> int:
    """Work; returns the exit code."""
    order: WorkerOrder = pickle.load(sys.stdin.buffer)  # written by our own supervisor
    cancel = CancelToken()
    signal.signal(signal.SIGTERM, lambda *_: cancel.cancel())
    threading.Thread(target=_end_with_supervisor, args=(cancel,), daemon=True).start()
    try:
        separator = Separator(**order.request.separator)
        worker = make_worker(order, separator, cancel)
    except UnbraidError as error:
        print(f"unbraid: {error}", file=sys.stderr)
        return 2
    note = kernels_note_of(order.request, separator) if order.has_voice else None
    if note is not None:
        print(f"note: {note}", file=sys.stderr)
    os.write(sys.stdout.fileno(), b"ready\n")
    try:
        worker.run()
    except Cancelled:
        return 0
    except UnbraidError as error:  # the next worker would meet the same
        print(f"unbraid: {error}", file=sys.stderr)
        return STOPPED
    return 0


def _end_with_supervisor(cancel: CancelToken) -> None:
    """Stop when the supervisor ends, also by `kill -9`: nobody else would end this process."""
    while os.read(sys.stdin.fileno(), 1024):  # nothing comes after the order but the end
        pass
    cancel.cancel()


def make_worker(order: WorkerOrder, separator: Separator, cancel: CancelToken) -> BaseWorker:
    """The worker that an order describes.

    Raises:
        UnbraidError: if the request cannot be met.
    """
    kind = StoreWorker if order.request.has_urls else Worker
    return kind(
        order.request,
        separator,
        cancel=cancel,
        owner=order.owner,
        after=order.after,
        cause=order.cause,
    )


def kernels_note_of(request: BatchRequest, separator: Separator) -> str | None:
    """One line where the compiled kernels are missing and would run the model faster."""
    model, config = separator.model, request.separator.get("model_config")
    name = request.separator.get("model", DEFAULT_MODEL)
    if not isinstance(name, (str, Path)):
        return None
    return kernels_note(name, model.device, model.precision, config=config)


if __name__ == "__main__":
    sys.exit(main())
