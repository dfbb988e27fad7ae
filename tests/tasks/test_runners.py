"""Which processes do the work, and in which order."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from foodvision.errors import StoreError, TrainingError
from foodvision.home import Home
from foodvision.plan.work import Tally
from tasks import runners
from tasks.jobs import TaskGroup
from tasks.journal import Journal, read_events
from tasks.outcomes import Attempt, Job, Ledger
from tasks.runners import (
    InProcess,
    Workplace,
    do_jobs,
    open_runner,
    seats_for,
    wanted_workers,
    warn_of_crowd,
)
from tasks.schedule import run_groups
from tests import working

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tasks.outcomes import Doer

CPU, GPUS = ("cpu",), ("cuda:0", "cuda:2")


@pytest.mark.parametrize(
    ("devices", "workers", "seats"),
    [
        ([CPU, CPU], None, ["cpu"]),
        ([CPU], 2, ["cpu", "cpu"]),
        ([GPUS], None, ["cuda:0", "cuda:2"]),
        ([GPUS], 3, ["cuda:0", "cuda:2", "cuda:0"]),
        ([GPUS, ("cuda:1",)], 2, ["cuda:0", "cuda:2", "cuda:1"]),
        ([CPU, GPUS], None, ["cpu", "cuda:0", "cuda:2"]),
    ],
)
def test_every_device_has_a_worker(
    devices: list[tuple[str, ...]], workers: int | None, seats: list[str]
) -> None:
    assert seats_for(devices, workers) == seats


@pytest.mark.parametrize(
    ("devices", "workers"),
    [([CPU], None), ([CPU], 1), ([GPUS], 1), ([CPU, ("cuda:0",)], None), ([("mps",)], None)],
)
def test_one_device_needs_no_processes(
    devices: list[tuple[str, ...]], workers: int | None, tmp_path: Path
) -> None:
    with open_runner(Workplace(Home(tmp_path), tmp_path), devices, workers=workers) as runner:
        assert isinstance(runner, InProcess)
        assert not runner.is_apart
        assert runner.workers(devices[0]) == 1


@pytest.mark.parametrize(
    ("workers", "cells", "cores", "is_apart"),
    [
        pytest.param(None, runners.MANY_CELLS, 2, True, id="many"),
        pytest.param(None, runners.MANY_CELLS - 1, 2, False, id="few"),
        pytest.param(1, runners.MANY_CELLS, 2, False, id="as asked"),
        pytest.param(None, runners.MANY_CELLS, 1, False, id="no core for it"),
    ],
)
def test_many_cells_are_published_beside_a_worker(
    workers: int | None,
    cells: int,
    cores: int,
    is_apart: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(runners, "available_cores", lambda: cores)
    place = Workplace(Home(tmp_path), tmp_path)
    with open_runner(place, [CPU], workers=workers, cells=cells) as runner:
        assert runner.is_apart is is_apart
        assert runner.workers(CPU) == 1


@pytest.mark.parametrize(
    ("given", "variable", "wanted"),
    [(None, None, None), (None, "", None), (None, "3", 3), (2, "3", 2), (1, None, 1)],
)
def test_workers_are_as_asked_for(
    given: int | None, variable: str | None, wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FOODVISION_WORKERS", raising=False)
    if variable is not None:
        monkeypatch.setenv("FOODVISION_WORKERS", variable)
    assert wanted_workers(given) == wanted


@pytest.mark.parametrize(("given", "variable"), [(0, ""), (-2, ""), (None, "two"), (None, "1.5")])
def test_bad_numbers_of_workers_are_told(
    given: int | None, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOODVISION_WORKERS", variable)
    with pytest.raises(TrainingError, match="workers must be a whole number of at least 1, got"):
        wanted_workers(given)


def test_a_crowd_is_told(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_crowd(1, 10_000)
    assert not caplog.records
    warn_of_crowd(10_000, 2)
    assert "10000 workers with 2 threads each want 20000 cores" in caplog.text


def group(key: str, *needs: str, devices: tuple[str, ...] = CPU) -> TaskGroup:
    made = working.job(key, working.count, 1, needs=needs)
    return TaskGroup("train", key, (type(made)(**{**vars(made), "devices": devices}),))


def test_groups_start_after_what_they_need_and_not_too_many_at_once() -> None:
    draw = random.Random(0)
    names = [f"{number:02}" for number in range(40)]
    needs = {n: draw.sample(names[:i], min(i, draw.randrange(3))) for i, n in enumerate(names)}
    groups = [
        group(name, *needs[name], "made by nobody", devices=(f"cuda:{int(name) % 2}",))
        for name in names
    ]
    running, most, done, ended = [0, 0], [0, 0], [], []
    lock = threading.Lock()

    def work(one: TaskGroup) -> None:
        device = int(one.label) % 2
        with lock:
            assert set(needs[one.label]) <= set(done)
            running[device] += 1
            most[device] = max(most[device], running[device])
        threading.Event().wait(draw.random() / 200)
        with lock:
            running[device] -= 1
            done.append(one.label)

    started: list[Future[None]] = []
    with ThreadPoolExecutor(8) as threads:

        def start(one: TaskGroup) -> Future[None]:
            started.append(threads.submit(work, one))
            return started[-1]

        run_groups(
            groups,
            workers=lambda one: 3 if one.devices == ("cuda:1",) else 2,
            start=start,
            ended=lambda one: ended.append(one.label),
        )
    assert [future.result() for future in started] == [None] * 40
    assert sorted(ended) == sorted(done) == names
    assert most[0] <= 2
    assert most[1] <= 3


def test_one_worker_goes_in_order() -> None:
    order: list[str] = []

    def start(one: TaskGroup) -> Future[None]:
        order.append(one.label)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    groups = [group("a"), group("b", "a"), group("c"), group("d", "b", "c")]
    run_groups(groups, workers=lambda _: 1, start=start, ended=lambda _: None)
    assert order == ["a", "b", "c", "d"]


def test_what_comes_after_others_starts_when_they_have_ended() -> None:
    """Two workers are free, and the last group still waits until it is alone."""
    ends: dict[str, Future[None]] = {}
    ended: list[str] = []

    def start(one: TaskGroup) -> Future[None]:
        ends[one.label] = Future()
        if one.label == "b":  # the others are under way; let them end, one by one
            threading.Thread(target=lambda: [ends[n].set_result(None) for n in "ab"]).start()
        if one.label == "alone":
            assert ended == ["a", "b"]
            ends["alone"].set_result(None)
        return ends[one.label]

    groups = [group("a"), group("b")]
    alone = replace(group("alone"), after=frozenset("ab"))
    run_groups(
        [*groups, alone], workers=lambda _: 3, start=start, ended=lambda g: ended.append(g.label)
    )
    assert ended == ["a", "b", "alone"]


class _FullDisk:
    """Does every job; the disk then does not take what they made."""

    @contextmanager
    def taking(self, jobs: Sequence[Job]) -> Iterator[Doer]:
        yield lambda *_: Attempt(tally=Tally(epochs=1))
        raise StoreError("the disk is full")


def test_jobs_whose_results_the_disk_refuses_have_failed(tmp_path: Path) -> None:
    ledger = Ledger(Journal(tmp_path / "run.jsonl"))
    job = Job("train", "key", "label", ("cell",), (), ("cpu",), lambda _: Tally())
    do_jobs([job], ledger, _FullDisk())  # type: ignore[arg-type]
    assert ledger.finished == set()
    assert ledger.failures == {"key": "the disk is full"}
    assert [event["error"] for event in read_events(tmp_path / "run.jsonl")] == [
        None,
        "the disk is full",
    ]
