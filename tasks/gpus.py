"""What NVIDIA's GPUs do just now, as their driver tells (NVML)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class GpuSample:
    """One look at a GPU; what it does not tell is `None`.

    Attributes:
        gpu: its number, from 0.
        gpu_name: as its maker names it.
        busy_percent: share of the time in which it was computing, in [0, 100].
        memory_bytes: in use.
        temperature_celsius: of the chip.
        power_watts: that it draws.
    """

    gpu: int
    gpu_name: str | None
    busy_percent: float | None
    memory_bytes: int | None
    temperature_celsius: float | None
    power_watts: float | None


def open_gpus() -> list[Callable[[], GpuSample]]:
    """Return what looks at each GPU; nothing without NVML, its driver, or GPUs."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(number)
            for number in range(pynvml.nvmlDeviceGetCount())
        ]
    except pynvml.NVMLError:  # no driver, or no GPU
        return []
    return [
        partial(_look, pynvml, number, handle, _told(pynvml, _name, handle))
        for number, handle in enumerate(handles)
    ]


def _look(nvml: Any, number: int, handle: Any, name: str | None) -> GpuSample:
    return GpuSample(
        gpu=number,
        gpu_name=name,
        busy_percent=_told(nvml, _busy, handle),
        memory_bytes=_told(nvml, _memory, handle),
        temperature_celsius=_told(nvml, _temperature, handle),
        power_watts=_told(nvml, _power, handle),
    )


def _told(nvml: Any, ask: Callable[[Any, Any], Any], handle: Any) -> Any:
    """Return the answer; `None` where this GPU cannot tell, or its driver is lost."""
    try:
        return ask(nvml, handle)
    except nvml.NVMLError:
        return None


def _name(nvml: Any, handle: Any) -> str:
    name: str | bytes = nvml.nvmlDeviceGetName(handle)
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def _busy(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)


def _memory(nvml: Any, handle: Any) -> int:
    return int(nvml.nvmlDeviceGetMemoryInfo(handle).used)


def _temperature(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))


def _power(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetPowerUsage(handle)) / 1000  # it tells milliwatts
