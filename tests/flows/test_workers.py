"""A run whose work is done by other processes: the flow, its task runs, and what fails."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psutil
import pytest
import torch

import warehouse
from flows.grid import run_plan
from foodvision.home import Home
from foodvision.progress import SILENT
from foodvision.stages import training
from tasks.journal import journals, read_journal
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from pathlib import Path

    from flows.outcome import RunOutcome
    from flows.server import ServerHandle

GRID = """
grid:
  model: {tiny: {arch: tiny_vgg, hidden: 4, freeze: backbone}, mlp: {arch: mlp, hidden: 8}}
  epochs: [1, 2]
"""
RESULTS = (
    "select distinct label, result_key, test_loss from cell_runs where status = 'completed' "
    "order by label"
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("it's here") / "photos")


@pytest.fixture(scope="module")
def here(
    photos: Path, server: ServerHandle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, RunOutcome]:
    home = Home(tmp_path_factory.mktemp("here"))
    return home, run_plan(plan_text(photos, GRID), home=home, progress=SILENT)


def rows(home: Home, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = warehouse.query(home.warehouse, sql).to_pylist()
    return found


def events(home: Home) -> list[dict[str, Any]]:
    (path,) = journals(home.journals)
    return read_journal(path)


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # it has just ended
        return any("tasks.worker" in word for word in process.cmdline())
    return False


def test_two_workers_do_what_one_process_does(
    here: tuple[Home, RunOutcome], photos: Path, tmp_path: Path
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    home = Home(tmp_path)
    there = run_plan(plan_text(photos, GRID), home=home, workers=2, progress=SILENT)
    assert not there.failures
    assert there.counted == there.predicted == here[1].counted
    assert rows(home, RESULTS) == rows(here[0], RESULTS)
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(there.run_id)]))
        tasks = {t.name: t.state_name for t in client.read_task_runs(flow_run_filter=wanted)}
    assert tasks["train mlp, epoch 2, mlp, 2 epochs"] == "Completed"
    assert tasks["train tiny_vgg, 2 heads"] == "Completed"


def test_a_killed_worker_is_a_failed_cell_and_nothing_else(
    here: tuple[Home, RunOutcome], photos: Path, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    killed: list[int] = []

    def kill_the_first() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not killed:
            if any(home.journals.glob("*.jsonl")) and "stage" in str(events(home)):
                for worker in [p for p in psutil.Process().children() if is_worker(p)][:1]:
                    killed.append(worker.pid)
                    worker.send_signal(signal.SIGKILL)
            time.sleep(0.005)

    thread = threading.Thread(target=kill_the_first)
    thread.start()
    outcome = run_plan(plan_text(photos, GRID), home=home, workers=2, progress=SILENT)
    thread.join()
    for error in outcome.failures.values():
        assert f"the worker process {killed[0]} on cpu was killed" in error
    mended = run_plan(plan_text(photos, GRID), home=home, progress=SILENT)
    assert not mended.failures
    assert rows(home, RESULTS) == rows(here[0], RESULTS)


def test_a_training_that_does_not_fit_is_done_with_half_the_micro_batch(
    photos: Path, server: ServerHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = training.train_epochs
    tried: list[int] = []

    def small(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        size = kwargs["settings"].micro_batch or kwargs["settings"].batch_size
        if any(isinstance(part, torch.nn.Conv2d) for part in module.modules()):
            tried.append(size)
            if size > 2:
                kwargs["settings"] = None
                return (raised for raised in [0] if exhausted())
        return honest(module, *args, **kwargs)

    def exhausted() -> bool:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nAnd more.")

    monkeypatch.setattr(training, "train_epochs", small)
    text = plan_text(photos, GRID).replace("freeze: backbone", "freeze: none")
    text = text.replace("batch_size: 5", "batch_size: 8")
    home = Home(tmp_path)
    outcome = run_plan(text, home=home, progress=SILENT)
    assert not outcome.failures
    assert tried == [8, 4, 2, 2]
    told = events(home)
    decisions = [event["value"] for event in told if event["event"] == "decision"]
    assert decisions == [4, 2]
    failed = [event for event in told if event["event"] == "stage" and event["error"]]
    assert (
        "8 images at a time do not (CUDA out of memory. Tried to allocate 9 GiB.)"
        in (failed[0]["error"])
    )
    assert not [event for event in told if event["event"] == "defect"]
    again = run_plan(text, home=home, progress=SILENT)
    assert again.counted.epochs == 0
    named = run_plan(text, home=home, overrides=["base.micro_batch=2"], progress=SILENT)
    assert named.counted.epochs == 2  # of the other model
    best = {row["label"]: row["result_key"] for row in outcome.leaderboard}
    other = {row["label"]: row["result_key"] for row in named.leaderboard}
    assert best["tiny · 2 epochs"] == other["tiny · 2 epochs"]
    assert best["mlp · 2 epochs"] != other["mlp · 2 epochs"]
