"""Devices: which kind computes, and what of it acts on the last bits. Imports torch when asked."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from foodvision.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Device:
    """Devices of a kind that give the same bits.

    Attributes:
        kind: cpu, cuda or mps.
        capability: what decides which arithmetic a library picks: instruction set and maker of a
            CPU, name and compute capability of a GPU.
        names: for torch: `cpu`, `mps`, `cuda:0` and more of its like.
    """

    kind: str
    capability: str
    names: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def name(self) -> str:
        """The first of them."""
        return self.names[0]


def find_device(wanted: str) -> Device:
    """Return the devices that a plan's `device` means here.

    `auto` and `cuda` mean all GPUs that are like the first.

    Raises:
        TrainingError: this machine, or this build of torch, has no such device, or the GPUs that
            are named are not alike.
    """
    import torch

    kind, _, numbers = wanted.partition(":")
    if kind == "auto":
        kind = _best_kind()
    if kind == "cuda":
        return _find_gpus(wanted, [int(number) for number in numbers.split(",") if number])
    if kind == "mps":
        _require(torch.backends.mps.is_available(), wanted, "no Apple GPU")
        return Device("mps", f"{platform.machine()} {platform.mac_ver()[0]}", ("mps",))
    capability = f"{torch.backends.cpu.get_cpu_capability()} {_cpu_vendor()}"
    return Device("cpu", capability, ("cpu",))


def _find_gpus(wanted: str, numbers: Sequence[int]) -> Device:
    """Return the GPUs of these numbers; without numbers, all that are like the first."""
    import torch

    found = torch.cuda.device_count()
    _require(found > max(numbers, default=0), wanted, f"{found} GPUs")
    chosen = list(dict.fromkeys(numbers)) or list(range(found))
    capabilities = {number: _gpu_capability(number) for number in chosen}
    first = capabilities[chosen[0]]
    alike = [number for number in chosen if capabilities[number] == first]
    if numbers and len(alike) < len(chosen):
        other = next(number for number in chosen if number not in alike)
        raise TrainingError(
            f"device: the GPUs of {wanted!r} must be alike, for results of one key to be equal to "
            f"the bit, found {first} and {capabilities[other]}. Use `device: cuda:{chosen[0]}`, or "
            "an axis with one of them each."
        )
    return Device("cuda", first, tuple(f"cuda:{number}" for number in alike))


def _gpu_capability(number: int) -> str:
    import torch

    major, minor = torch.cuda.get_device_capability(number)
    return f"{torch.cuda.get_device_name(number)} sm_{major}{minor} {torch.version.cuda}"


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


def processor_name(device: Device) -> str:
    """Return what a device is called, and of a CPU how many cores there are."""
    if device.kind != "cpu":
        return device.capability
    return f"{_cpuinfo('model name') or _cpu_vendor()}, {os.cpu_count()} cores"


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
