"""Which bars the picture of training times has."""

from __future__ import annotations

from typing import Any

from tasks.gallery import training_times

BOARD: list[dict[str, Any]] = [
    {"label": "together", "kind": "mean", "rank": 1, "status": "completed", "seconds_alone": 9.0},
    {"label": "slow", "kind": "trained", "rank": 2, "status": "completed", "seconds_alone": 6.0},
    {"label": "quick", "kind": "trained", "rank": 3, "status": "completed", "seconds_alone": 2.5},
    {"label": "lost", "kind": "trained", "rank": None, "status": "failed", "seconds_alone": None},
]


def test_times_are_those_of_trained_cells_the_quickest_first() -> None:
    bars = training_times([row | {"test_accuracy": 0.875} for row in BOARD])
    assert [(bar.label, bar.value) for bar in bars] == [("quick", 2.5), ("slow", 6.0)]
    assert {bar.detail for bar in bars} == {"87.5 % right"}


def test_the_winner_is_marked_where_it_was_trained() -> None:
    board = [row | {"test_accuracy": 0.5} for row in BOARD[1:]]
    board[0]["rank"] = 1
    assert [bar.label for bar in training_times(board) if bar.is_best] == ["slow"]


def test_a_model_that_names_one_class_for_everything_is_told() -> None:
    board = [row | {"test_accuracy": 0.1, "is_collapsed": row["rank"] == 3} for row in BOARD]
    assert [(bar.label, bar.status) for bar in training_times(board)] == [
        ("quick", "collapsed"),
        ("slow", "completed"),
    ]
