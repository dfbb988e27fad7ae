"""What the machine does while a run goes on."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from foodvision.store import Store
from tasks.monitoring import Sampler, monitored
from tasks.records import run_records
from tasks.tables import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path


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
    started = {
        "event": "started", "at": "2026-03-01T12:00:00+00:00", "run_id": "run", "plan_id": "id",
        "plan_name": "small", "description": "", "plan_json": "{}", "source_path": None, "set": [],
        "cells": 0, "environment": {}, "plan_cells": [],
    }  # fmt: skip
    names = SCHEMAS["system_metrics"].names[2:]
    sample = dict.fromkeys(names, 1) | {"event": "system", "at": "2026-03-01T12:00:05+00:00"}
    (row,) = run_records([started, sample], Store(tmp_path)).rows["system_metrics"]
    assert list(row) == SCHEMAS["system_metrics"].names
    assert row["run_id"] == "run"
    assert row["sampled_at"].isoformat() == "2026-03-01T12:00:05+00:00"


@pytest.mark.parametrize("breaks", [False, True], ids=["two GPUs", "a lost driver"])
def test_gpus_are_looked_at_by_nvml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, breaks: bool
) -> None:
    nvml: Any = ModuleType("pynvml")
    nvml.NVMLError = type("NVMLError", (Exception,), {})
    nvml.nvmlInit = lambda: None
    nvml.nvmlDeviceGetCount = lambda: 2
    nvml.nvmlDeviceGetHandleByIndex = lambda number: number

    def rates(number: int) -> SimpleNamespace:
        if breaks:
            raise nvml.NVMLError
        return SimpleNamespace(gpu=40 + 20 * number)

    nvml.nvmlDeviceGetUtilizationRates = rates
    nvml.nvmlDeviceGetMemoryInfo = lambda number: SimpleNamespace(used=1000 * (number + 1))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    sample = Sampler(tmp_path).look()
    wanted = (None, None) if breaks else (50.0, 3000)
    assert (sample.gpu_percent, sample.gpu_memory_bytes) == wanted
