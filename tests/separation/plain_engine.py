"""The engine written a second time, as plainly as possible, one step after the other.

Views are (start, length) into one padded tensor, as in the public package; nothing is shared with
`unbraid.separation`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def bag(models, weights, mixture: Tensor, sample_rate: int, offsets, **options) -> Tensor:
    """`offsets`: for each model a list of shift offsets."""
    total, weight_sum = 0.0, torch.zeros(len(weights[0]))
    for model, row, own in zip(models, weights, offsets, strict=True):
        weight = torch.tensor(row)
        total = total + weight[:, None, None] * shifted(model, mixture, sample_rate, own, **options)
        weight_sum += weight
    return total / weight_sum[:, None, None]


def shifted(model, mixture: Tensor, sample_rate: int, offsets, **options) -> Tensor:
    length = mixture.shape[-1]
    if not offsets:
        return split(model, mixture, 0, length, **options)
    reach = int(0.5 * sample_rate)
    padded = torch.nn.functional.pad(mixture, (reach, reach))
    results = []
    for offset in offsets:
        result = split(model, padded, offset, length + reach - offset, **options)
        results.append(result[..., reach - offset :])
    return torch.stack(results).mean(dim=0)


def split(
    model, signal: Tensor, start: int, length: int, *, segment: int | None, overlap=0.25, power=1.0
) -> Tensor:
    if segment is None:
        return leaf(model, signal, start, length)
    stride = int((1 - overlap) * segment)
    half = segment // 2
    window = torch.tensor([*range(1, half + 1), *range(segment - half, 0, -1)], dtype=torch.float32)
    window = (window / window.max()) ** power
    out, weight_sum = 0.0, torch.zeros(length)
    out = torch.zeros(len(signal), len(model.spec.stems), signal.shape[1], length)
    for offset in range(0, length, stride):
        piece = leaf(model, signal, start + offset, min(segment, length - offset))
        count = piece.shape[-1]
        out[..., offset : offset + count] += window[:count] * piece
        weight_sum[offset : offset + count] += window[:count]
    return out / weight_sum


def leaf(model, signal: Tensor, start: int, length: int) -> Tensor:
    valid = model.valid_samples(length)
    delta = valid - length
    first = start - delta // 2
    last = first + valid
    real = signal[..., max(first, 0) : min(last, signal.shape[-1])]
    extended = torch.nn.functional.pad(real, (max(0, -first), max(0, last - signal.shape[-1])))
    out = model(extended)
    return out[..., delta // 2 : delta // 2 + length]
