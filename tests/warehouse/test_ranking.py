from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import warehouse
from warehouse import ranking

from .conftest import START

if TYPE_CHECKING:
    from pathlib import Path

Cells = Callable[..., dict[str, pa.Table]]
Row = dict[str, Any]


def _row(cell_id: str, **changes: Any) -> Row:
    row = dict.fromkeys(metric.column for metric in ranking.METRICS.values())
    row |= {"cell_id": cell_id, "plan": "demo", "config_id": cell_id, "seed": 42, "position": 0}
    return row | {"status": "completed"} | changes


BY_ACCURACY = [ranking.METRICS["test.accuracy"]]
THEN_LOSS = [*BY_ACCURACY, ranking.METRICS["test.loss"]]


@pytest.mark.parametrize(
    ("rows", "keys", "expected"),
    [
        pytest.param([], BY_ACCURACY, [], id="nothing"),
        pytest.param(
            [_row("a", test_accuracy=0.5), _row("b", test_accuracy=0.75)],
            BY_ACCURACY,
            [("b", 1), ("a", 2)],
            id="higher accuracy wins",
        ),
        pytest.param(
            [_row("a", test_loss=0.5), _row("b", test_loss=0.75)],
            [ranking.METRICS["test.loss"]],
            [("a", 1), ("b", 2)],
            id="lower loss wins",
        ),
        pytest.param(
            [
                _row("a", test_accuracy=0.5, position=7),
                _row("b", test_accuracy=0.5, position=3),
            ],
            BY_ACCURACY,
            [("b", 1), ("a", 2)],
            id="tie goes to the earlier cell",
        ),
        pytest.param(
            [
                _row("a", test_accuracy=0.5, test_loss=0.5, position=0),
                _row("b", test_accuracy=0.5, test_loss=0.25, position=1),
            ],
            THEN_LOSS,
            [("b", 1), ("a", 2)],
            id="then decides before the position",
        ),
        pytest.param(
            [
                _row("a", test_accuracy=0.5, test_loss=None, position=0),
                _row("b", test_accuracy=0.5, test_loss=0.25, position=1),
            ],
            THEN_LOSS,
            [("b", 1), ("a", 2)],
            id="no second value comes after any",
        ),
        pytest.param(
            [
                _row("a1", config_id="a", seed=1, test_accuracy=1.0, position=0),
                _row("a2", config_id="a", seed=2, test_accuracy=0.0, position=1),
                _row("b1", config_id="b", seed=1, test_accuracy=0.75, position=2),
                _row("b2", config_id="b", seed=2, test_accuracy=0.5, position=3),
            ],
            BY_ACCURACY,
            [("b1", 1), ("b2", 1), ("a1", 2), ("a2", 2)],
            id="the mean over seeds decides, not the luckiest seed",
        ),
        pytest.param(
            [
                _row("a3", config_id="a", seed=3, test_accuracy=0.9, position=2),
                _row("a1", config_id="a", seed=1, test_accuracy=0.1, position=0),
                _row("a2", config_id="a", seed=2, test_accuracy=0.5, position=1),
            ],
            BY_ACCURACY,
            [("a1", 1), ("a2", 1), ("a3", 1)],
            id="within a configuration by seed",
        ),
        pytest.param(
            [
                _row("a1", config_id="a", seed=1, test_accuracy=0.1, position=0),
                _row("a2", config_id="a", seed=2, test_accuracy=0.4, position=1),
                _row("a3", config_id="a", seed=3, test_accuracy=0.1, position=2),
                _row("b1", config_id="b", seed=1, test_accuracy=0.1, position=3),
                _row("b2", config_id="b", seed=2, test_accuracy=0.1, position=4),
                _row("b3", config_id="b", seed=3, test_accuracy=0.4, position=5),
            ],
            BY_ACCURACY,
            [("a1", 1), ("a2", 1), ("a3", 1), ("b1", 2), ("b2", 2), ("b3", 2)],
            # One after the other these add up to less in the first order than in the second.
            id="equal values in another order tie, to the last bit",
        ),
        pytest.param(
            [
                _row("a", status="failed", position=0),
                _row("b", status="diverged", test_accuracy=1.0, position=1),
                _row("c", test_accuracy=0.1, position=2),
            ],
            BY_ACCURACY,
            [("c", 1), ("a", None), ("b", None)],
            id="failed and diverged cells come last, without a rank",
        ),
        pytest.param(
            [
                _row("a", status="pending", position=0),
                _row("b", position=1),
                _row("c", test_accuracy=0.1, position=2),
            ],
            BY_ACCURACY,
            [("c", 1), ("b", None), ("a", None)],
            id="completed without a value comes before what did not complete",
        ),
        pytest.param(
            [
                _row("a1", config_id="a", seed=1, status="failed", position=0),
                _row("a2", config_id="a", seed=2, test_accuracy=0.9, position=1),
                _row("b1", config_id="b", seed=1, test_accuracy=0.5, position=2),
            ],
            BY_ACCURACY,
            [("a2", 1), ("b1", 2), ("a1", None)],
            id="a failed seed does not count against the others",
        ),
        pytest.param(
            [
                _row("a", plan="one", test_accuracy=0.5),
                _row("a", plan="two", test_accuracy=0.75),
            ],
            BY_ACCURACY,
            [("a", 1), ("a", 2)],
            id="plans are ranked apart",
        ),
    ],
)
def test_order(
    rows: list[Row], keys: list[ranking.Metric], expected: list[tuple[str, int | None]]
) -> None:
    for given_rows in (rows, rows[::-1]):
        found = ranking.order(given_rows, keys)
        assert [(row["cell_id"], row["rank"]) for row in found] == expected


_VALUES = st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.7, 1.0])
_STATUS = st.sampled_from(["completed", "completed", "failed", "diverged"])
_CELL = st.tuples(st.integers(0, 3), st.integers(0, 3), _VALUES, _VALUES, _STATUS)


@given(st.lists(_CELL, max_size=12, unique_by=lambda cell: cell[:2]), st.randoms())
def test_order_keeps_every_row_once_and_does_not_depend_on_the_given_order(
    drawn: list[tuple[int, int, float | None, float | None, str]], random: Any
) -> None:
    rows = [
        _row(
            f"{config}-{seed}",
            config_id=str(config),
            seed=seed,
            test_accuracy=accuracy,
            test_loss=loss,
            status=status,
            position=config * 4 + seed,
        )
        for config, seed, accuracy, loss, status in drawn
    ]
    ordered = ranking.order(rows, THEN_LOSS)
    assert sorted(row["cell_id"] for row in ordered) == sorted(row["cell_id"] for row in rows)
    means = [row["mean"] for row in ordered if row["rank"] is not None]
    assert means == sorted(means, reverse=True)
    ranks = [row["rank"] for row in ordered if row["rank"] is not None]
    assert sorted(set(ranks)) == list(range(1, len(set(ranks)) + 1))
    random.shuffle(rows)
    assert ranking.order(rows, THEN_LOSS) == ordered


def test_rank_reads_the_leaderboard(path: Path, cells: Cells) -> None:
    warehouse.load(
        path,
        cells(
            {"label": "5 epochs", "epochs": 5, "test_accuracy": 0.5, "test_loss": 0.5},
            {"label": "10 epochs", "epochs": 10, "test_accuracy": 0.75, "test_loss": math.inf},
        ),
    )
    best, other = ranking.rank(path)
    wanted = (
        "rank plan cell_id result_key label arch data epochs seed status test_accuracy test_loss"
        " seconds_alone seconds_paid params_total params_trainable model_bytes model_path"
        " train_accuracy train_loss valid_accuracy valid_loss mean std seeds"
    )
    assert set(wanted.split()) <= set(best)
    assert (best["rank"], best["plan"], best["label"]) == (1, "demo", "10 epochs")
    assert (best["mean"], best["std"], best["seeds"]) == (0.75, None, 1)
    assert best["test_loss"] is None
    assert (other["rank"], other["label"]) == (2, "5 epochs")
    json.dumps([best, other], allow_nan=False)


@pytest.mark.parametrize("by", ranking.METRICS)
def test_every_metric_can_decide(path: Path, cells: Cells, by: str) -> None:
    column = ranking.METRICS[by].column
    values = [1, 0] if column == "params_total" else [1.0, 0.0]
    trainable = {"params_trainable": 0}
    warehouse.load(path, cells(*({column: value} | trainable for value in values)))
    found = ranking.rank(path, by=by, then=None)
    expected = ["cell-0", "cell-1"] if by.endswith("accuracy") else ["cell-1", "cell-0"]
    assert [row["cell_id"] for row in found] == expected


@pytest.mark.parametrize("name", ["accuracy", "test_accuracy; drop table epochs", "", "label"])
@pytest.mark.parametrize("argument", ["by", "then"])
def test_an_unknown_metric_is_refused(path: Path, cells: Cells, name: str, argument: str) -> None:
    warehouse.load(path, cells({}))
    with pytest.raises(warehouse.RankingError, match=r"one of test\.accuracy, .*params; found"):
        ranking.rank(path, **{argument: name})


def test_before_the_first_run_there_is_nothing_to_rank(tmp_path: Path) -> None:
    with pytest.raises(warehouse.MissingWarehouseError, match="nothing has run yet"):
        ranking.rank(tmp_path / "warehouse.duckdb")


def test_a_plan_that_never_ran_has_no_rows(path: Path, cells: Cells) -> None:
    warehouse.load(path, cells({}))
    assert ranking.rank(path, plan_name="other") == []
    assert ranking.rank(path, cell_ids=[]) == []
    assert ranking.rank(path, cell_ids=["unknown"]) == []


def test_cells_are_found_whatever_plan_ran_them(path: Path, cells: Cells) -> None:
    warehouse.load(
        path,
        cells(
            {"cell_id": "a", "plan_name": "old", "run_id": "1", "test_accuracy": 0.5},
            {"cell_id": "b", "plan_name": "new", "run_id": "2", "test_accuracy": 0.75},
            {"cell_id": "c", "plan_name": "new", "run_id": "2", "test_accuracy": 1.0},
        ),
    )
    found = ranking.rank(
        path, cell_ids=["a", "b"], plan_name="now", labels={"a": ("first", 5), "b": ("second", 6)}
    )
    assert [(row["rank"], row["plan"], row["label"], row["position"]) for row in found] == [
        (1, "now", "second", 6),
        (2, "now", "first", 5),
    ]
    assert [row["plan"] for row in ranking.rank(path, cell_ids=["a", "b"])] == ["new", "old"]


def test_a_cell_of_two_plans_counts_once_by_its_latest_result(path: Path, cells: Cells) -> None:
    later = START + timedelta(hours=1)
    warehouse.load(
        path,
        cells(
            {"cell_id": "a", "plan_name": "old", "run_id": "1", "test_accuracy": 0.5},
            {
                "cell_id": "a",
                "plan_name": "new",
                "run_id": "2",
                "test_accuracy": 0.75,
                "finished_at": later,
            },
            {
                "cell_id": "a",
                "plan_name": "last",
                "run_id": "3",
                "status": "failed",
                "result_key": None,
                "finished_at": later + timedelta(hours=1),
            },
        ),
    )
    (found,) = ranking.rank(path, cell_ids=["a"])
    assert (found["plan"], found["test_accuracy"]) == ("new", 0.75)
    assert len(ranking.rank(path)) == 3


def test_seeds_that_different_plans_ran_are_one_configuration(path: Path, cells: Cells) -> None:
    seeds = [
        {"config": "same", "seed": seed, "plan_name": plan, "run_id": plan, "test_accuracy": value}
        for seed, plan, value in [(1, "old", 0.5), (2, "new", 1.0)]
    ]
    warehouse.load(path, cells(*seeds))
    found = ranking.rank(path, cell_ids=["cell-0", "cell-1"])
    assert [(row["rank"], row["seed"], row["mean"]) for row in found] == [
        (1, 1, 0.75),
        (1, 2, 0.75),
    ]
