"""Workers as actors of a Ray cluster: one for each device, started, watched, replaced when lost.

    driver  ──► actors, each with a model that stays loaded
    actors  ──► claims and journal in the output, as all other workers

Songs are not sent to the actors: each one claims a few songs in the output when it has room for
them, so nothing queues up anywhere, and actors work together with workers started in other ways.
The driver only starts actors, also on nodes that join later, and replaces those that are lost.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unbraid.batch.ray_slots import Slot, find_slots
from unbraid.batch.ray_worker import RayWorker
from unbraid.batch.request import BatchRequest
from unbraid.batch.store import is_url
from unbraid.batch.supervisor import WorkerOrder
from unbraid.batch.worker import STATE
from unbraid.errors import SettingsError, UnbraidError
from unbraid.version import __version__

_LOOK_S = 0.2
_NEW_NODES_S = 5.0
_STOP_S = 10.0
_MOST_STARTS = 3
"""Starts in a row that may fail before the batch gives up."""
_SHARED_BYTES = 80 * 2**20
"""Of a cluster that we start: Ray's shared memory, of which actors use next to nothing."""


def run_on_ray(
    request: BatchRequest,
    address: str = "",
    most: int | None = None,
    on_tick: Callable[[], None] = lambda: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> None:
    """Run a batch on a Ray cluster until it is finished.

    Args:
        request: the batch. Without URLs, all nodes must see its folders under the same paths.
        address: of the cluster, as `ray.init` takes it; "" for that in RAY_ADDRESS, or else a
            cluster on this machine that is started now and ends with this call.
        most: never more workers than this; None for as many as the devices allow.
        on_tick: called several times a second.
        on_note: called with each thing that workers have to say about their machine, once.
    Raises:
        SettingsError: if the cluster cannot be reached, has no room, or its nodes do not see the
            folders.
        UnbraidError: if workers cannot start.
        ModuleNotFoundError: if Ray is not installed.
    """
    address = address or os.environ.get("RAY_ADDRESS", "")
    ray = _connected(address)
    try:
        # Ray prints on stdout, where the lines of --json go, that a worker was lost; so do we.
        with (
            Path(os.devnull).open("w") as nowhere,
            redirect_stdout(nowhere),
            _Sign(request) as sign,
        ):
            _Crew(ray, _everywhere(request), sign.path, most, on_note).run(on_tick)
    except ray.exceptions.RayError as error:
        raise UnbraidError(
            f"the Ray cluster failed{_reason(error)}; run the batch again"
        ) from error
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    """The package `ray`, connected to a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray
    import ray.util.scheduling_strategies

    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _SHARED_BYTES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else local),
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
            raise SettingsError(f"{where} cannot be used: {reason}") from error
    return ray


def _everywhere(request: BatchRequest) -> BatchRequest:
    """The same batch with whole paths: actors have other current folders."""
    names = ("model", "model_config")
    files = {name: request.separator.get(name) for name in names}
    found = {name: _whole(str(file)) for name, file in files.items() if _is_file(file)}
    return replace(
        request,
        inputs=tuple(_whole(place) for place in request.inputs),
        out=request.out if is_url(request.out) else Path(_whole(request.out)),
        separator={**request.separator, **found},
    )


def _is_file(name: object) -> bool:
    """Whether the name of a model is that of a file or folder here, and none of the catalog."""
    if not isinstance(name, (str, Path)):
        return False
    return Path(name).exists() and (len(Path(name).parts) > 1 or Path(name).suffix != "")


def _whole(place: str | Path) -> str:
    return str(place) if is_url(place) else os.path.abspath(place)  # noqa: PTH100


class _Sign:
    """A file in the output folder: actors that see it have the same folder."""

    def __init__(self, request: BatchRequest) -> None:
        self.path: Path | None = None
        if not request.has_urls:
            self.path = Path(_whole(request.folder / STATE / f"{uuid.uuid4().hex}.sign"))

    def __enter__(self) -> _Sign:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass
class _Member:
    """An actor and what it is doing."""

    slot: Slot
    order: WorkerOrder
    actor: Any
    answer: Any
    works: bool = False


class _Crew:
    """The actors of a batch."""

    def __init__(
        self,
        ray: Any,
        request: BatchRequest,
        sign: Path | None,
        most: int | None,
        on_note: Callable[[str], None],
    ) -> None:
        self._ray, self._request, self._sign, self._most = ray, request, sign, most
        self._on_note, self._notes = on_note, {""}
        self._members: list[_Member] = []
        self._lost: list[tuple[str, str]] = []
        self._failed_starts = 0
        self._is_finished = False

    def run(self, on_tick: Callable[[], None]) -> None:
        """Work until a worker says that nothing is left to do, and all others do."""
        looked = float("-inf")
        try:
            while self._members or not self._is_finished:
                if not self._is_finished and time.monotonic() - looked > _NEW_NODES_S:
                    self._hire()
                    looked = time.monotonic()
                answers = [member.answer for member in self._members]
                ended = self._ray.wait(answers, timeout=_LOOK_S)[0] if answers else []
                for member in [member for member in self._members if member.answer in ended]:
                    self._go_on(member)
                if self._is_finished:
                    self._dismiss([member for member in self._members if not member.works])
                on_tick()
                if not answers:
                    time.sleep(_LOOK_S)
        finally:
            self._stop()

    def _hire(self) -> None:
        """Start an actor in each slot that has none."""
        slots = self._slots()
        if not slots and not self._members:
            raise SettingsError(
                "the Ray cluster has no room for a worker: it needs a node with a GPU, or, "
                "with --device auto or cpu, one with processors (ray start --num-cpus)"
            )
        taken = {(member.slot.node, member.slot.number) for member in self._members}
        for slot in slots:
            if (slot.node, slot.number) not in taken and not self._is_full():
                self._start(slot)

    def _is_full(self) -> bool:
        return self._most is not None and len(self._members) >= self._most

    def _slots(self) -> list[Slot]:
        arguments = self._request.separator
        device, threads = arguments.get("device", "auto"), arguments.get("threads")
        return find_slots(self._ray.nodes(), device, threads, self._most)

    def _start(self, slot: Slot) -> None:
        """Start an actor; it counts the songs of one that was lost as failed, and frees them."""
        request = self._request
        if not slot.gpu:
            threads = {**request.separator, "threads": slot.threads}
            request = replace(request, separator=threads)
        place = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        name = f"{slot.host}-{slot.number}-{uuid.uuid4().hex[:12]}"
        actor = self._ray.remote(RayWorker).options(
            num_cpus=slot.cpus,
            num_gpus=int(slot.gpu),
            max_concurrency=2,  # so that `stop` is heard during `work`
            max_restarts=0,  # the driver starts another one, which knows whom it replaces
            scheduling_strategy=place(slot.node, soft=False),
        )
        actor = actor.remote(request)
        files = [place for place in request.inputs if not is_url(place) and os.path.lexists(place)]
        answer = actor.prepare.remote(__version__, self._sign, files)
        order = WorkerOrder(request, name, *(self._lost.pop() if self._lost else (None, "")))
        self._members.append(_Member(slot, order, actor, answer))

    def _go_on(self, member: _Member) -> None:
        """Give an actor that has answered its next task, or start another one if it is lost."""
        try:
            answer = self._ray.get(member.answer)
        except Exception as error:  # Ray has many, and raises those of the actor, too
            self._replace(member, error)
            return
        if member.works:
            if answer:
                raise UnbraidError(f"{answer} (on {member.slot.host})")
            self._is_finished = True
            self._members.remove(member)
            return
        problem, note = answer
        if problem:
            raise SettingsError(f"a worker on {member.slot.host} cannot start: {problem}")
        if note not in self._notes:
            self._notes.add(note)
            self._on_note(note)
        self._failed_starts, member.works = 0, True
        member.answer = member.actor.work.remote(member.order)

    def _replace(self, member: _Member, error: Exception) -> None:
        """Start an actor where one was lost. Where one cannot start, there is a pause."""
        self._dismiss([member])
        cause = f"the worker on {member.slot.host} was lost{_reason(error)}"
        if member.works:
            self._lost.append((member.order.owner, f"{cause} while it worked on this song"))
            if member.slot in self._slots():  # else its node is lost, too
                self._start(member.slot)
            return
        if member.order.after is not None:
            self._lost.append((member.order.after, member.order.cause))
        self._failed_starts += 1
        if self._failed_starts >= _MOST_STARTS and not self._members:
            raise UnbraidError(f"no worker of the batch can start: {cause}")

    def _dismiss(self, members: list[_Member]) -> None:
        for member in members:
            self._members.remove(member)
            self._ray.kill(member.actor)

    def _stop(self) -> None:
        """End all actors, after they gave their songs back."""
        working = [member for member in self._members if member.works]
        for member in working:
            member.actor.stop.remote()
        if working:
            answers = [member.answer for member in working]
            self._ray.wait(answers, num_returns=len(answers), timeout=_STOP_S)
        self._dismiss(list(self._members))


def _reason(error: Exception) -> str:
    """What is known about the end of an actor, in words to follow "was lost".

    >>> _reason(RuntimeError("no luck\\nand more"))
    ' (RuntimeError: no luck)'
    """
    kind = type(error).__name__
    if kind == "OutOfMemoryError":
        return " (out of memory)"
    if "Died" in kind or "Crashed" in kind or "Unavailable" in kind:
        return ""
    cause = getattr(error, "cause", None) or error
    return f" ({type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]})"
