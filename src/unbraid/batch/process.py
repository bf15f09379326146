"""A worker process: reads its order from stdin, says when it is ready, works until the end."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys

from unbraid.api import Separator
from unbraid.batch.store_worker import StoreWorker
from unbraid.batch.supervisor import WorkerOrder
from unbraid.batch.worker import Worker
from unbraid.errors import Cancelled, UnbraidError
from unbraid.separation.progress import CancelToken


def main() -> int:
    """Work; returns the exit code."""
    order: WorkerOrder = pickle.load(sys.stdin.buffer)  # written by our own supervisor
    cancel = CancelToken()
    signal.signal(signal.SIGTERM, lambda *_: cancel.cancel())
    try:
        separator = Separator(**order.request.separator)
        kind = StoreWorker if order.request.has_urls else Worker
        worker = kind(
            order.request,
            separator,
            cancel=cancel,
            owner=order.owner,
            after=order.after,
            cause=order.cause,
        )
    except UnbraidError as error:
        print(f"unbraid: {error}", file=sys.stderr)
        return 2
    os.write(sys.stdout.fileno(), b"ready\n")
    with contextlib.suppress(Cancelled):
        worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
