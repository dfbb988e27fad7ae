"""Answers to the questions, where the right ones are known. (That real runs give rows: flows.)"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import warehouse
from warehouse import statements

from .conftest import START

if TYPE_CHECKING:
    from pathlib import Path

Tables = dict[str, pa.Table]
Row = dict[str, Any]
Rows = Callable[..., pa.Table]
Cells = Callable[..., Tables]


@pytest.fixture
def ask(path: Path) -> Callable[[str, Tables], list[Row]]:
    """Load tables into a new file and ask it a question."""

    def answer(name: str, tables: Tables) -> list[Row]:
        found = statements.question(name)
        assert found
        warehouse.load(path, tables)
        rows: list[Row] = warehouse.query(path, found.sql).to_pylist()
        return rows

    return answer


@pytest.mark.parametrize(
    ("days", "changes"),
    [
        pytest.param([0], {"a": "new", "b": "new"}, id="ran once"),
        pytest.param([0, 1], {"a": "better", "b": "gone", "c": "new"}, id="the run before"),
        pytest.param([0, 5, 7], {"a": "better", "b": "gone", "c": "new"}, id="a week before"),
        pytest.param([0, 1, 2], {"a": "none", "c": "none"}, id="younger than six days"),
    ],
)
def test_what_changed_is_held_against_last_weeks_run(
    days: list[int], changes: dict[str, str], ask: Callable[..., list[Row]], rows: Rows
) -> None:
    first = [("a", 0.5), ("b", 0.5)]
    later = [("a", 0.75), ("c", 0.5)]
    tables = {
        "cells": rows("cells", *({"cell_id": name} for name in "abc")),
        "runs": rows(
            "runs",
            *({"run_id": f"run {day}", "started_at": START + timedelta(days=day)} for day in days),
            {"run_id": "now", "started_at": START + timedelta(days=30), "status": "running"},
            {"run_id": "other", "plan_name": "other", "started_at": START - timedelta(days=90)},
        ),
        "cell_runs": rows(
            "cell_runs",
            *(
                {"run_id": f"run {day}", "cell_id": name, "label": name, "test_accuracy": share}
                for place, day in enumerate(days)
                for name, share in (later if place else first)
            ),
            {"run_id": "now", "cell_id": "a", "status": "pending"},
        ),
    }
    found = [row for row in ask("what_changed", tables) if row["plan"] == "demo"]
    assert {row["label"]: row["change"] for row in found} == changes


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        pytest.param({}, {}, "none", id="the same result"),
        pytest.param({}, {"result_key": "new"}, "other result", id="another, as good"),
        pytest.param({}, {"test_accuracy": 0.25}, "worse", id="worse"),
        pytest.param({}, {"status": "failed"}, "failed", id="failed"),
        pytest.param({"status": "failed"}, {}, "better", id="mended"),
    ],
)
def test_how_a_cell_changed(
    before: Row, now: Row, change: str, ask: Callable[..., list[Row]], rows: Rows
) -> None:
    tables = {
        "cells": rows("cells"),
        "runs": rows(
            "runs",
            {"run_id": "1"},
            {"run_id": "2", "started_at": START + timedelta(days=7)},
        ),
        "cell_runs": rows(
            "cell_runs",
            {"run_id": "1", "test_accuracy": 0.5} | before,
            {"run_id": "2", "test_accuracy": 0.5} | now,
        ),
    }
    (row,) = ask("what_changed", tables)
    assert row["change"] == change


def test_cells_with_other_settings_are_held_against_those_with_their_label(
    ask: Callable[..., list[Row]], rows: Rows
) -> None:
    runs = {
        "1": [("a", "mlp", 0.5), ("b", "cnn", 0.5)],
        "2": [("a", "net", 0.5), ("c", "cnn", 0.75)],
    }
    tables = {
        "cells": rows("cells", *({"cell_id": name} for name in "abc")),
        "runs": rows(
            "runs", {"run_id": "1"}, {"run_id": "2", "started_at": START + timedelta(days=7)}
        ),
        "cell_runs": rows(
            "cell_runs",
            *(
                {"run_id": run, "cell_id": cell, "label": label, "test_accuracy": share}
                for run, cells in runs.items()
                for cell, label, share in cells
            ),
        ),
    }
    found = {row["label"]: row for row in ask("what_changed", tables)}
    assert {name: (row["settings"], row["change"]) for name, row in found.items()} == {
        "cnn": ("other", "better"),
        "net": ("same", "none"),
    }
    assert found["cnn"]["difference"] == 0.25


def _predictions(rows: Rows, said: dict[str, list[str]]) -> pa.Table:
    """Return the answers of results on images of a pizza, a steak and a steak."""
    true = ["pizza", "steak", "steak"]
    return rows(
        "predictions",
        *(
            {"result_key": f"result of {cell}", "position": place, "image_sha256": str(place)}
            | {"path": f"{place}.jpg", "true_class": true[place], "predicted_class": name}
            | {"is_correct": name == true[place]}
            for cell, names in said.items()
            for place, name in enumerate(names)
        ),
    )


def test_always_wrong_is_what_no_model_gets_right(
    ask: Callable[..., list[Row]], cells: Cells, rows: Rows
) -> None:
    said = {
        "cell-0": ["steak", "pizza", "steak"],
        "cell-1": ["steak", "steak", "steak"],
        "failed": ["pizza", "pizza", "pizza"],  # is not asked
    }
    tables = cells({}, {}, {"cell_id": "failed", "status": "failed"})
    found = ask("always_wrong", tables | {"predictions": _predictions(rows, said)})
    assert [
        tuple(row[name] for name in ("plans", "path", "taken_for", "models")) for row in found
    ] == [("demo", "0.jpg", "steak", 2)]


def test_a_training_has_one_vote(ask: Callable[..., list[Row]], cells: Cells, rows: Rows) -> None:
    wrong = ["steak", "pizza", "pizza"]
    said = {f"cell-{number}": wrong for number in range(3)}
    tables = cells(
        {"train_key": "state 1", "epochs_trained": 1},
        {"train_key": "state 2", "epochs_trained": 2},
        {"train_key": "another", "epochs_trained": 1},
    ) | {"predictions": _predictions(rows, said)}
    states = [(1, 1, "state 1"), (1, 2, "state 2"), (0, 1, "state 1"), (2, 1, "another")]
    tables["epochs"] = rows(
        "epochs",
        *(
            {"result_key": f"result of cell-{cell}", "epoch": epoch, "state_key": key}
            for cell, epoch, key in states
        ),
    )
    for name in ("always_wrong", "sure_and_wrong"):
        assert {row["models"] for row in ask(name, tables)} == {2}


def test_confused_classes_count_both_ways(
    ask: Callable[..., list[Row]], cells: Cells, rows: Rows
) -> None:
    said = {"cell-0": ["steak", "pizza", "steak"], "cell-1": ["pizza", "steak", "steak"]}
    (row,) = ask("confused_classes", cells({}, {}) | {"predictions": _predictions(rows, said)})
    assert (row["one"], row["other"], row["images"]) == ("pizza", "steak", 2)
    assert row["share"] == pytest.approx(2 / 6, abs=1e-4)


def test_alerts_are_sentences_and_say_why_they_did_not_arrive(
    ask: Callable[..., list[Row]], rows: Rows
) -> None:
    given = (
        {"alert_id": "1", "message": "demo: mlp finished", "channel": "log"},
        {"alert_id": "2", "message": "demo: mlp diverged", "status": "pending", "told_at": None}
        | {"error": "it answers 500", "channel": "webhook"},
        {"alert_id": "3", "message": "demo: vgg diverged", "status": "given up", "told_at": None},
    )
    found = ask("alerts", {"alerts": rows("alerts", *given)})
    assert {tuple(row.values()) for row in found} == {
        ("demo: mlp finished", "log", "delivered"),
        ("demo: mlp diverged", "webhook", "pending: it answers 500"),
        ("demo: vgg diverged", "log", "given up"),
    }


def test_a_point_costs_the_further_seconds_of_the_step(
    ask: Callable[..., list[Row]], cells: Cells
) -> None:
    tables = cells(
        {"seconds_alone": 10.0, "test_accuracy": 0.5, "result_key": "shared"},
        {"seconds_alone": 10.0, "test_accuracy": 0.5, "result_key": "shared"},
        {"seconds_alone": 20.0, "test_accuracy": 0.54},
        {"seconds_alone": 15.0, "test_accuracy": 0.4},  # not on the front
    )
    found = ask("price_of_a_point", tables)
    assert [(row["points"], row["seconds_per_point"]) for row in found] == [(None, None), (4, 2.5)]


def test_more_epochs_are_compared_within_a_recipe(
    ask: Callable[..., list[Row]], cells: Cells, rows: Rows
) -> None:
    tables = cells(
        {"epochs": 5, "test_accuracy": 0.5},
        {"epochs": 10, "test_accuracy": 0.75},
        {"epochs": 5, "test_accuracy": 0.5},
        {"epochs": 10, "test_accuracy": 0.25},
        {"epochs": 10, "test_accuracy": 1.0},  # no partner
    )
    recipes = [
        '{"lr": 1, "epochs": 5}', '{"lr": 1, "epochs": 10}', '{"lr": 2, "epochs": 5}',
        '{"lr": 2, "epochs": 10}', '{"lr": 3, "epochs": 10}',
    ]  # fmt: skip
    given = tables["cells"].to_pylist()
    tables["cells"] = rows(
        "cells",
        *(row | {"settings_json": text} for row, text in zip(given, recipes, strict=True)),
    )
    (row,) = ask("more_epochs", tables)
    assert (row["fewer"], row["more"], row["pairs"]) == (5, 10, 2)
    assert (row["gain"], row["better"], row["worse"]) == (0.0, 1, 1)


def test_axes_tell_values_without_a_result_and_leave_out_those_of_one_value(
    ask: Callable[..., list[Row]], cells: Cells
) -> None:
    grid = [
        ("adam", "completed", 0.5),
        ("sgd", "completed", 0.75),
        ("wild", "diverged", None),
        ("bad", "failed", None),
    ]
    tables = cells(
        *(
            {
                "axes_json": json.dumps({"optimizer": name, "seed": "42"}),
                "status": status,
                "test_accuracy": share,
            }
            for name, status, share in grid
        )
    )
    (row,) = ask("axes", tables)
    assert (row["axis"], row["spread"], row["without_result"]) == ("optimizer", 0.25, "bad, wild")
    assert (row["best"], row["worst"]) == ("sgd", "adam")


def test_luck_is_the_distance_from_the_recipes_mean(
    ask: Callable[..., list[Row]], cells: Cells
) -> None:
    tables = cells(
        {"config": "x", "seed": 1, "test_accuracy": 0.5},
        {"config": "x", "seed": 2, "test_accuracy": 0.75},
        {"config": "y", "seed": 1, "test_accuracy": 0.25},
        {"config": "y", "seed": 2, "test_accuracy": 0.75},
        {"config": "z", "seed": 1, "test_accuracy": 1.0},  # alone: no luck
    )
    found = {row["seed"]: row for row in ask("lucky_seed", tables)}
    assert (found[2]["recipes"], found[2]["luck"], found[2]["first"]) == (2, 0.1875, 2)
    assert found[1]["luck"] == -0.1875


def test_the_smallest_is_at_most_a_point_behind(
    ask: Callable[..., list[Row]], cells: Cells
) -> None:
    tables = cells(
        {"label": "best", "test_accuracy": 0.9, "params_total": 1000},
        {"label": "near", "test_accuracy": 0.89, "params_total": 100},
        {"label": "far", "test_accuracy": 0.88, "params_total": 100},
    )
    found = ask("smallest_near_the_best", tables)
    assert [row["label"] for row in found] == ["near", "best"]
