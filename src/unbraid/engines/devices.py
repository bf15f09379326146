"""Which device a model runs on, and in which precision. Torch is asked only where it may matter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from unbraid.errors import SettingsError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

# Drivers of NVIDIA (also below WSL and on Jetson) and of AMD, whose GPUs torch calls cuda too.
_DRIVERS = ("/proc/driver/nvidia", "/dev/nvidia0", "/dev/dxg", "/dev/nvgpu", "/dev/nvhost-gpu",
            "/dev/kfd")  # fmt: skip


def choose_device(name: str = "auto") -> str:
    """A device that is there, as torch names it.

    "auto" is CUDA where there is one, else the CPU. An Apple GPU is used only on request, or
    when `unbraid bench` found it faster: it may run such a model slower than the CPU.

    Raises:
        SettingsError: if the device is unknown or not there.
    """
    kind, _, index = name.partition(":") if isinstance(name, str) else ("", "", "")
    if name == "cpu" or (name == "auto" and not may_have_cuda()):
        return "cpu"
    if name not in ("auto", "mps") and not (kind == "cuda" and (not index or index.isdecimal())):
        raise SettingsError(f"a device is auto, cpu, cuda, cuda:N or mps, got {name!r}")
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "mps":
        if torch.backends.mps.is_available():
            return name
        raise SettingsError("there is no device mps: torch finds no Apple GPU; use --device cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) < found:
        return name
    raise SettingsError(
        f"there is no device {name}: torch finds {found} CUDA devices; use --device cpu"
    )


def may_have_cuda() -> bool:
    """Whether it is worth asking torch for a GPU, which takes seconds where torch is not loaded.

    False only where no driver is there, or where the environment hides all GPUs.
    """
    if sys.modules.get("torch") is not None:
        return True
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if sys.platform == "win32":
        return Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32/nvcuda.dll").exists()
    return sys.platform != "darwin" and any(Path(driver).exists() for driver in _DRIVERS)


def candidate_devices(name: str = "auto") -> list[str]:
    """Devices to measure: for "auto" the CPU and an Apple GPU if there is one, else a single one.

    Raises:
        SettingsError: if the device is unknown or not there.
    """
    chosen = choose_device(name)
    both = name == "auto" and chosen == "cpu" and _has_apple_gpu()
    return ["cpu", "mps"] if both else [chosen]


def _has_apple_gpu() -> bool:
    if sys.platform != "darwin" and sys.modules.get("torch") is None:
        return False
    import torch

    return torch.backends.mps.is_available()


def gpu_names() -> list[str]:
    """Names of the CUDA devices, as torch finds them."""
    if not may_have_cuda():
        return []
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(index) for index in range(found)]


def free_gpu_bytes(device: str) -> int | None:
    """Memory that is free on a CUDA device; None for devices that have no memory of their own."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.mem_get_info(device)[0]


def check_precision(precision: str, device: str) -> None:
    """Refuse a precision that is unknown, or that the device does not compute in.

    Raises:
        SettingsError: in both cases.
    """
    if precision not in PRECISIONS:
        raise SettingsError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "fp16" and device == "cpu":
        raise SettingsError("the CPU does not compute in fp16; use fp32 or bf16")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is what Python or torch raises where memory ends."""
    of_torch = getattr(sys.modules.get("torch"), "OutOfMemoryError", None)
    return isinstance(error, MemoryError) or (of_torch is not None and isinstance(error, of_torch))
