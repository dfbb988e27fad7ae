"""A cell's result as the contract means it: final state, epochs, logits. Compared to the bit."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from foodvision.data.bank import Bank
from foodvision.hashing import digest
from tasks.records import chain_epochs, read_logits, scored_epochs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from foodvision.data.bank import Rows
    from foodvision.plan.graph import CompiledCell, Recipe
    from foodvision.store import Store

_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Result:
    """What training a cell gave; times do not belong to it.

    Attributes:
        weights: all tensors of the final state that differ from the initial weights, by name.
        optimizer: the optimiser's state, flat; and what it moves, where `weights` are averages.
        epochs: per epoch the metrics in training, then those on each scored part.
        logits: per scored part, float32 [N, C], in the order of the part's images.
    """

    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    epochs: Sequence[Mapping[str, Any]]
    logits: Mapping[str, np.ndarray]

    @property
    def digest(self) -> str:
        """Return the digest of everything."""
        return digest([_tensors(self.weights), _tensors(self.optimizer), self._rest()])

    def _rest(self) -> list[Any]:
        return [list(self.epochs), {part: _array(rows) for part, rows in self.logits.items()}]


@dataclass(frozen=True)
class Comparison:
    """One thing of a result, held against the same thing of another one.

    Attributes:
        what: weights, optimizer, epochs, `logits.<part>`, pixels or features.
        stored: digest of what the store holds.
        again: digest of what was computed again.
        difference: where and by how much they differ, in words; `None` where every bit is equal.
    """

    what: str
    stored: str
    again: str
    difference: str | None

    @property
    def is_equal(self) -> bool:
        """Whether every bit is equal."""
        return self.difference is None


def read_result(store: Store, compiled: CompiledCell) -> Result:
    """Read the result of a cell.

    Raises:
        StoreError: a stage of it is missing or damaged.
    """
    from foodvision.stages.training import read_snapshot

    snapshot = read_snapshot(store, compiled.final)
    return Result(
        weights=snapshot.model,
        optimizer={
            **snapshot.optimizer,
            **{f"{name}.moved": value for name, value in snapshot.moved.items()},
            **{f"schedule.{name}": value for name, value in snapshot.schedule.items()},
        },
        epochs=_epochs(store, compiled),
        logits={
            part: read_logits(store.get("score", key)) for part, key in compiled.score_keys.items()
        },
    )


def compare_results(stored: Result, again: Result) -> list[Comparison]:
    """Compare two results of one cell, thing by thing."""
    compared = [
        _compare_tensors("weights", stored.weights, again.weights),
        _compare_tensors("optimizer", stored.optimizer, again.optimizer),
        _compare_epochs(stored.epochs, again.epochs),
    ]
    for part, logits in stored.logits.items():
        compared.append(_compare_logits(part, logits, again.logits[part]))
    return compared


def compare_rows(
    stored: Store, again: Store, recipe: Recipe, images: Sequence[str]
) -> Comparison | None:
    """Compare the rows of images under a recipe; `None` where one of the stores keeps none.

    Args:
        stored: a store.
        again: another one.
        recipe: of pixels or features.
        images: sha256 of each; those that a store has no row of are left out.
    """
    banks = [
        Bank(store, recipe.kind, recipe.key, recipe.row_shape, recipe.dtype)
        for store in (stored, again)
    ]
    absent = {image for bank in banks for image in bank.missing(images)}
    shared = [image for image in dict.fromkeys(images) if image not in absent]
    if not shared:
        return None
    digests = (hashlib.sha256(), hashlib.sha256())
    changed, largest = 0, 0.0
    for ours, theirs in _blocks([bank.open(shared) for bank in banks], recipe.row_bytes):
        digests[0].update(ours.tobytes())
        digests[1].update(theirs.tobytes())
        rows = _changed(ours, theirs).reshape(len(ours), -1).any(axis=1)
        changed += int(rows.sum())
        largest = _largest_of(largest, _largest(ours, theirs))
    difference = f"{changed} of {len(shared)} images, by up to {largest:.3g}" if changed else None
    return Comparison(recipe.kind, digests[0].hexdigest(), digests[1].hexdigest(), difference)


def _epochs(store: Store, compiled: CompiledCell) -> list[dict[str, Any]]:
    epochs = chain_epochs(store, compiled.curve_key, last_epoch=compiled.curve_end)
    rows = [{name: row[name] for name in row if name != "seconds"} for _, row in epochs]
    for part, images in compiled.image_sets.items():
        scores = scored_epochs(store, epochs, images.digest)
        for row in rows:
            scored = scores[row["epoch"]]
            row |= {f"{part}_{name}": scored[name] for name in ("loss", "accuracy", "images")}
    return rows


def _compare_tensors(
    what: str, stored: Mapping[str, Tensor], again: Mapping[str, Tensor]
) -> Comparison:
    return Comparison(
        what,
        digest(_tensors(stored)),
        digest(_tensors(again)),
        _tensor_difference(stored, again),
    )


def _tensor_difference(stored: Mapping[str, Tensor], again: Mapping[str, Tensor]) -> str | None:
    ours, theirs = _tensors(stored), _tensors(again)
    if ours == theirs:
        return None
    if alone := sorted(ours.keys() ^ theirs.keys()):
        return f"only one of the two has {alone[0]}" + _more(len(alone) - 1)
    changed = sorted(name for name in ours if ours[name] != theirs[name])
    if shapes := [name for name in changed if stored[name].shape != again[name].shape]:
        return f"{shapes[0]} has another shape" + _more(len(shapes) - 1)
    largest = {
        name: _largest(stored[name].double().numpy(), again[name].double().numpy())
        for name in changed
    }
    worst = max(changed, key=lambda name: math.inf if math.isnan(largest[name]) else largest[name])
    return f"{len(changed)} of {len(ours)} tensors, {worst} by up to {largest[worst]:.3g}"


def _compare_epochs(
    stored: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]
) -> Comparison:
    difference = None
    for ours, theirs in zip(stored, again, strict=False):
        names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        if names:
            values = (ours.get(names[0]), theirs.get(names[0]))
            difference = f"from epoch {ours['epoch']} on, {names[0]}: {values[0]} and {values[1]}"
            break
    if difference is None and len(stored) != len(again):
        difference = f"{len(stored)} epochs and {len(again)}"
    return Comparison("epochs", digest(list(stored)), digest(list(again)), difference)


def _compare_logits(part: str, stored: np.ndarray, again: np.ndarray) -> Comparison:
    difference = None
    if stored.shape != again.shape:
        difference = f"shapes {list(stored.shape)} and {list(again.shape)}"
    elif (changed := _changed(stored, again).any(axis=-1)).any():
        most = _largest(stored, again)
        difference = f"{int(changed.sum())} of {len(stored)} images, by up to {most:.3g}"
    return Comparison(f"logits.{part}", _array(stored), _array(again), difference)


def _blocks(rows: Sequence[Rows], row_bytes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    step = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, len(rows[0]), step):
        indices = np.arange(start, min(start + step, len(rows[0])))
        yield rows[0].gather(indices), rows[1].gather(indices)


def _changed(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return where bits differ, as bool of the same shape (equal NaNs are equal)."""
    bits = f"u{ours.dtype.itemsize}"
    changed: np.ndarray = np.ascontiguousarray(ours).view(bits) != np.ascontiguousarray(
        theirs
    ).view(bits)
    return changed


def _largest(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest absolute difference; NaN where one of two values is none or infinite."""
    changed = _changed(ours, theirs)
    if not changed.any():
        return 0.0
    pairs = (ours[changed].astype(np.float64), theirs[changed].astype(np.float64))
    with np.errstate(invalid="ignore"):
        return float(np.abs(pairs[0] - pairs[1]).max())


def _largest_of(first: float, second: float) -> float:
    return math.nan if math.isnan(first) or math.isnan(second) else max(first, second)


def _tensors(tensors: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    """Return what makes tensors equal: type, shape and a digest of the bytes, by name."""
    import torch

    return {
        name: [
            str(tensor.dtype),
            list(tensor.shape),
            hashlib.sha256(
                tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            ).hexdigest(),
        ]
        for name, tensor in tensors.items()
    }


def _array(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""
