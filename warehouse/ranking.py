"""Which cell is best: the order of the leaderboard.

A configuration is a recipe without its seed. Configurations are ranked by the mean over their
completed seeds; the cells of one share its rank and stand together, by seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, TypeVar

from warehouse import statements
from warehouse.database import place_of, query
from warehouse.errors import RankingError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, Any]
_AnyRow = TypeVar("_AnyRow", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Metric:
    """One thing to rank by.

    Attributes:
        column: of the leaderboard.
        is_better_high: the greater value wins.
    """

    column: str
    is_better_high: bool


METRICS: Mapping[str, Metric] = {
    "test.accuracy": Metric("test_accuracy", is_better_high=True),
    "test.loss": Metric("test_loss", is_better_high=False),
    "valid.accuracy": Metric("valid_accuracy", is_better_high=True),
    "valid.loss": Metric("valid_loss", is_better_high=False),
    "train.accuracy": Metric("train_accuracy", is_better_high=True),
    "train.loss": Metric("train_loss", is_better_high=False),
    "seconds": Metric("seconds_alone", is_better_high=False),
    "params": Metric("params_total", is_better_high=False),
}

_COLUMNS = (
    "cell_id", "result_key", "kind", "label", "arch", "data", "epochs", "seed", "status", "error",
    "test_accuracy", "test_loss", "valid_accuracy", "valid_loss", "train_accuracy", "train_loss",
    "log_path", "overfitting_gap", "is_collapsed", "augment", "mix",
    "test_f1_macro", "test_top_k", "test_top_k_accuracy", "test_calibration_error", "temperature",
    "test_calibrated_error", "seconds_alone", "seconds_paid", "params_total", "params_trainable",
    "model_bytes", "model_path", "images_per_second", "epochs_trained", "best_epoch", "position",
    "train_key", "latency_ms", "latency_p95_ms", "latency_32_ms", "latency_32_p95_ms",
    "peak_memory_bytes", "peak_memory_32_bytes",
    "run_id", "config_id", "axes_json", "views_json", "settings_json",
)  # fmt: skip


def rank(
    path: Path,
    *,
    cell_ids: Sequence[str] | None = None,
    plan_name: str | None = None,
    by: str = "test.accuracy",
    then: str | None = "test.loss",
    labels: Mapping[str, tuple[str, int]] | None = None,
) -> list[Row]:
    """Return the leaderboard, best first.

    Equal configurations stand in the order of their earliest cell in the plan. Cells that have
    no value to rank by come after the ranked ones, those that did not complete come last; the
    rank of both is None.

    Args:
        path: the warehouse.
        cell_ids: the cells of a plan, looked up whatever plan ran them, so that an edited plan
            loses no result; cells that never ran are left out. None: all cells of `plan_name`.
        plan_name: the plan whose cells are ranked; with `cell_ids` only what rows name as `plan`.
            None, without `cell_ids`: every plan.
        by: metric that decides, a key of `METRICS`.
        then: metric among equals; None: their order in the plan.
        labels: label and position per cell, where the caller knows better than what ran.

    Returns:
        One dict per row: `rank` (from 1, shared by the seeds of a configuration), `plan`, the
        columns of the leaderboard (a figure that is NaN or infinite reads None; `model_path` and
        `log_path` say where the file lies now), and of the
        configuration `seeds` (completed ones that did not collapse, or all where all did), `mean`
        and `std` of the metric `by` over them (None where there is no value, or fewer than two),
        and `collapsed`, the seeds that name one class for every test image.

    Raises:
        RankingError: `by` or `then` is no metric.
        MissingWarehouseError: nothing has run yet.
    """
    keys = [_metric(name) for name in (by, then) if name is not None]
    if cell_ids is None:
        found = query(path, statements.query_text("ranking_of_plan"), {"plan_name": plan_name})
    else:
        params = {"cell_ids": list(cell_ids)}
        found = query(path, statements.query_text("ranking_of_cells"), params)
    rows = [_row(record, labels or {}) for record in found.to_pylist()]
    for row in rows:
        for file in ("model_path", "log_path"):
            row[file] = place_of(path, row[file])
    if cell_ids is not None and plan_name is not None:
        rows = [{**row, "plan": plan_name} for row in rows]
    return order(rows, keys, across_plans=cell_ids is not None)


def order(rows: Sequence[Row], keys: Sequence[Metric], *, across_plans: bool = False) -> list[Row]:
    """Rank rows of the leaderboard by the first of `keys`, among equals by the next.

    Pure: the order of `rows` does not matter.

    Args:
        rows: as `rank` returns them, without what it adds about configurations.
        keys: at least one.
        across_plans: seeds of one recipe belong together also where different plans ran them.
    """
    groups = [
        _Group.of(group, keys) for group in _by_configuration(rows, across_plans=across_plans)
    ]
    ranked: list[Row] = []
    unranked: list[Row] = []
    for place, group in enumerate(sorted(groups, key=lambda group: group.sort_key), start=1):
        number = place if group.has_value else None
        for row in group.completed:
            (ranked if group.has_value else unranked).append({"rank": number, **row, **group.facts})
    failed = [{"rank": None, **row, **group.facts} for group in groups for row in group.others]
    return ranked + unranked + sorted(failed, key=_place)


def counting(rows: Sequence[_AnyRow]) -> list[_AnyRow]:
    """Return the seeds of a configuration that its mean is over.

    One that names one class for every test image says nothing of the others: it is left out and
    told beside, unless all do.

    Args:
        rows: of the leaderboard, completed.
    """
    return [row for row in rows if not _is_collapsed(row)] or list(rows)


@dataclass(frozen=True)
class _Group:
    """The cells of one configuration."""

    completed: list[Row]
    others: list[Row]
    sort_key: tuple[Any, ...]
    facts: Row

    @property
    def has_value(self) -> bool:
        return self.facts["mean"] is not None

    @classmethod
    def of(cls, rows: list[Row], keys: Sequence[Metric]) -> _Group:
        completed = sorted(
            (row for row in rows if row["status"] == "completed"),
            key=lambda row: (_is_collapsed(row), row["seed"] is not None, row["seed"], _place(row)),
        )
        others = [row for row in rows if row["status"] != "completed"]
        values = [[row[key.column] for row in counting(completed)] for key in keys]
        known = [value for value in values[0] if value is not None]
        return cls(
            completed,
            others,
            (
                *(_sort_value(found, key) for found, key in zip(values, keys, strict=True)),
                min(_place(row) for row in rows),
            ),
            {
                "seeds": len(known),
                "mean": _mean(values[0]),
                "std": stdev(known) if len(known) > 1 else None,
                "collapsed": sum(map(_is_collapsed, completed)),
            },
        )


def _is_collapsed(row: Mapping[str, Any]) -> bool:
    return bool(row.get("is_collapsed"))


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise RankingError(
            f"rank.by and rank.then are one of {', '.join(METRICS)}; found {name!r}. "
            "Choose one of these."
        )
    return METRICS[name]


def _row(record: Row, labels: Mapping[str, tuple[str, int]]) -> Row:
    row = {"plan": record["plan_name"], **{name: record[name] for name in _COLUMNS}}
    row = {name: _finite(value) for name, value in row.items()}
    if row["cell_id"] in labels:
        row["label"], row["position"] = labels[row["cell_id"]]
    return row


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _by_configuration(rows: Sequence[Row], *, across_plans: bool) -> list[list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        key = ("" if across_plans else row["plan"], row["config_id"])
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _place(row: Row) -> tuple[int, str, str]:
    return row["position"], row["plan"], row["cell_id"]


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of what is there, correctly rounded: equal values in any order give an equal mean."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _sort_value(values: Sequence[float | None], metric: Metric) -> tuple[bool, float]:
    mean = _mean(values)
    if mean is None:
        return True, 0.0
    return False, -mean if metric.is_better_high else mean
