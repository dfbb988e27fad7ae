"""What a run says of work that another run did in the meantime."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from flows.cli.running import others_words
from foodvision.plan.work import Tally
from foodvision.progress import SILENT, Bar, Progress
from foodvision.store import Store
from tasks.jobs import plan_tasks
from tasks.journal import Journal, read_events
from tasks.outcomes import Ledger
from tasks.runners import InProcess, Workplace
from tests.running import Ran, do_all, make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.plan.cell_schema import CellSettings

REST = "tta: {flips: [identity, horizontal_flip]}\nensembles: {both: {kind: mean}}\n"
GRID = "grid: {seed: [1, 2]}\n"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run of two cells: what was missing when it began is there now."""
    place = tmp_path_factory.mktemp("ran")
    photos = make_photos(place / "photos", train=4, test=2)
    return run(plan_text(photos, GRID + REST, epochs=1), place / "home")


def _cpu(_: CellSettings) -> tuple[str, ...]:
    return ("cpu",)


def _do_again(ran: Ran, journal: Path, progress: Progress = SILENT) -> Ledger:
    """Do what was missing, as a run does that has planned it at the same time."""
    ledger = Ledger(Journal(journal))
    runner = InProcess(Workplace(ran.home, ran.plan.folder), progress=progress)
    do_all(plan_tasks(ran.graph, ran.work, devices=_cpu), ledger, runner)
    return ledger


def test_what_another_run_did_is_told(ran: Ran, tmp_path: Path) -> None:
    assert ran.ledger.found == set()
    ledger = _do_again(ran, tmp_path / "run.jsonl")
    assert ledger.counted == Tally()
    assert ledger.found == set(ran.work.keys) | {job.recipe.key for job in ran.work.rows}
    stages = [each for each in read_events(tmp_path / "run.jsonl") if each["event"] == "stage"]
    assert len(stages) == len(ledger.found)
    assert all(stage["is_found"] for stage in stages)
    words = others_words(len(ledger.found), waited_seconds=ledger.waited_seconds)
    assert words == f"; another run did {len(ledger.found)} stages of it meanwhile"


class _Noticing:
    """Notices that somebody waits."""

    def __init__(self) -> None:
        self.waits = threading.Event()

    def begin(self, label: str, *, total: float | None, unit: str) -> Bar:
        if label == "waiting for another run":
            self.waits.set()
        return SILENT.begin(label, total=total, unit=unit)


def test_waiting_for_another_run_is_told_and_is_no_work(ran: Ran, tmp_path: Path) -> None:
    key = ran.work.training[0].span.key
    held, progress = threading.Event(), _Noticing()

    def hold() -> None:
        with Store(ran.store.root).lock(f"train-{key}"):
            held.set()
            assert progress.waits.wait(60)
            time.sleep(0.2)  # long enough to be told

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    ledger = _do_again(ran, tmp_path / "run.jsonl", progress)
    other.join()
    (event,) = [each for each in read_events(tmp_path / "run.jsonl") if each.get("key") == key]
    assert event["waited_seconds"] == ledger.waited_seconds > 0
    assert "s of waiting for other runs" in others_words(1, waited_seconds=ledger.waited_seconds)


def test_a_run_alone_says_nothing_of_others() -> None:
    assert others_words(0, waited_seconds=0.0) == ""
