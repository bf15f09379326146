"""Where workers have room on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unbraid.errors import SettingsError


@dataclass(frozen=True)
class Slot:
    """Room for one worker.

    Attributes:
        node: id of the node in the cluster.
        host: name of the machine.
        number: which of the slots of its node it is, from 0.
        cpus: processors that the worker may use.
        gpu: whether it has a GPU of its own.
    """

    node: str
    host: str
    number: int
    cpus: int
    gpu: bool = False

    @property
    def threads(self) -> int:
        """Threads of the model."""
        return max(1, self.cpus)


def find_slots(
    nodes: Iterable[Mapping[str, Any]],
    device: str = "auto",
    threads: int | str | None = None,
    most: int | None = None,
) -> list[Slot]:
    """As many slots as the devices of a cluster have room for.

    A node with GPUs has one slot for each, unless `device` is "cpu". Any other node has one for
    every `threads` of its processors. Without a number of threads its processors are divided among
    the workers that `most` leaves to each node: one, if there is no limit.

    Args:
        nodes: as `ray.nodes()` lists them.
        device: as `RunSettings` takes it.
        threads: of one worker on the processor; "auto" or None for as many as there are.
        most: never more slots than this; None for no limit.
    Raises:
        SettingsError: for a GPU by its number, which Ray chooses.

    >>> node = {"NodeID": "a", "NodeManagerHostname": "one", "Alive": True, "Resources": {"CPU": 8}}
    >>> [slot.cpus for slot in find_slots([node])]
    [8]
    >>> [slot.cpus for slot in find_slots([node], threads=2)]
    [2, 2, 2, 2]
    >>> [slot.cpus for slot in find_slots([node], most=3)]
    [2, 2, 2]
    """
    if device.startswith("cuda:"):
        raise SettingsError(
            f"Ray gives each worker a GPU of its own; use --device cuda with --ray, not {device}"
        )
    alive = sorted((node for node in nodes if node["Alive"]), key=lambda node: str(node["NodeID"]))
    if most is not None and not isinstance(threads, int):
        share = -(-most // max(1, len(alive)))
    else:
        share = 1
    each = [_of_node(node, device, threads, share) for node in alive]
    longest = max(map(len, each), default=0)
    in_turn = [slots[n] for n in range(longest) for slots in each if n < len(slots)]
    return in_turn[:most]


def _of_node(
    node: Mapping[str, Any], device: str, threads: int | str | None, share: int
) -> list[Slot]:
    resources = node["Resources"]
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    by_gpu = device != "cpu" and gpus > 0
    if by_gpu:
        count, each = gpus, cpus // gpus
    elif device.startswith("cuda") or cpus == 0:
        return []
    else:
        each = min(cpus, threads if isinstance(threads, int) else max(1, cpus // share))
        count = cpus // each
    name, host = str(node["NodeID"]), str(node["NodeManagerHostname"])
    return [Slot(name, host, number, each, by_gpu) for number in range(count)]
