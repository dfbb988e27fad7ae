"""Counted work that is not the predicted work is a defect, unless something explains it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from foodvision.plan.work import Tally, Work
from tasks.accounting import fallen_words, find_defect
from tasks.journal import read_events
from tests.running import Ran, make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

GRID = "grid: {epochs: [1, 2]}\n"
MODEL = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    photos = make_photos(tmp_path_factory.mktemp("photos") / "photos", train=4, test=2)
    return run(plan_text(photos, GRID, model=MODEL), tmp_path_factory.mktemp("home"))


def events(ran: Ran, status: str = "completed") -> list[dict[str, Any]]:
    cells = [
        {"event": "cell", "cell_id": compiled.cell.cell_id, "status": "completed"}
        for compiled in ran.graph.cells
    ]
    cells[-1]["status"] = status
    return [*read_events(ran.home.journals / "run.jsonl"), *cells]


def off_by_one(work: Work) -> Work:
    return replace(work, predicted=work.predicted + Tally(epochs=1, prefix_images=1000))


def test_equal_work_is_no_defect(ran: Ran) -> None:
    assert ran.counted == ran.work.predicted
    assert find_defect(ran.work, ran.counted, events(ran)) is None


def test_other_work_is_a_defect_that_names_both_numbers(ran: Ran) -> None:
    found = find_defect(off_by_one(ran.work), ran.counted, events(ran))
    assert found is not None
    assert "epochs 3 predicted, 2 counted" in found
    assert "prefix images 1,018 predicted, 18 counted" in found
    assert "steps" not in found


@pytest.mark.parametrize("status", ["failed", "diverged", "pending"])
def test_a_cell_that_did_not_complete_explains_it(status: str, ran: Ran) -> None:
    assert find_defect(off_by_one(ran.work), ran.counted, events(ran, status)) is None


def test_a_cell_without_an_outcome_explains_it(ran: Ran) -> None:
    assert find_defect(off_by_one(ran.work), ran.counted, events(ran)[:-1]) is None


@pytest.mark.parametrize("kinds", [("features-shard",), ("train", "score"), ("score",)], ids=str)
def test_stages_of_another_run_explain_it(kinds: tuple[str, ...], ran: Ran, tmp_path: Path) -> None:
    """Plan against an empty store, find stages there when their turn comes."""
    home = tmp_path / "home"
    place = ran.home.root

    def appear(store: Path) -> None:
        for kind in kinds:
            shutil.copytree(place / "store" / kind, store / kind, symlinks=True)

    found = run_after(ran, home, appear)
    assert found.counted != found.work.predicted
    assert find_defect(found.work, found.counted, events(found)) is None


def run_after(ran: Ran, home: Path, appear: Any) -> Ran:
    import tests.running

    honest = tests.running.plan_tasks

    def late(*given: Any, **more: Any) -> Any:
        appear(home / "store")
        return honest(*given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tests.running, "plan_tasks", late)
        source = ran.plan.data["photos"].source
        from pathlib import Path

        return run(plan_text(Path(source), GRID, model=MODEL), home)


def row(status: str, trained: int = 4, *, kind: str = "trained") -> dict[str, Any]:
    return {"status": status, "epochs_trained": trained, "epochs": 4, "kind": kind}


@pytest.mark.parametrize(
    ("rows", "counted", "words"),
    [
        ([row("completed"), row("diverged", 1)], 5, "3 epochs fell away: 1 cell diverged"),
        ([row("diverged", 3)], 7, "1 epoch fell away: 1 cell diverged"),
        ([row("diverged")], 8, ""),
        ([row("completed", 2)], 6, ""),
        ([row("diverged", kind="mean")], 6, ""),
        (
            [row("completed", 2), row("failed", 0), *[row("diverged")] * 2],
            2,
            "6 epochs fell away: 2 cells diverged, others were stopped, others failed",
        ),
    ],
)
def test_epochs_that_fell_away_are_told(
    rows: list[dict[str, Any]], counted: int, words: str
) -> None:
    assert fallen_words(8, counted, rows) == words
