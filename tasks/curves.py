"""What the store tells of a cell's metrics while its run goes on; without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.hashing import digest
from foodvision.stages.curves import StoreCurves, told_metric
from tasks.records import chain_epochs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import CompiledCell
    from foodvision.store import Store


def read_curves(
    store: Store, compiled: CompiledCell, metrics: Sequence[str]
) -> dict[str, Sequence[float | None]]:
    """Return the values of metrics after every epoch of a cell, as far as they are known.

    Epochs that other cells train behind the end of this one are not its own; that in which its
    training diverged is.

    Args:
        store: where they lie.
        compiled: the cell.
        metrics: which ones; what the cell does not measure is left out.
    """
    last = _last_epoch(store, compiled) if metrics else 0
    known, states = StoreCurves(store, is_whole=True), compiled.chain.states[:last]
    return {
        metric: known.curve(states, metric, images, first_epoch=1).values[:last]  # type: ignore[arg-type]
        for metric, images in _measured(compiled, metrics).items()
    }


def curves_about(compiled: CompiledCell, metrics: Sequence[str]) -> dict[str, str]:
    """Return by metric the key of what its curve is made of: the training, and the images.

    It is known before the training is, and whatever ends it: a cell's id says all of its settings,
    the key of its first state what its data and weights contain.
    """
    first = compiled.chain.states[0]
    return {
        metric: digest([first, images and images.digest])
        for metric, images in _measured(compiled, metrics).items()
    }


def result_metrics(store: Store, compiled: CompiledCell) -> dict[str, float | None]:
    """Return loss and accuracy of a finished cell, on all that it was measured on."""
    _, last = chain_epochs(store, compiled.final)[-1]
    rows = {"train": {name: last[f"train_{name}"] for name in ("loss", "accuracy")}}
    for part, key in compiled.score_keys.items():
        rows[part] = store.get("score", key).notes["rows"][-1]
    return {
        f"{part}.{name}": told_metric(name, loss=row["loss"], accuracy=row["accuracy"])
        for part, row in rows.items()
        for name in ("loss", "accuracy")
    }


def _measured(compiled: CompiledCell, metrics: Sequence[str]) -> Mapping[str, ImageSet | None]:
    found: dict[str, ImageSet | None] = {}
    for metric in metrics:
        part = metric.partition(".")[0]
        if part == "train" or part in compiled.image_sets:
            found[metric] = compiled.image_sets.get(part)  # type: ignore[call-overload]
    return found


def _last_epoch(store: Store, compiled: CompiledCell) -> int:
    """Return the last epoch that may be the cell's: where it ends, or would end by now."""
    watch = compiled.open_watch
    if watch is None:
        return compiled.curve_end
    seen = watch.look(compiled.chain.states[: watch.last_epoch], StoreCurves(store))
    panel = watch.panel(seen.rows)
    return panel.epoch if panel.is_over else watch.last_epoch
