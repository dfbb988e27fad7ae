"""Models that name one class for everything: told, and left out of the mean over seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import warehouse
from warehouse import ranking

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]
Cells = Callable[..., dict[str, pa.Table]]
Rows = Callable[..., pa.Table]

# Per class: precision, recall, support.
DEAD = ((0.25, 1.0, 5), (0.0, 0.0, 7), (0.0, 0.0, 8))
NEARLY = ((5 / 19, 1.0, 5), (1.0, 1 / 7, 7), (0.0, 0.0, 8))
PERFECT = ((1.0, 1.0, 5), (1.0, 1.0, 7), (1.0, 1.0, 8))
LONELY = ((1.0, 1.0, 20),)


def classes(rows: Rows, **results: tuple[tuple[float, float, int], ...]) -> pa.Table:
    return rows(
        "class_metrics",
        *(
            {
                "result_key": key,
                "class_name": f"class {number}",
                "precision": precision,
                "recall": recall,
                "support": support,
            }
            for key, found in results.items()
            for number, (precision, recall, support) in enumerate(found)
        ),
    )


def test_one_class_for_everything_is_collapsed_and_little_more_is_not(
    path: Path, rows: Rows
) -> None:
    given = {"dead": DEAD, "nearly": NEARLY, "perfect": PERFECT, "lonely": LONELY}
    warehouse.load(path, {"class_metrics": classes(rows, **given)})
    found = warehouse.query(path, "from collapsed").to_pylist()
    assert found == [{"result_key": "dead", "class_name": "class 0"}]


def test_what_diverged_has_not_collapsed(path: Path, cells: Cells, rows: Rows) -> None:
    tables = cells({"status": "diverged", "result_key": "wild"}, {"seed": 2, "result_key": "dead"})
    tables["class_metrics"] = classes(rows, wild=DEAD, dead=DEAD)
    warehouse.load(path, tables)
    found = warehouse.query(path, "select result_key, is_collapsed from leaderboard").to_pylist()
    assert {row["result_key"]: row["is_collapsed"] for row in found} == {
        "wild": False,
        "dead": True,
    }


@pytest.mark.parametrize(
    ("alive", "collapsed", "mean"),
    [((0.8, 0.9), (0.25,), 0.85), ((), (0.25, 0.35), 0.3), ((0.8,), (), 0.8)],
    ids=["some", "all", "none"],
)
def test_seeds_that_collapsed_are_told_and_not_averaged_in_silence(
    alive: tuple[float, ...],
    collapsed: tuple[float, ...],
    mean: float,
    path: Path,
    cells: Cells,
    rows: Rows,
) -> None:
    accuracies = [*collapsed, *alive]
    keys = [f"result {place}" for place in range(len(accuracies))]
    tables = cells(
        *(
            {"config": "same", "seed": place, "test_accuracy": accuracy, "result_key": keys[place]}
            for place, accuracy in enumerate(accuracies)
        )
    )
    states = [DEAD] * len(collapsed) + [PERFECT] * len(alive)
    tables["class_metrics"] = classes(rows, **dict(zip(keys, states, strict=True)))
    warehouse.load(path, tables)
    (told,) = warehouse.query(path, "from seed_summary").to_pylist()
    assert told["collapsed"] == len(collapsed)
    assert told["n"] == (len(alive) or len(collapsed))
    assert told["test_accuracy_mean"] == pytest.approx(mean)
    ranked = ranking.rank(path)
    assert {row["rank"] for row in ranked} == {1}
    assert [row["is_collapsed"] for row in ranked] == [False] * len(alive) + [True] * len(collapsed)
    for row in ranked:
        assert row["mean"] == pytest.approx(mean)
        assert (row["seeds"], row["collapsed"]) == (told["n"], len(collapsed))
