"""Names and shapes of the weights of Hybrid Demucs, computed from a config.

They are those of the model's `state_dict()`, in its order; the tests compare one with the
other. With them a file can be compared with its config, and a model be known by its weights, where
no network of torch is built.
"""

from __future__ import annotations

from collections.abc import Iterator

from unbraid.models.hybrid_demucs.config import HybridDemucsConfig
from unbraid.models.layers.level_weights import Weight, conv, decoder, encoder, norm, transposed


def weight_shapes(config: HybridDemucsConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in the order of the model's `state_dict()`.

    Raises:
        SettingsError: if this makes no model.
        NotImplementedError: if levels are split into bands, whose weights only the network knows.
    """
    if config.split_levels:
        raise NotImplementedError
    return dict(_model(config))


def _model(config: HybridDemucsConfig) -> Iterator[Weight]:
    spec, time, shared = config.plan()
    *spec_outer, spec_meeting = spec
    *time_outer, time_meeting = time
    for number, level in enumerate(spec_outer):
        name = f"spec_encoder.{number}"
        yield from encoder(name, level.encoder, dims=2)
        if number == 0 and config.embedding_weight:
            rows = config.n_fft // 2 // config.stride
            yield f"{name}.embedding.embedding.weight", (rows, config.width)
    for number, level in enumerate(time_outer):
        yield from encoder(f"time_encoder.{number}", level.encoder, dims=1)
    yield from encoder("meeting", spec_meeting.encoder, dims=2)
    yield from conv("meeting.time_conv", time_meeting.encoder, dims=1)
    for number, level in enumerate(shared):
        yield from encoder(f"shared_encoder.{number}", level.encoder, dims=1)
    for number, level in enumerate(reversed(shared)):
        yield from decoder(f"shared_decoder.{number}", level.decoder, dims=1)
    yield from decoder("parting", spec_meeting.decoder, dims=2)
    parting = time_meeting.decoder
    yield from transposed("parting.time_conv", parting, dims=1)
    yield from norm("parting.time_norm", parting.norm_groups, parting.outer)
    for number, level in enumerate(reversed(spec_outer)):
        yield from decoder(f"spec_decoder.{number}", level.decoder, dims=2)
    for number, level in enumerate(reversed(time_outer)):
        yield from decoder(f"time_decoder.{number}", level.decoder, dims=1)
