"""The saved models of a home, plan by plan, with the names that mean them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import warehouse
from foodvision.errors import WarehouseError
from foodvision.plan.expand import expand
from tasks.model_names import BEST, LATEST, find_result
from tasks.ranking import first_result, rank_cells, readable_plan
from warehouse.ranking import rank
from warehouse.reading import results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.home import Home
    from warehouse.reading import Result

Row = dict[str, Any]
_EPOCH = re.compile(r"(?P<model>.*)-epoch-(?P<epoch>\d+)")
_DEFAULT_RULE = "test.accuracy"


@dataclass(frozen=True)
class PlanModels:
    """The saved models of a plan.

    Attributes:
        plan: its name.
        by: what it is ranked by.
        folder: that the models lie in.
        rows: of the leaderboard, best first by the plan's rule, then those of other versions of
            the plan, without a rank; each with `names`, which mean it behind the plan's name
            (`best`, `latest`, an epoch of it that is saved), and `file_name`, the shortest name of
            its file in the folder.
    """

    plan: str
    by: str
    folder: Path
    rows: Sequence[Row]


def saved_models(home: Home) -> list[PlanModels]:
    """Return the saved models that are there, by plan.

    Raises:
        WarehouseError: nothing has run yet, or the warehouse cannot be read.
    """
    try:
        known = results(home.warehouse)
        found = [
            _of_plan(plan, [each for each in known if each.plan == plan], home)
            for plan in sorted({each.plan for each in known})
        ]
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
    return [models for models in found if models.rows]


def _of_plan(plan: str, known: Sequence[Result], home: Home) -> PlanModels:
    by, ranked = _ranked(plan, home)
    firsts = first_result(ranked)
    ids = {row["cell_id"] for row in ranked}
    others = [row for row in rank(home.warehouse, plan_name=plan) if row["cell_id"] not in ids]
    rows = [*ranked, *({**row, "rank": None, "is_earlier": True} for row in others)]
    paths = {each.cell_id: each.model_path for each in known}  # of this plan: others save theirs
    folder = home.models / plan
    links, epochs = _links(folder), _epochs(folder)
    named = {name: _meant(name, plan, known, firsts) for name in (BEST, LATEST)}
    shown = []
    for row in rows:
        path = paths.get(row["cell_id"])
        if path is None or not Path(path).is_file():
            continue
        names = [name for name, key in named.items() if key == row["result_key"]]
        names += [f"@epoch-{epoch}" for epoch in epochs.get(Path(path).stem, ())]
        file_name = links.get(Path(path).name, Path(path).name)
        shown.append({**row, "model_path": path, "names": names, "file_name": file_name})
    return PlanModels(plan, by, folder, shown)


def _ranked(plan: str, home: Home) -> tuple[str, list[Row]]:
    """Return the rule and the leaderboard of a plan as it ran last; no row where none can be read.

    A plan of an older version may break a rule of today: its models are there all the same.
    """
    found = readable_plan(home, plan)
    if found is None:
        return _DEFAULT_RULE, []
    return found.rank.by.value, rank_cells(found, expand(found), home)


def _meant(name: str, plan: str, known: Sequence[Result], best: set[str]) -> str | None:
    try:
        return find_result(f"{plan}:{name}", known, best=best).result_key
    except WarehouseError:
        return None


def _links(folder: Path) -> dict[str, str]:
    """Return the readable link to each file among a plan's models, by the file's own name."""
    return {
        path.readlink().name: path.name
        for path in sorted(folder.glob("*"))
        if path.is_symlink() and path.stem not in (BEST, LATEST)
    }


def _epochs(folder: Path) -> dict[str, list[int]]:
    """Return the epochs of models that are saved beside them, in order, by the models' names."""
    found: dict[str, list[int]] = {}
    for path in folder.glob("*.pth"):
        if epoch := _EPOCH.fullmatch(path.stem):
            found.setdefault(epoch["model"], []).append(int(epoch["epoch"]))
    return {model: sorted(epochs) for model, epochs in found.items()}
