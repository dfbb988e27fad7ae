"""Models of epochs that are no result: written out of a kept snapshot when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.errors import StoreError
from foodvision.store import Store
from tasks.compiling import compile_plan
from tasks.publishing import Publisher
from tasks.ranking import ran_plan

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.graph import CompiledCell, Graph
    from warehouse.reading import Result


def save_epoch(result: Result, epoch: int, home: Home) -> Path:
    """Save the model that a cell was after an epoch, if that is not done yet; return its file.

    Args:
        result: of the cell.
        epoch: from 1; its snapshot must be kept.
        home: of the result.

    Raises:
        StoreError: no snapshot of that epoch is kept, or the cell is no longer what it was.
    """
    plan = ran_plan(home, result.plan)
    compiled = None if plan is None else _find(compile_plan(plan, home).graph, result)
    if plan is None or compiled is None:
        raise StoreError(
            f"a model of an epoch is made of a trained cell as it is now, and {result.label} of "
            f"the plan {result.plan} is none: it is made of several, or its plan, its data or its "
            "weights have changed since. Run the plan again, or name the model's file."
        )
    store = Store(home.store)
    kept = kept_epochs(compiled, store)
    if epoch not in kept:
        raise StoreError(
            f"a model of an epoch is made of its snapshot, and of {result.label} there is one of "
            f"epoch {', '.join(map(str, kept)) or 'none'}, not of {epoch}. Where they are large, "
            f"only those are kept that a plan needs: run it with --set base.epochs={epoch}."
        )
    publisher = Publisher(plan, home, store)
    path = publisher.model_path(compiled, epoch=epoch)
    if path.is_file() and path.with_suffix(".json").is_file():
        return path
    return publisher.save(compiled, epoch=epoch)


def kept_epochs(compiled: CompiledCell, store: Store) -> list[int]:
    """Return the epochs of a cell's training whose snapshots are kept, in order."""
    epochs: list[int] = []
    key: str | None = compiled.curve_key
    while key and store.has("train", key):
        notes = store.get("train", key).notes
        last = notes["first_epoch"] + notes["states"].index(key)
        epochs += [epoch for epoch in notes["snapshots"] if epoch <= last]
        key = notes["parent"]
    return sorted(epochs)


def _find(graph: Graph, result: Result) -> CompiledCell | None:
    found = (each for each in graph.cells if each.cell.cell_id == result.cell_id)
    return next((each for each in found if each.result_key == result.result_key), None)
