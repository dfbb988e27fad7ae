"""Devices: which kind computes, and what of it acts on the last bits. Imports torch when asked."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foodvision.errors import TrainingError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """A kind of device.

    Attributes:
        kind: cpu, cuda or mps.
        capability: what decides which arithmetic a library picks: instruction set and maker of a
            CPU, name and compute capability of a GPU.
        name: for torch: `cpu`, `mps`, `cuda:0`.
    """

    kind: str
    capability: str
    name: str


def find_device(wanted: str) -> Device:
    """Return the device that a plan's `device` means here.

    Raises:
        TrainingError: this machine, or this build of torch, has no such device.
    """
    import torch

    kind, _, index = wanted.partition(":")
    if kind == "auto":
        kind = _best_kind()
    if kind == "cuda":
        first = int(index.split(",")[0]) if index else 0
        _require(torch.cuda.device_count() > first, wanted, f"{torch.cuda.device_count()} GPUs")
        major, minor = torch.cuda.get_device_capability(first)
        capability = f"{torch.cuda.get_device_name(first)} sm_{major}{minor} {torch.version.cuda}"
        return Device("cuda", capability, f"cuda:{first}")
    if kind == "mps":
        _require(torch.backends.mps.is_available(), wanted, "no Apple GPU")
        return Device("mps", f"{platform.machine()} {platform.mac_ver()[0]}", "mps")
    capability = f"{torch.backends.cpu.get_cpu_capability()} {_cpu_vendor()}"
    return Device("cpu", capability, "cpu")


def machine_fingerprint() -> dict[str, str]:
    """Return what tells, without torch, that the devices may have changed."""
    return {
        "machine": platform.machine(),
        "cpu": _cpu_vendor() + " " + _cpu_flags(),
        "gpus": ",".join(sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES", "all"),
        "system": platform.platform(),
        "capability": os.environ.get("ATEN_CPU_CAPABILITY", ""),
    }


def torch_device(device: Device) -> torch.device:
    """Return torch's name for it."""
    import torch

    return torch.device(device.name)


def _best_kind() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _require(available: bool, wanted: str, found: str) -> None:
    if not available:
        raise TrainingError(
            f"device: this machine must have {wanted!r}, found {found}. Use `device: auto` or "
            "`device: cpu` (for one run: --set base.device=cpu)."
        )


def bfloat16_instructions() -> str:
    """Return what this CPU has for bfloat16: it decides over the last bits, and over the speed."""
    flags = _cpu_flags().split() or _cpuinfo("Features").split()
    return " ".join(sorted(flag for flag in flags if "bf16" in flag or flag.startswith("amx")))


def _cpu_vendor() -> str:
    return _cpuinfo("vendor_id") or platform.processor() or platform.machine()


def _cpu_flags() -> str:
    return _cpuinfo("flags")


def _cpuinfo(field: str) -> str:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return ""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""
