from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import warehouse
from warehouse import ranking

from .conftest import START

if TYPE_CHECKING:
    from pathlib import Path

Tables = dict[str, pa.Table]
Row = dict[str, Any]
Rows = Callable[..., pa.Table]
Cells = Callable[..., Tables]


@pytest.fixture
def answer(path: Path) -> Callable[[Tables, str], list[Row]]:
    """Load tables into a new file and ask it."""

    def ask(tables: Tables, sql: str) -> list[Row]:
        warehouse.load(path, tables)
        found: list[Row] = warehouse.query(path, sql).to_pylist()
        return found

    return ask


def _at(minutes: int) -> Any:
    return START + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param([], [], id="no rows"),
        pytest.param([{}], ["run-1"], id="one run"),
        pytest.param(
            [
                {"run_id": "late", "finished_at": _at(9)},
                {"run_id": "early", "finished_at": _at(1)},
            ],
            ["late"],
            id="the latest completed run counts",
        ),
        pytest.param(
            [
                {"run_id": "good", "finished_at": _at(1)},
                {"run_id": "bad", "finished_at": _at(9), "status": "failed", "result_key": None},
            ],
            ["good"],
            id="a later failure does not hide a result",
        ),
        pytest.param(
            [
                {"run_id": "first", "finished_at": _at(1), "status": "failed", "result_key": None},
                {"run_id": "then", "finished_at": _at(9), "status": "diverged"},
            ],
            ["then"],
            id="without a completed run the latest of any status counts",
        ),
        pytest.param(
            [
                {"run_id": "wild", "finished_at": _at(1), "status": "diverged"},
                {"run_id": "dead", "finished_at": None, "status": "pending", "result_key": None},
                {"run_id": "bad", "finished_at": _at(9), "status": "failed", "result_key": None},
            ],
            ["wild"],
            id="what came to nothing does not hide that it diverged",
        ),
        pytest.param(
            [
                {"run_id": "a", "finished_at": _at(1)},
                {"run_id": "b", "finished_at": _at(1)},
            ],
            ["b"],
            id="at the same moment the greater run id counts",
        ),
        pytest.param(
            [{"plan_name": "demo"}, {"plan_name": "other", "run_id": "run-2"}],
            ["run-1", "run-2"],
            id="two plans with the same cell are two rows",
        ),
        pytest.param(
            [{"finished_at": None, "status": "pending", "result_key": None}],
            ["run-1"],
            id="a pending cell is there",
        ),
    ],
)
def test_leaderboard_has_one_row_per_plan_and_cell(
    given: list[Row],
    expected: list[str],
    answer: Callable[[Tables, str], list[Row]],
    rows: Rows,
) -> None:
    tables = {"cells": rows("cells")}
    if given:
        runs = [{"run_id": row.get("run_id", "run-1")} for row in given]
        tables |= {"cell_runs": rows("cell_runs", *given), "runs": rows("runs", *runs)}
    found = answer(tables, "select run_id from leaderboard order by run_id")
    assert [row["run_id"] for row in found] == expected


def test_a_row_without_its_run_yet_still_counts(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    tables = {"cells": rows("cells"), "cell_runs": rows("cell_runs")}
    assert len(answer(tables, "from leaderboard")) == 1


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        pytest.param('{"a":1,"seed":1}', '{"a":1,"seed":2}', True, id="the seed does not count"),
        pytest.param('{"a":1,"seed":1}', '{"a":2,"seed":1}', False, id="everything else does"),
        pytest.param(
            '{"a":{"seed":1},"seed":1}', '{"a":{"seed":2},"seed":1}', False, id="only at the top"
        ),
        pytest.param(
            '{"a":0.1,"seed":1}', '{"a":0.10000000000000002}', False, id="every bit counts"
        ),
    ],
)
def test_config_id_is_the_recipe_without_its_seed(
    one: str,
    other: str,
    are_same: bool,
    answer: Callable[[Tables, str], list[Row]],
    rows: Rows,
) -> None:
    tables = {
        "cells": rows(
            "cells",
            {"cell_id": "a", "settings_json": one},
            {"cell_id": "b", "settings_json": other},
        ),
        "cell_runs": rows("cell_runs", {"cell_id": "a"}, {"cell_id": "b"}),
    }
    found = answer(tables, "select count(distinct config_id) as n from leaderboard")
    assert found == [{"n": 1 if are_same else 2}]


def test_learning_curves_are_long_and_leave_out_what_was_not_measured(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    measured = {"train_loss": 0.5, "train_accuracy": 0.75, "test_loss": 0.25, "test_accuracy": 1.0}
    tables = {
        "cells": rows("cells"),
        "cell_runs": rows("cell_runs"),
        "epochs": rows("epochs", measured, {"epoch": 2, "valid_loss": 0.125}),
    }
    columns = "epoch, split, loss, accuracy"
    found = answer(tables, f"select {columns} from learning_curves order by epoch, split")
    assert [tuple(row.values()) for row in found] == [
        (1, "test", 0.25, 1.0),
        (1, "train", 0.5, 0.75),
        (2, "valid", 0.125, None),
    ]


def test_a_result_that_two_cells_share_is_a_curve_of_each(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    tables = {
        "cells": rows("cells", {"cell_id": "a"}, {"cell_id": "b"}),
        "cell_runs": rows("cell_runs", {"cell_id": "a"}, {"cell_id": "b"}),
        "epochs": rows("epochs", {"cell_id": "a", "train_loss": 0.5}),
    }
    found = answer(tables, "select cell_id from learning_curves order by cell_id")
    assert [row["cell_id"] for row in found] == ["a", "b"]


def test_a_cell_has_the_curve_of_its_latest_result_only(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    tables = {
        "cells": rows("cells"),
        "cell_runs": rows(
            "cell_runs",
            {"plan_name": "one", "result_key": "old", "finished_at": _at(1)},
            {"plan_name": "two", "run_id": "2", "result_key": "new", "finished_at": _at(2)},
        ),
        "epochs": rows(
            "epochs",
            {"result_key": "old", "train_loss": 1.0},
            {"result_key": "new", "train_loss": 2.0},
        ),
    }
    assert [row["loss"] for row in answer(tables, "from learning_curves")] == [2.0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            [{"test_accuracy": 0.5}],
            {"cells": 1, "n": 1, "mean": 0.5, "std": None},
            id="one seed has no deviation",
        ),
        pytest.param(
            [{"test_accuracy": 0.5, "seed": 1}, {"test_accuracy": 0.75, "seed": 2}],
            {"cells": 2, "n": 2, "mean": 0.625, "std": 0.125 * math.sqrt(2)},
            id="two seeds",
        ),
        pytest.param(
            [
                {"test_accuracy": 0.5, "seed": 1},
                {"test_accuracy": 0.75, "seed": 2, "status": "diverged"},
            ],
            {"cells": 2, "n": 1, "mean": 0.5, "std": None},
            id="a diverged seed is counted but not averaged",
        ),
        pytest.param(
            [{"status": "failed", "result_key": None}],
            {"cells": 1, "n": 0, "mean": None, "std": None},
            id="all failed",
        ),
    ],
)
def test_seed_summary(
    given: list[Row],
    expected: Row,
    answer: Callable[[Tables, str], list[Row]],
    cells: Cells,
) -> None:
    tables = cells(
        *({"config": "same", "label": f"l{place}"} | row for place, row in enumerate(given))
    )
    (found,) = answer(tables, "from seed_summary")
    assert (found["label"], found["position"]) == ("l0", 0)
    assert {name: found[name] for name in ("cells", "n")} == {
        name: expected[name] for name in ("cells", "n")
    }
    assert found["test_accuracy_mean"] == expected["mean"]
    assert found["test_accuracy_std"] == pytest.approx(expected["std"])


def test_axis_effects_of_a_full_grid(
    answer: Callable[[Tables, str], list[Row]], cells: Cells
) -> None:
    grid = [
        {
            "axes_json": json.dumps({"model.arch": arch, "epochs": epochs}),
            "test_accuracy": accuracy,
        }
        for arch, epochs, accuracy in [
            ("b0", "5", 0.5),
            ("b0", "10", 0.75),
            ("b2", "5", 0.75),
            ("b2", "10", 1.0),
        ]
    ]
    unfinished = {"axes_json": '{"epochs": "20"}', "status": "failed", "result_key": None}
    columns = "axis, value, cells, cells_without_result, test_accuracy_mean, test_accuracy_effect"
    found = answer(
        cells(*grid, unfinished), f"select {columns} from axis_effects order by axis, value"
    )
    assert [tuple(row.values()) for row in found] == [
        ("epochs", "10", 2, 0, 0.875, 0.125),
        ("epochs", "20", 0, 1, None, None),
        ("epochs", "5", 2, 0, 0.625, -0.125),
        ("model.arch", "b0", 2, 0, 0.625, -0.125),
        ("model.arch", "b2", 2, 0, 0.875, 0.125),
    ]


def test_confusions_count_pairs_and_share_by_true_class(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    said = ["pizza", "pizza", "steak", "pizza"]
    given = [
        {"position": place, "predicted_class": name, "is_correct": name == "pizza"}
        for place, name in enumerate(said)
    ]
    found = answer(
        {"predictions": rows("predictions", *given)}, "from confusions order by predicted_class"
    )
    assert [tuple(row.values())[1:] for row in found] == [
        ("pizza", "pizza", 3, 0.75),
        ("pizza", "steak", 1, 0.25),
    ]


@pytest.mark.parametrize(
    ("given", "front"),
    [
        pytest.param([(1.0, 0.5)], [True], id="one alone"),
        pytest.param([(1.0, 0.5), (2.0, 0.75)], [True, True], id="dearer and better"),
        pytest.param([(1.0, 0.5), (2.0, 0.5)], [True, False], id="dearer and not better"),
        pytest.param([(1.0, 0.5), (2.0, 0.25)], [True, False], id="dearer and worse"),
        pytest.param([(1.0, 0.5), (1.0, 0.75)], [False, True], id="same cost, better"),
        pytest.param([(1.0, 0.5), (1.0, 0.5)], [True, True], id="twins stand both"),
        pytest.param([(1.0, 0.5), (None, 0.75)], [True], id="an unknown cost is left out"),
    ],
)
def test_pareto_front(
    given: list[tuple[float | None, float]],
    front: list[bool],
    answer: Callable[[Tables, str], list[Row]],
    cells: Cells,
) -> None:
    tables = cells(*({"seconds_alone": cost, "test_accuracy": got} for cost, got in given))
    found = answer(tables, "from pareto where cost_kind = 'seconds_alone' order by position")
    assert [row["is_on_front"] for row in found] == front


MEASURED = [
    {"batch_size": 1, "median_ms": 20.0, "p95_ms": 25.0, "peak_memory_bytes": 1000},
    {"batch_size": 32, "median_ms": 10.0, "p95_ms": 11.0, "peak_memory_bytes": 9000},
    {"latency_key": "latency-2", "batch_size": 1, "median_ms": 5.0},
]
LATENCIES = (
    "latency_ms, latency_p95_ms, latency_32_ms, latency_32_p95_ms, peak_memory_bytes, "
    "peak_memory_32_bytes"
)


def test_latency_of_cells_whose_model_was_measured(
    answer: Callable[[Tables, str], list[Row]], cells: Cells, rows: Rows
) -> None:
    tables = cells(
        {"latency_key": "latency-1", "test_accuracy": 0.5},
        {"latency_key": "nobody asked", "test_accuracy": 0.5},
        {"latency_key": None, "test_accuracy": 0.5},
    )
    tables["latencies"] = rows("latencies", *MEASURED)
    found = answer(tables, f"select {LATENCIES} from leaderboard order by position")
    assert [tuple(row.values()) for row in found] == [
        (20.0, 25.0, 10.0, 11.0, 1000, 9000),
        (None,) * 6,
        (None,) * 6,
    ]
    costs = "from pareto where cost_kind = 'latency_ms'"
    assert [(row["cell_id"], row["cost"]) for row in answer(tables, costs)] == [("cell-0", 20.0)]


@pytest.mark.parametrize(
    ("members", "views", "latency"),
    [
        pytest.param(["cell-0", "cell-1"], ["identity"], 25.0, id="the sum of its members"),
        pytest.param(["cell-0"], ["identity", "horizontal_flip"], 40.0, id="once a view"),
        pytest.param(["cell-0", "cell-2"], ["identity"], None, id="one was not measured"),
    ],
)
def test_latency_of_what_is_made_of_cells(
    members: list[str],
    views: list[str],
    latency: float | None,
    answer: Callable[[Tables, str], list[Row]],
    cells: Cells,
    rows: Rows,
) -> None:
    tables = cells(
        {"latency_key": "latency-1"},
        {"latency_key": "latency-2"},
        {"latency_key": None},
        {"cell_id": "composite-1", "result_key": "together"},
    )
    del tables["cells"]
    tables["cells"] = rows("cells", *({"cell_id": f"cell-{n}"} for n in range(3)))
    kinds = json.dumps([{"kind": view} for view in views])
    tables["composites"] = rows("composites", {"views_json": kinds})
    tables["members"] = rows(
        "members",
        *(
            {"result_key": "together", "position": place, "cell_id": cell_id, "weight": 0.5}
            for place, cell_id in enumerate(members)
        ),
    )
    tables["latencies"] = rows("latencies", *MEASURED)
    (found,) = answer(tables, f"select {LATENCIES} from leaderboard where kind = 'mean'")
    assert found["latency_ms"] == latency
    assert found["latency_p95_ms"] is found["peak_memory_bytes"] is None


def test_savings_of_a_run(answer: Callable[[Tables, str], list[Row]], rows: Rows) -> None:
    tables = {
        "runs": rows("runs", {"run_id": "run-1"}, {"run_id": "empty"}),
        "cell_runs": rows(
            "cell_runs",
            {"cell_id": "a", "seconds_alone": 10.0, "seconds_paid": 4.0},
            {"cell_id": "b", "seconds_alone": 20.0, "seconds_paid": 0.5},
        ),
        "stages": rows(
            "stages", {"stage_key": "x", "is_hit": True}, {"stage_key": "y"}, {"stage_key": "z"}
        ),
    }
    columns = "seconds_alone, seconds_paid, seconds_saved, stages_found, stages_computed"
    found = answer(
        tables, f"select run_id, {columns}, epochs_computed from savings order by run_id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("empty", None, None, None, 0, 0, 0),
        ("run-1", 30.0, 4.5, 25.5, 1, 2, 10),
    ]


@pytest.mark.parametrize(
    ("given", "gap"),
    [
        pytest.param({"train_accuracy": 1.0, "test_accuracy": 0.75}, 0.25, id="over-fitted"),
        pytest.param({"train_accuracy": 0.5, "test_accuracy": 0.75}, -0.25, id="under-fitted"),
        pytest.param({"train_accuracy": None, "test_accuracy": 0.75}, None, id="not known"),
    ],
)
def test_overfitting_is_what_training_knows_better(
    given: Row, gap: float | None, answer: Callable[[Tables, str], list[Row]], cells: Cells
) -> None:
    (row,) = answer(cells(given), "select overfitting_gap from leaderboard")
    assert row["overfitting_gap"] == gap


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        pytest.param([(None, 0.5), (None, 0.8), (None, 0.84)], (3, 0.84, 2, 3), id="slowly"),
        pytest.param([(None, 0.9), (None, 0.9), (None, 0.5)], (3, 0.9, 1, 1), id="at once"),
        pytest.param([(0.2, 0.9), (0.4, 0.1)], (2, 0.4, 2, 2), id="by validation images"),
        pytest.param([(None, 0.0)], (1, 0.0, 1, 1), id="never better than nothing"),
        pytest.param([], None, id="no curve"),
    ],
)
def test_convergence_is_the_first_epoch_near_the_best(
    accuracies: list[tuple[float | None, float]],
    expected: tuple[float, ...] | None,
    answer: Callable[[Tables, str], list[Row]],
    cells: Cells,
    rows: Rows,
) -> None:
    tables = cells({})
    if accuracies:
        curve = [
            {
                "result_key": "result of cell-0",
                "epoch": epoch,
                "valid_accuracy": valid,
                "test_accuracy": test,
            }
            for epoch, (valid, test) in enumerate(accuracies, start=1)
        ]
        tables["epochs"] = rows("epochs", *curve)
    columns = "epochs, best_accuracy, epochs_to_converge, best_epoch"
    found = answer(tables, f"select {columns} from convergence")
    assert [tuple(row.values()) for row in found] == ([] if expected is None else [expected])


def test_a_training_is_its_result_that_goes_the_furthest(
    answer: Callable[[Tables, str], list[Row]], cells: Cells, rows: Rows
) -> None:
    """Cells 0, 1 and 2 are one training, which 2 stopped early; the curve of 2 goes on."""
    tables = cells(
        {"train_key": "state 1", "epochs_trained": 1},
        {"train_key": "state 3", "epochs_trained": 3},
        {"train_key": "state 2", "epochs_trained": 3, "best_epoch": 2},
        {"train_key": "other 3", "epochs_trained": 3},
        {"train_key": "state 4", "epochs_trained": 4, "status": "diverged"},
        {"train_key": "state 4", "epochs_trained": 4, "plan_name": "other"},
    )
    tables["epochs"] = rows(
        "epochs",
        *(
            {"result_key": f"result of cell-{cell}", "epoch": epoch}
            | {"state_key": f"{'other' if cell == 3 else 'state'} {epoch}"}
            for cell, epochs in enumerate((1, 3, 3, 3, 4, 4))
            for epoch in range(1, epochs + 1)
        ),
        {"result_key": "loaded by an older version"},
    )
    found = answer(tables, "select plan_name, cell_id from trainings order by all")
    assert [tuple(row.values()) for row in found] == [
        ("demo", "cell-1"),
        ("demo", "cell-3"),
        ("other", "cell-5"),
    ]
    pairs = answer(tables, "select right(result_key, 1), right(continued_by, 1) from continuations")
    assert {tuple(row.values()) for row in pairs} == {
        *[("0", "1"), ("0", "2"), ("2", "1")],
        *[(cell, "5") for cell in "012"],
    }


def test_mistakes_come_with_the_surest_first(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    wrong = {"predicted_class": "steak", "is_correct": False}
    given = [
        {"position": 0, "probability": 0.6, **wrong},
        {"position": 1, "probability": 0.99},
        {"position": 2, "probability": 0.9, **wrong},
        {"position": 3, "probability": 0.6, **wrong},
        {"position": 0, "result_key": "result-2", "probability": 0.7, **wrong},
    ]
    found = answer(
        {"predictions": rows("predictions", *given)},
        "select result_key, place, position from mistakes order by all",
    )
    assert [tuple(row.values()) for row in found] == [
        ("result-1", 1, 2),
        ("result-1", 2, 0),
        ("result-1", 3, 3),
        ("result-2", 1, 0),
    ]


def test_reliability_sorts_answers_into_fifteen_bins(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    given = [
        {"position": 0, "probability": 0.5, "logits": [0.0, 0.0]},
        {"position": 1, "probability": 0.52, "logits": [0.0, 0.0], "is_correct": False}
        | {"predicted_class": "steak"},
        {"position": 2, "probability": 1.0, "logits": [4.0, 0.0]},
        {"position": 3, "probability": math.nan, "logits": [math.nan, 0.0]},
    ]
    tables = {
        "predictions": rows("predictions", *given),
        "metrics": rows("metrics", {"temperature": 2.0}, {"split": "valid", "temperature": 2.0}),
    }
    found = answer(tables, "from reliability order by is_calibrated, bin")
    assert [(row["is_calibrated"], row["bin"], row["images"]) for row in found] == [
        (False, 8, 2),
        (False, 15, 1),
        (True, 8, 2),
        (True, 14, 1),
    ]
    assert found[0]["confidence"] == pytest.approx(0.51)
    assert (found[0]["accuracy"], found[1]["accuracy"]) == (0.5, 1.0)
    assert (found[0]["lower"], found[0]["upper"]) == pytest.approx((7 / 15, 8 / 15))
    assert found[3]["confidence"] == pytest.approx(1 / (1 + math.exp(-2)))


def test_without_a_temperature_answers_are_raw_only(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    tables = {"predictions": rows("predictions"), "metrics": rows("metrics")}
    assert [row["is_calibrated"] for row in answer(tables, "from reliability")] == [False]


def test_leaderboard_shows_metrics_of_the_test_split(
    answer: Callable[[Tables, str], list[Row]], cells: Cells, rows: Rows
) -> None:
    given = cells({"cell_id": "measured"}, {"cell_id": "not measured"})
    metrics = [
        {"result_key": "result of measured", "split": split, "f1_macro": f1, "temperature": 1.5}
        for split, f1 in (("valid", 0.5), ("test", 0.25))
    ]
    found = answer(
        given | {"metrics": rows("metrics", *metrics)},
        "select test_f1_macro, temperature from leaderboard order by position",
    )
    assert [tuple(row.values()) for row in found] == [(0.25, 1.5), (None, None)]


def test_the_champion_of_a_run_is_the_first_of_its_ranking(
    answer: Callable[[Tables, str], list[Row]], path: Path, rows: Rows
) -> None:
    draw = random.Random(7)
    metrics = list(ranking.METRICS)
    plans, runs, cells, cell_runs = [], [], {}, []
    for number, by in enumerate(metrics * 3):
        then = draw.choice([*metrics, None])
        name = f"plan {number}"
        rank = json.dumps({"rank": {"by": by, "then": then}})
        plans.append({"plan_id": name, "plan_name": name, "plan_json": rank})
        runs.append({"run_id": name, "plan_id": name, "plan_name": name})
        for place in range(9):
            seed, recipe = place % 3, draw.randrange(4)
            cell = f"{number}: cell {place}"
            cells[cell] = {
                "cell_id": cell,
                "seed": seed,
                "settings_json": json.dumps({"recipe": f"{number} {recipe}", "seed": seed}),
            }
            figures = {
                f"{part}_{kind}": draw.choice([None, 0.25, 0.5, 0.75])
                for part in ("train", "valid", "test")
                for kind in ("loss", "accuracy")
            }
            figures["test_loss"] = draw.choice([0.5, 0.25, math.nan, math.inf])
            status = draw.choice(["completed", "completed", "completed", "failed"])
            cell_runs.append(
                {"run_id": name, "plan_id": name, "plan_name": name, "cell_id": cell}
                | {"position": place, "label": cell, "status": status, "result_key": f"of {cell}"}
                | {"seconds_alone": draw.choice([1.0, 2.0]), "params_total": draw.choice([9, 99])}
                | {"params_trainable": 1}
                | figures
            )
    tables = {
        "plans": rows("plans", *plans),
        "runs": rows("runs", *runs),
        "cells": rows("cells", *cells.values()),
        "cell_runs": rows("cell_runs", *cell_runs),
    }
    found = {row["plan_name"]: row for row in answer(tables, "from champions")}
    for plan in plans:
        wanted = json.loads(plan["plan_json"])["rank"]
        first, *_ = ranking.rank(path, plan_name=plan["plan_name"], **wanted)
        champion = found.get(plan["plan_name"])
        assert (champion is None) == (first["rank"] is None)
        if champion:
            assert champion["ranked_by"] == wanted["by"]
            for name in ("cell_id", "label", "kind", "result_key", "seeds", "test_accuracy"):
                assert champion[name] == first[name], (wanted, name)
            assert champion["value"] == pytest.approx(first["mean"], abs=1e-12)
    assert len(found) > len(plans) // 2


def test_a_champion_is_new_where_the_run_before_had_another(
    answer: Callable[[Tables, str], list[Row]], rows: Rows
) -> None:
    results = ["a", "a", "b", "a"]
    tables = {
        "plans": rows("plans", {"plan_json": '{"rank": {"by": "test.accuracy"}}'}),
        "cells": rows("cells"),
        "runs": rows(
            "runs",
            *({"run_id": f"run {n}", "started_at": _at(n)} for n in range(4)),
            {"run_id": "nothing completed", "started_at": _at(9)},
        ),
        "cell_runs": rows(
            "cell_runs",
            *(
                {"run_id": f"run {n}", "result_key": key, "test_accuracy": 0.5}
                for n, key in enumerate(results)
            ),
            {"run_id": "nothing completed", "status": "failed"},
        ),
    }
    found = answer(tables, "select is_new from champions order by started_at")
    assert [row["is_new"] for row in found] == [True, False, True, True]
