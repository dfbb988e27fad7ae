"""What the machine does while a run goes on."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import asdict
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from foodvision.report.tensorboard import write_system
from foodvision.store import Store
from tasks.gpus import GpuSample
from tasks.journal import Journal, read_journal
from tasks.monitoring import Sampler, monitored
from tasks.records import run_records, system_samples
from tasks.tables import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path


STARTED: dict[str, Any] = {
    "run_id": "run", "plan_id": "id", "plan_name": "small", "description": "", "plan_json": "{}",
    "source_path": None, "set": [], "cells": 0, "environment": {}, "plan_cells": [],
}  # fmt: skip


def _burn(seconds: float) -> None:
    deadline = time.process_time() + seconds
    while time.process_time() < deadline:
        pass


def test_a_busy_process_is_seen(tmp_path: Path) -> None:
    began = time.monotonic()
    sampler = Sampler(tmp_path)
    _burn(0.2)
    sample = sampler.look()
    passed = time.monotonic() - began
    assert 0.2 <= sample.seconds <= passed
    assert sample.run_cpu_percent >= 100 * 0.15 / passed
    assert sample.run_memory_bytes >= psutil.Process().memory_info().rss / 2
    assert sample.memory_bytes > 0
    assert sample.free_disk_bytes > 0
    assert 0 <= sample.cpu_percent <= 100


def test_written_bytes_count(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path)
    before = sampler.look().written_bytes
    if before is None:
        pytest.skip("this system does not tell what a process writes")
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    after = sampler.look().written_bytes
    assert after is not None
    assert after >= before + (1 << 20)


def test_samples_come_until_the_block_ends(tmp_path: Path) -> None:
    samples: list[dict[str, Any]] = []
    enough = threading.Event()

    def note(sample: dict[str, Any]) -> None:
        samples.append(sample)
        if len(samples) == 3:
            enough.set()

    with monitored(tmp_path, note, every_seconds=0.01):
        assert enough.wait(60)
    count = len(samples)
    time.sleep(0.05)
    assert len(samples) == count
    assert [sample["seconds"] for sample in samples] == sorted(s["seconds"] for s in samples)


def test_samples_become_rows(tmp_path: Path) -> None:
    started = STARTED | {"event": "started", "at": "2026-03-01T12:00:00+00:00"}
    names = SCHEMAS["system_metrics"].names[2:]
    sample = dict.fromkeys(names, 1) | {"event": "system", "at": "2026-03-01T12:00:05+00:00"}
    (row,) = run_records([started, sample], Store(tmp_path)).rows["system_metrics"]
    assert list(row) == SCHEMAS["system_metrics"].names
    assert row["run_id"] == "run"
    assert row["sampled_at"].isoformat() == "2026-03-01T12:00:05+00:00"


class Nvml(ModuleType):
    """Stands in for `pynvml`: two GPUs, the second of which does not tell what it draws."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """As the module's own."""

    def __init__(self, lost: str = "") -> None:
        super().__init__("pynvml")
        self._lost = lost

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in super().__getattribute__("_lost"):
            raise Nvml.NVMLError(name)
        return super().__getattribute__(name)

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlDeviceGetName(self, number: int) -> str | bytes:  # noqa: N802
        return (b"H200", "A100")[number]

    def nvmlDeviceGetUtilizationRates(self, number: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=40 + 20 * number)

    def nvmlDeviceGetMemoryInfo(self, number: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=1000 * (number + 1))

    def nvmlDeviceGetTemperature(self, number: int, sensor: int) -> int:  # noqa: N802
        return 50 + number + sensor

    def nvmlDeviceGetPowerUsage(self, number: int) -> int:  # noqa: N802
        if number == 1:
            raise Nvml.NVMLError("not supported")
        return 123_400


def test_gpus_are_looked_at_by_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    sample = Sampler(tmp_path).look()
    assert (sample.gpu_percent, sample.gpu_memory_bytes) == (50.0, 3000)
    assert sample.gpus == (
        GpuSample(0, "H200", 40.0, 1000, 50.0, 123.4),
        GpuSample(1, "A100", 60.0, 2000, 51.0, None),
    )


@pytest.mark.parametrize(
    "lost",
    ["nvmlDeviceGetUtilizationRates nvmlDeviceGetMemoryInfo", "nvmlInit", "nvmlDeviceGetCount"],
)
@pytest.mark.filterwarnings("error")
def test_a_lost_or_missing_driver_is_no_trouble(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(lost))
    sample = Sampler(tmp_path).look()
    assert (sample.gpu_percent, sample.gpu_memory_bytes) == (None, None)
    assert len(sample.gpus) == (2 if "Rates" in lost else 0)


def test_without_the_module_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Sampler(tmp_path).look().gpus == ()


def test_gpus_become_rows_and_charts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    journal = Journal(tmp_path / "run.jsonl")
    journal.write("started", **STARTED)
    journal.write("system", **asdict(Sampler(tmp_path).look()))
    events = read_journal(journal.path)
    records = run_records(events, Store(tmp_path))
    assert [row["gpu_name"] for row in records.rows["gpu_metrics"]] == ["H200", "A100"]
    assert records.tables()["gpu_metrics"].column("power_watts").to_pylist() == [123.4, None]
    ((_, figures),) = system_samples(events)
    assert figures["gpu_1/temperature_celsius"] == 51.0
    write_system(tmp_path / "board", system_samples(events))
    tags = EventAccumulator(str(tmp_path / "board")).Reload().Tags()["scalars"]
    assert "system/gpu_0/power_watts" in tags
    assert "system/gpu_1/power_watts" not in tags
