"""Rows about composites: what they are, what they are made of, and what they found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from foodvision.errors import StoreError
from tasks.evaluation_rows import told_scores
from tasks.tables import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from foodvision.store import Entry

Row = dict[str, Any]

# What members may have in common, and what is added up over them.
_OWN = ("cell_id", "settings_json")
_SHARED = tuple(
    name
    for name in SCHEMAS["composites"].names
    if name in SCHEMAS["cells"].names and name not in _OWN
)
_ADDED = ("params_total", "params_trainable", "model_bytes", "seconds_alone")


def composite_row(composite: Mapping[str, Any], cells: Mapping[str, Row]) -> Row:
    """Return the row of a composite; what its candidates do not have in common is null.

    Args:
        composite: as a journal describes it.
        cells: rows of the plan's cells, by id.
    """
    candidates = [cells[cell_id] for cell_id in composite["candidates"]]
    return {
        "cell_id": composite["cell_id"],
        "kind": composite["kind"],
        "views_json": json.dumps(composite["views"], sort_keys=True),
        "settings_json": json.dumps(composite["settings"], ensure_ascii=False, sort_keys=True),
    } | {name: _common([row[name] for row in candidates]) for name in _SHARED}


def result_columns(
    entry: Entry,
    compiled: Mapping[str, Any],
    cell_runs: Mapping[str, Row],
    *,
    paid: float,
    row_seconds: Callable[[str, str], float],
) -> Row:
    """Return what a composite's stage found, as columns of its row among the runs of cells.

    Args:
        entry: of its stage.
        compiled: as a journal describes it.
        cell_runs: rows of the cells in the same run, by id.
        paid: seconds that the run spent on it.
        row_seconds: mean seconds of a row, by kind and key of its recipe.

    Raises:
        StoreError: the result of a member is no longer kept.
    """
    found = [cell_runs[cell_id] for cell_id, _ in members_of(entry, compiled)]
    if gone := next((row for row in found if row.get("result_key") is None), None):
        raise StoreError(f"its member {gone['label']} has no result")
    columns: Row = {name: _total([row.get(name) for row in found]) for name in _ADDED}
    views = entry.notes["view_seconds"] + sum(
        row_seconds(recipe["kind"], recipe["key"]) * recipe["images"]
        for recipe in compiled["recipes"]
    )
    if columns["seconds_alone"] is not None:
        columns["seconds_alone"] += views
    columns |= told_scores(entry.notes["scores"])
    trained = [row.get("epochs_trained") for row in found]
    return columns | {
        "result_key": compiled["result_key"],
        "epochs_trained": _common(trained),
        "best_epoch": found[0].get("best_epoch") if len(found) == 1 else None,
        "seconds_paid": paid,
    }


def member_rows(
    entry: Entry, compiled: Mapping[str, Any], cell_runs: Mapping[str, Row]
) -> list[Row]:
    """Return one row per member."""
    return [
        {
            "result_key": compiled["result_key"],
            "position": position,
            "cell_id": cell_id,
            "member_result_key": cell_runs[cell_id]["result_key"],
            "weight": weight,
        }
        for position, (cell_id, weight) in enumerate(members_of(entry, compiled))
    ]


def members_of(entry: Entry, compiled: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return id and weight of each member that a composite's stage chose."""
    voices = compiled["voices"]
    return [(voices[member["voice"]], member["weight"]) for member in entry.notes["members"]]


def _common(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
