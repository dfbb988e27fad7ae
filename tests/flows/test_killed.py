"""Crash-only running: kill -9 at any moment, run again, and nothing tells the difference."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import warehouse
from flows.grid import run_plan
from foodvision.home import Home
from foodvision.progress import SILENT
from tasks.journal import journals, read_events
from tests.flows.starting import kill_when, start
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from pathlib import Path

    from flows.server import ServerHandle

GRID = """
grid:
  model: {tiny: {arch: tiny_vgg, hidden: 4, freeze: backbone}, mlp: {arch: mlp, hidden: 8}}
  epochs: [2, 4]
"""
FOUND = """
select c.label, c.result_key, e.epoch, e.train_loss, e.test_loss, p.position, p.logits
from cell_runs c join epochs e using (result_key) join predictions p using (result_key)
where c.status = 'completed'
order by all
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    photos = make_photos(folder / "photos")
    path = folder / "plan.yaml"
    path.write_text(plan_text(photos, GRID), encoding="utf-8")
    return path


def found(home: Home) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = warehouse.query(home.warehouse, FOUND).to_pylist()
    return [row for index, row in enumerate(rows) if index == 0 or row != rows[index - 1]]


@pytest.fixture(scope="module")
def undisturbed(
    plan: Path, server: ServerHandle, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    home = Home(tmp_path_factory.mktemp("undisturbed"))
    run_plan(str(plan), home=home, progress=SILENT)
    return found(home)


def shows(home: Home, event: str, *, count: int = 1, run: int = 1) -> bool:
    """Say whether a home has so many runs, and the journal of the last one an event so often."""
    paths = list(journals(home.journals))
    events = [each["event"] for each in read_events(paths[-1])] if len(paths) == run else []
    return events.count(event) >= count


def test_a_run_that_is_killed_again_and_again_goes_on_to_the_same_results(
    plan: Path, undisturbed: list[dict[str, Any]], server: ServerHandle, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    # Compiled, in training, saving, before loading: each goes on from where the last one died.
    moments = [("compiled", 1), ("stage", 2), ("cell", 1), ("finished", 1)]
    for run, (event, count) in enumerate(moments, start=1):
        kill_when(start(plan, home), partial(shows, home, event, count=count, run=run))
    again = run_plan(str(plan), home=home, progress=SILENT)
    assert not again.failures
    assert found(home) == undisturbed
    told = warehouse.query(home.warehouse, "select status from runs order by started_at")
    assert told.column("status").to_pylist()[-1] == "completed"
    assert not list((home.store / "tmp").glob("*"))


def test_workers_of_a_killed_run_end_with_it(
    plan: Path, undisturbed: list[dict[str, Any]], server: ServerHandle, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    process = start(plan, home, workers=2)
    watched = psutil.Process(process.pid)
    workers: list[psutil.Process] = []

    def kill(pid: int, number: int) -> None:
        workers.extend(watched.children(recursive=True))
        os.kill(pid, number)  # the run alone, not its process group

    kill_when(process, partial(shows, home, "stage"), kill=kill)
    assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    again = run_plan(str(plan), home=home, progress=SILENT)
    assert not again.failures
    assert found(home) == undisturbed


def test_two_runs_at_once_compute_each_stage_once(
    plan: Path, undisturbed: list[dict[str, Any]], server: ServerHandle, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    processes = [start(plan, home, workers=workers) for workers in (1, 2)]
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    assert found(home) == undisturbed
    epochs = warehouse.query(home.warehouse, "select sum(epochs)::bigint as n from stages")
    assert epochs.column("n").to_pylist() == [8]
    images = warehouse.query(
        home.warehouse, "select sum(images)::bigint as n from stages where kind = 'features'"
    )
    assert images.column("n").to_pylist() == [36]
