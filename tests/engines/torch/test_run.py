"""Devices, precision, and a batch one by one."""

from __future__ import annotations

import pytest
import torch

from small_songs import LowHigh
from unbraid.engines.devices import (
    candidate_devices,
    check_precision,
    choose_device,
    free_gpu_bytes,
)
from unbraid.engines.ready import as_model, one_by_one
from unbraid.engines.torch.run import _computing_in
from unbraid.errors import SettingsError
from unbraid.models.compose.bag import Bag


class Linear(torch.nn.Module):
    spec = LowHigh.spec

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv1d(2, 4, 1)
        self.batches = []

    def valid_samples(self, samples):
        return samples + 1

    def forward(self, mixture):
        self.batches.append(len(mixture))
        return self.layer(mixture).unflatten(1, (2, 2))


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "cuda:x", "CPU", "", "mps:1"])
def test_a_device_that_is_not_there_is_told(name):
    with pytest.raises(SettingsError, match="device"):
        choose_device(name)


def test_the_cpu_does_not_compute_in_half_precision():
    with pytest.raises(SettingsError, match="bf16"):
        check_precision("fp16", "cpu")
    with pytest.raises(SettingsError, match="one of"):
        check_precision("fp64", "cpu")
    check_precision("bf16", "cpu")


def test_without_need_the_model_is_itself():
    model = Linear()
    mixture = torch.randn(1, 2, 50)
    for precision in ("auto", "fp32"):
        ready = as_model(model, precision)
        assert ready.module is model and as_model(ready) is ready
        assert torch.equal(ready(mixture), model(mixture).detach())


def test_one_by_one_gives_the_same():
    model = Linear()
    mixture = torch.randn(3, 2, 50)
    adapted = one_by_one(as_model(model))
    torch.testing.assert_close(adapted(mixture), model(mixture).detach())
    assert model.batches == [1, 1, 1, 3]
    assert (adapted.spec, adapted.valid_samples(5)) == (model.spec, 6)


def test_half_precision_comes_back_as_float32_and_near():
    model, mixture = Linear(), torch.randn(1, 2, 50)
    half = as_model(model, "bf16")(mixture)
    assert half.dtype == torch.float32
    assert 0 < (half - model(mixture)).abs().max() < 0.05


def test_full_precision_on_a_gpu_is_cudnn_without_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", True)
    seen = []

    class Asking(Linear):
        def forward(self, mixture):
            seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
            return super().forward(mixture)

    with _computing_in("fp32", "cuda"):  # the model itself is on the CPU
        Asking()(torch.randn(1, 2, 50))
    assert seen == [(True, False)]
    assert torch.backends.cudnn.allow_tf32


def test_the_members_of_a_bag_are_adapted():
    members = [Linear(), Linear()]
    bag = Bag(members, [[1, 0], [1, 1]])
    mixture = torch.randn(3, 2, 50)
    adapted = one_by_one(as_model(bag))
    assert adapted.weights == bag.weights
    torch.testing.assert_close(adapted(mixture), bag(mixture).detach())
    assert members[0].batches == [1, 1, 1, 3]


def test_the_cpu_has_no_memory_of_its_own_and_is_measured_alone():
    assert free_gpu_bytes("cpu") is None
    assert candidate_devices("cpu") == ["cpu"]


def test_beside_an_apple_gpu_the_cpu_is_measured_too(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert candidate_devices("auto") == ["cpu", "mps"]
    assert candidate_devices("mps") == ["mps"]


@pytest.mark.gpu
def test_on_a_gpu_batches_give_what_the_cpu_gives():
    import unbraid

    assert free_gpu_bytes("cuda") > 0
    signal = 0.1 * torch.randn(2, 30 * 44100, generator=torch.Generator().manual_seed(0))
    batched = unbraid.Separator("mini", "cuda", precision="fp32", segment_s=5.0)
    plain = unbraid.Separator("mini", "cpu", segment_s=5.0).separate(signal, 44100)
    assert batched.settings.batch_size > 1
    for stem, part in batched.separate(signal, 44100).items():
        torch.testing.assert_close(part, plain[stem], atol=1e-4, rtol=0)
