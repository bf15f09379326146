"""From a stored model to a module of torch."""

from __future__ import annotations

import numpy as np
import torch

from unbraid.errors import CheckpointError, ModelError, SettingsError
from unbraid.models.network import Network
from unbraid.models.registry import build_network
from unbraid.zoo.header import check_shapes
from unbraid.zoo.mapped import release
from unbraid.zoo.stored import StoredModel, StoredTensor


def build_module(stored: StoredModel) -> Network:
    """The network with its weights: on the CPU, float32, in evaluation mode.

    Shapes in the file are compared with those of the network before memory is taken.

    Raises:
        CheckpointError: if config or weights make no model, or do not fit each other.
    """
    network = layout(stored)
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in stored.weights.items()}
    check_shapes(stored.path, wanted, found)
    state = {name: _copied(stored.weights[name]) for name in wanted}
    network.load_state_dict(state, assign=True)
    return network.eval()


def _copied(weight: StoredTensor) -> torch.Tensor:
    """In float32; what was read of the file need not stay in memory."""
    values = weight.read()
    copied = torch.from_numpy(np.array(values, np.float32))
    release(values)
    return copied


def layout(stored: StoredModel) -> Network:
    """The network without memory for its weights.

    Raises:
        CheckpointError: if its config makes no model.
    """
    try:
        with torch.device("meta"):
            return build_network(stored.architecture, stored.config)
    except CheckpointError as error:
        raise CheckpointError(f"{stored.path}: {error}") from error
    except (
        TypeError, ValueError, ArithmeticError, SettingsError, RuntimeError, ModelError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"{stored.path}: its config makes no model: {error!s:.300}"
        ) from error
