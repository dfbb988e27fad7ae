"""Workers: the bits of this process, errors told, and none left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from foodvision.home import Home
from foodvision.plan.work import Tally
from foodvision.stages.steps import has_steps
from tasks import pool as pools
from tasks.journal import read_events
from tasks.pool import Pool
from tasks.runners import Workplace
from tests import working
from tests.running import make_photos, plan_text, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.outcomes import Attempt, Job

ROOT = Path(__file__).parents[2]
GRID = """
grid:
  model:
    whole: {arch: tiny_vgg, hidden: 4, freeze: none}
    head: {arch: tiny_vgg, hidden: 4, freeze: backbone}
    normalised: {freeze: most}
    dropping: {arch: squeezenet1_1, freeze: backbone, dropout: 0.3}
  epochs: [1, 2]
include:
  - {model: whole, threads: 2, epochs: 2}
  - shaken:
      augment: [{kind: random_crop, padding: 2}, {kind: horizontal_flip}]
      precision: bfloat16
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos") / "photos", train=4, test=2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("it's a home")


@pytest.fixture(scope="module")
def pool(home: Path) -> Iterator[Pool]:
    with Pool(Workplace(Home(home), home), ["cpu", "cpu"]) as opened:
        yield opened


class Watcher:
    """Notes what it is told, from any thread."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def begin(self, label: str, *, total: float | None, unit: str) -> Watcher:
        self.told.append((label, total, unit))
        return self

    def advance(self, amount: float) -> None:
        self.told.append((amount,))

    def close(self) -> None:
        self.told.append(())


def do(pool: Pool, *jobs: Job) -> list[Attempt]:
    with pool.taking(jobs) as attempt:
        return [attempt(job) for job in jobs]


def test_two_processes_give_the_bits_of_this_one(
    pool: Pool, home: Path, photos: Path, tmp_path: Path
) -> None:
    text = plan_text(photos, GRID, model="{arch: mnasnet0_5}").replace("size: 16", "size: 32")
    here = run(text, tmp_path)
    there = run(text, home, ["record.steps=true"], runner=pool)
    assert not here.ledger.failures
    assert not there.ledger.failures
    assert there.counted == there.work.predicted == here.counted
    assert len(here.results()) == 10
    assert there.results() == here.results()
    assert {has_steps(entry) for entry in there.store.entries("train")} == {True}
    assert {has_steps(entry) for entry in here.store.entries("train")} == {False}
    assert run(text, home).work.is_empty


def test_an_outcome_comes_back(pool: Pool) -> None:
    first, second = do(pool, working.job("a", working.count, 3), working.job("b", working.fail))
    assert first.tally == Tally(epochs=3)
    assert first.error is first.details is None
    assert first.device == "cpu"
    assert first.peak_memory_bytes > 0
    assert second.error == "planted. Do not plant."
    (third,) = do(pool, working.job("c", working.crash))
    assert third.error == "ZeroDivisionError: planted"
    assert "tests/working.py" in (third.details or "")


def test_progress_and_warnings_are_mirrored(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher()
    for seat in pool._seats:
        seat.progress = watcher
    (tried,) = do(pool, working.job("w", working.watched))
    assert tried.error is None
    begun, *steps, closed = watcher.told
    assert (begun, closed) == (("watched", 3, "epochs"), ())
    assert sum(amount for (amount,) in steps) == 3
    told = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert ("foodvision.somewhere", "WARNING", "a friendly word") in told
    assert any("a word of a library" in text for _, _, text in told)


def test_jobs_that_need_nothing_of_each_other_run_side_by_side(pool: Pool, tmp_path: Path) -> None:
    places = tmp_path / "one", tmp_path / "other"
    jobs = working.job("x", working.meet, *places), working.job("y", working.meet, *places[::-1])
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda job: do(pool, job)[0].error, jobs))
    assert found == [None, None]
    assert len({place.read_text() for place in places}) == 2


def test_a_worker_that_dies_fails_its_job_and_is_replaced(pool: Pool) -> None:
    before = set(pool.pids)
    died, next_one = do(
        pool, working.job("d", working.die, signal.SIGKILL), working.job("n", working.count, 1)
    )
    assert "was killed. The system does that when memory runs out" in (died.error or "")
    assert "on cpu" in (died.error or "")
    assert next_one.tally == Tally(epochs=1)
    assert len(set(pool.pids) - before) == 1


def test_a_worker_is_asked_ahead_and_answers_are_those_of_their_jobs(pool: Pool) -> None:
    jobs = [working.job(f"j{number}", working.count, number) for number in range(1, 9)]
    jobs[6] = replace(jobs[6], needs=("j6",))
    with pool.taking(jobs) as attempt:
        tried = {number: attempt(jobs[number - 1]).tally.epochs for number in (1, 2, 4, 7, 8)}
    assert tried == {1: 1, 2: 2, 4: 4, 7: 7, 8: 8}  # nobody wanted 3, 5 and 6 in the end
    assert do(pool, working.job("k", working.count, 9))[0].tally.epochs == 9


def test_a_job_is_not_asked_for_before_what_it_needs_is_answered(
    pool: Pool, tmp_path: Path
) -> None:
    fails = working.job("f", working.fail)
    notes = working.job("g", working.meet, tmp_path / "g", tmp_path, needs=("f",))
    with pool.taking([fails, notes]) as attempt:
        assert attempt(fails).error == "planted. Do not plant."
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import sys; sys.exit('no torch for you')", "ended with code 1 (no torch for you)"),
        ("import os; os.kill(os.getpid(), 11)", "ended by SIGSEGV. Run the plan again"),
    ],
    ids=["exit", "segmentation fault"],
)
def test_workers_that_cannot_start_say_why(
    code: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "python_command", lambda *_: [sys.executable, "-c", code])
    starts: list[object] = []
    honest = pools._Worker
    monkeypatch.setattr(pools, "_Worker", lambda *given: starts.append(0) or honest(*given))
    with Pool(Workplace(Home(tmp_path), tmp_path), ["cpu"]) as broken:
        jobs = [working.job(str(number), working.count, 1) for number in range(5)]
        assert all(error in (tried.error or "") for tried in do(broken, *jobs))
    assert len(starts) == 2  # not one process after the other


def test_a_closed_pool_ends_what_is_underway(tmp_path: Path) -> None:
    pool = Pool(Workplace(Home(tmp_path), tmp_path), ["cpu"])
    job = working.job("m", working.meet, tmp_path / "here", tmp_path / "never")
    found: list[Attempt] = []
    thread = threading.Thread(target=lambda: found.extend(do(pool, job, job)))
    thread.start()
    wait_for(tmp_path / "here")
    (pid,) = pool.pids
    pool.close()
    thread.join(timeout=60)
    assert ["the run was stopped" in (tried.error or "") for tried in found] == [True, True]
    assert not psutil.pid_exists(pid)


def test_workers_die_with_the_process_that_asked(tmp_path: Path) -> None:
    code = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from foodvision.home import Home\n"
        "from tasks.pool import Pool\n"
        "from tasks.runners import Workplace\n"
        "from tests import working\n"
        "place = Path(sys.argv[1])\n"
        "pool = Pool(Workplace(Home(place), place), ['cpu', 'cpu'])\n"
        "job = working.job('m', working.meet, place / 'here', place / 'never')\n"
        "print(*pool.pids, flush=True)\n"
        "with pool.taking([job]) as attempt: attempt(job)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    wait_for(tmp_path / "here")
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


def test_devices_of_stages_are_in_the_journal(photos: Path, tmp_path: Path) -> None:
    run(plan_text(photos, epochs=1), tmp_path)
    events = read_events(Home(tmp_path).journals / "run.jsonl")
    assert {event["device"] for event in events} == {"cpu"}
    assert json.dumps(events)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)
