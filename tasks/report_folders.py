"""Where pictures and reports of a plan go, so that no settings overwrite what others show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.errors import WarehouseError
from warehouse import reading

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.schema import Plan

_ID_DIGITS = 8


def plan_folder(home: Home, plan_name: str) -> Path:
    """Return where pictures and report of a plan's latest run lie."""
    return home.reports / plan_name


def settings_folder(home: Home, plan: Plan) -> Path:
    """Return where pictures and report of exactly these settings of a plan go.

    The settings of the plan's latest run have the folder of its name, all others one inside it.
    """
    folder = plan_folder(home, plan.name)
    try:
        runs = reading.runs(home.warehouse, plan_name=plan.name)
    except WarehouseError:
        runs = []  # whoever needs the warehouse says what is wrong with it
    is_latest = not runs or runs[0].plan_id == plan.plan_id
    return folder if is_latest else folder / plan.plan_id[:_ID_DIGITS]
