"""Stop rules in a whole run: the restored epoch in tables and files, and again for nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import warehouse
from flows.cli.ranking import epoch_words
from foodvision.home import Home
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from tasks.loading import rebuild
from tasks.verifying import verify_plan
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from flows.outcome import RunOutcome
    from flows.server import ServerHandle

PLAN = """
grid:
  stop:
    never: null
    patient: {patience: 2}
    last: {patience: 1, restore: last}
tta: {turned: [identity, horizontal_flip]}
ensembles:
  both: {kind: mean}
"""
SETTINGS = {"epochs": 8, "valid": 0.25, "optimizer": "{kind: sgd, lr: 0.3, momentum: 0.9}"}
ROWS = """
select label, kind, status, epochs, epochs_trained, best_epoch, result_key, test_loss,
    seconds_alone, model_path
from leaderboard order by position
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    photos = make_photos(tmp_path_factory.mktemp("photos") / "photos")
    return plan_text(photos, PLAN, **SETTINGS)


def run_plan(text: str, home: Home) -> RunOutcome:
    from flows.grid import run_plan as run

    return run(text, home=home, progress=SILENT)


@pytest.fixture(scope="module")
def first(
    text: str, server: ServerHandle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, RunOutcome]:
    home = Home(tmp_path_factory.mktemp("home"))
    return home, run_plan(text, home)


def rows(home: Home, sql: str = ROWS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = warehouse.query(home.warehouse, sql).to_pylist()
    return found


def test_tables_tell_the_restored_epoch_and_all_that_were_trained(
    first: tuple[Home, RunOutcome],
) -> None:
    home, outcome = first
    assert not outcome.failures
    assert outcome.is_bound
    assert outcome.counted.epochs == outcome.predicted.epochs == 8
    assert outcome.counted.scored_images <= outcome.predicted.scored_images
    never, patient, last = rows(home)[:3]
    assert (never["epochs_trained"], never["best_epoch"]) == (8, None)
    assert patient["epochs_trained"] == patient["best_epoch"] + 2 < 8
    assert last["epochs_trained"] < 8
    assert last["best_epoch"] is None
    for row in (patient, last):
        assert row["epochs"] == 8
        assert row["seconds_alone"] < never["seconds_alone"]
        curve = rows(
            home,
            "select epoch, loss, is_result from learning_curves where split = 'test' and "
            f"result_key = '{row['result_key']}' order by epoch",
        )
        assert [point["epoch"] for point in curve] == [*range(1, row["epochs_trained"] + 1)]
        (result,) = [point for point in curve if point["is_result"]]
        assert result["epoch"] == (row["best_epoch"] or row["epochs_trained"])
        assert result["loss"] == row["test_loss"]


def test_views_of_a_cell_have_its_epoch_and_an_ensemble_has_none(
    first: tuple[Home, RunOutcome],
) -> None:
    found = rows(first[0])
    cells, views, (ensemble,) = found[:3], found[3:6], found[6:]
    assert cells[1]["best_epoch"] is not None
    for cell, view in zip(cells, views, strict=True):
        assert view["kind"] == "tta"
        assert view["best_epoch"] == cell["best_epoch"]
        assert view["epochs_trained"] == cell["epochs_trained"]
        assert epoch_words(view) == epoch_words(cell)
    assert ensemble["best_epoch"] is None
    assert epoch_words(ensemble) is None


def test_files_are_those_of_the_restored_epoch(first: tuple[Home, RunOutcome]) -> None:
    home, _ = first
    patient = rows(home)[1]
    card = json.loads((home.root / patient["model_path"]).with_suffix(".json").read_text())
    assert card["stopped"]["epoch"] == patient["best_epoch"]
    assert card["metrics"]["test_loss"] == patient["test_loss"]
    (folder,) = home.runs.glob("*/*/*/patient")
    events = EventAccumulator(str(folder)).Reload()
    assert events.Scalars("final/best_epoch")[0].value == patient["best_epoch"]
    assert events.Scalars("final/test_loss")[0].value == pytest.approx(patient["test_loss"])
    assert len(events.Scalars("learning_rate")) == patient["epochs_trained"]


def test_an_unchanged_run_trains_nothing_and_a_rebuilt_warehouse_says_the_same(
    text: str, first: tuple[Home, RunOutcome]
) -> None:
    home, _ = first
    again = run_plan(text, home)
    assert not again.is_bound
    assert again.counted.epochs == again.counted.scored_images == 0
    before = rows(home)
    rebuild(home)
    assert rows(home) == before


def test_cells_with_stop_rules_are_verified(text: str, first: tuple[Home, RunOutcome]) -> None:
    home, _ = first
    found = verify_plan(load_plan(text), home, cells=None, seed=0, progress=SILENT)
    assert [each.label for each in found] == ["never", "patient", "last"]
    assert all(each.is_equal for each in found)
