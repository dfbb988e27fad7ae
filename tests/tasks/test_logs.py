"""Logs: what a stage said is kept where it is looked for, however the stage ended."""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from foodvision.home import Home
from tasks.journal import Journal, read_events
from tasks.logs import doomed_logs, keeping, remove_logs, stage_log
from tasks.outcomes import Ledger
from tasks.pool import Pool
from tasks.runners import InProcess, Workplace, do_jobs
from tests import working

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.outcomes import Job
    from tasks.runners import Runner

JOBS = (
    working.job("a", working.count, 3),
    working.job("b", working.watched),
    working.job("c", working.fail),
    working.job("d", working.crash),
    working.job("e", working.count, 1, needs=("d",)),
)


def logs_of(runner: Runner, home: Home, *jobs: Job) -> tuple[Ledger, dict[str, str]]:
    """Do jobs; return what became of them, and the logs by key."""
    ledger = Ledger(Journal(home.journals / "1-run.jsonl"), home.logs / "1-run")
    do_jobs(jobs, ledger, runner)
    paths = {job.key: stage_log(home.logs / "1-run", job.kind, job.key) for job in jobs}
    return ledger, {key: path.read_text() for key, path in paths.items() if path.exists()}


def check(ledger: Ledger, told: dict[str, str], home: Home) -> None:
    assert told.keys() == {"a", "b", "c", "d"}
    assert "train a: begins on cpu (train a)" in told["a"]
    assert re.search(r"Z done after [0-9.]+ s: 3 epochs\n$", told["a"])
    assert "warning: foodvision.somewhere: a friendly word" in told["b"]
    assert told["b"].count("UserWarning: a word of a library (") == 1
    for key, error in (("c", "TrainingError: planted."), ("d", "ZeroDivisionError: planted")):
        assert "Traceback (most recent call last)" in told[key]
        assert "tests/working.py" in told[key]
        assert error in told[key]
        assert "friendly" not in told[key]
        assert re.search(r"Z failed after [0-9.]+ s\n$", told[key])
    assert ledger.failure_log(["a", "e"]) == "logs/1-run/train-d.log"
    events = read_events(home.journals / "1-run.jsonl")
    assert [event["log"] for event in events] == [
        *(f"logs/1-run/train-{key}.log" for key in "abcd"),
        None,
    ]


def test_in_this_process_every_stage_has_a_log_of_its_own(tmp_path: Path) -> None:
    home = Home(tmp_path / "料理 home")
    handlers = list(logging.getLogger().handlers)
    with pytest.warns(UserWarning, match="a word of a library"):
        ledger, told = logs_of(InProcess(Workplace(home, tmp_path)), home, *JOBS)
    check(ledger, told, home)
    assert logging.getLogger().handlers == handlers


def test_a_worker_keeps_them_too_and_what_killed_it_is_added(tmp_path: Path) -> None:
    home = Home(tmp_path / "it's a home")
    with Pool(Workplace(home, tmp_path), ["cpu"]) as pool:
        check(*logs_of(pool, home, *JOBS), home)
        _, told = logs_of(pool, home, working.job("f", working.die, signal.SIGKILL))
    assert "train f: begins" in told["f"]
    assert "was killed. The system does that when memory runs out" in told["f"]


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").write_text("no folder")
    with keeping(tmp_path / "logs" / "run" / "train-a.log"):
        done = True
    assert done
    assert "cannot be written" in caplog.text


def test_records_of_prefect_are_told_by_the_name_of_their_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where Prefect was set up before, it wants to send them, and there is no run that they are of.
    monkeypatch.setattr(logging.getLogger("prefect.task_runs"), "handlers", [])
    prefect = logging.getLogger("prefect.task_runs.stand_in")
    with keeping(tmp_path / "run.log"):
        prefect.error("Finished in state Failed()", extra={"task_run_name": "save 8 cells"})
        prefect.error("Task run failed with state: Failed()", exc_info=(None, None, None))
        done = {"task_run_name": "train mlp"}
        prefect.warning("Finished in state Completed(%r)", "train mlp: done", extra=done)
    told = (tmp_path / "run.log").read_text()
    assert "Z error: save 8 cells: Finished in state" in told
    assert "Z warning: train mlp: done\n" in told
    assert len(told.splitlines()) == 2


def test_logs_go_with_their_run_their_stage_or_their_age(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for run in ("1-kept", "2-gone", "3-living"):
        for name in ("run.log", "train-a.log"):
            path = home.logs / run / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("said")
    for run in ("1-kept", "3-living"):
        Journal(home.journals / f"{run}.jsonl").write("started")
    (home.logs / "20260101T000000-123.log").write_text("of a command")
    of_gone = [home.logs / "2-gone" / name for name in ("run.log", "train-a.log")]
    assert doomed_logs(home, [], ["living"]) == of_gone
    old = home.logs / "1-kept" / "run.log"
    for path in (old, home.logs / "3-living" / "run.log"):
        os.utime(path, (time.time() - 10 * 86_400,) * 2)
    assert doomed_logs(home, [], ["living"], older_than=9) == [old, *of_gone]
    remove_logs(of_gone)
    assert sorted(path.name for path in home.logs.iterdir()) == [
        "1-kept", "20260101T000000-123.log", "3-living",
    ]  # fmt: skip
