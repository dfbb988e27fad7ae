"""The steps of a span's epochs, in a file beside its states: there where a plan asked for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import compute, parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from foodvision.store import Entry, Store
    from foodvision.train.recording import EpochSteps

STEPS_FILE = "steps.parquet"
SCHEMA = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("images", pa.int32(), nullable=False),
        pa.field("loss", pa.float64(), nullable=False),
        pa.field("gradient_norm", pa.float64()),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("group_rates_json", pa.string()),
    ]
)


def write_steps(
    folder: Path, epochs: Mapping[int, EpochSteps], *, factors: Mapping[str, float]
) -> None:
    """Write the steps of epochs (from 1), in order; without any, nothing.

    Args:
        folder: of the entry of the span that they belong to.
        epochs: by number, ascending.
        factors: what each group of blocks multiplies the learning rate by; empty: there is one.
    """
    if epochs:
        tables = [_table(epoch, steps, factors) for epoch, steps in epochs.items()]
        parquet.write_table(pa.concat_tables(tables), folder / STEPS_FILE, compression="zstd")


def _table(epoch: int, steps: EpochSteps, factors: Mapping[str, float]) -> pa.Table:
    count = len(steps.losses)
    norms = steps.gradient_norms
    columns = [
        pa.array(np.full(count, epoch, dtype=np.int32)),
        pa.array(steps.images.astype(np.int32)),
        pa.array(steps.losses),
        pa.nulls(count, pa.float64()) if norms is None else pa.array(norms),
        pa.array(steps.learning_rates),
        pa.array([_group_rates(rate, factors) for rate in steps.learning_rates], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _group_rates(rate: float, factors: Mapping[str, float]) -> str | None:
    rates = {label: float(rate) * factor for label, factor in factors.items()}
    return json.dumps(rates, ensure_ascii=False) if rates else None


def has_steps(entry: Entry) -> bool:
    """Say whether an entry of a span holds its steps."""
    return STEPS_FILE in entry.manifest["files"]


def chain_steps(store: Store, final: str, *, last_epoch: int | None = None) -> pa.Table:
    """Return the steps behind a state, in order, as far as they were noted.

    Args:
        store: where they lie.
        final: key of the state.
        last_epoch: leave out those after it; `None`: none.

    Returns:
        `SCHEMA` with `step` (int32, from 1, over the whole training) before it. What was computed
        by a run that did not ask for steps has none, and its steps are counted all the same.

    Raises:
        StoreError: a span is no longer kept.
    """
    tables: list[pa.Table] = []
    counts: dict[int, int] = {}
    key: str | None = final
    while key:
        entry = store.get("train", key)
        end = entry.notes["first_epoch"] + entry.notes["states"].index(key)
        end = end if last_epoch is None else min(end, last_epoch)
        counts |= {row["epoch"]: row["steps"] for row in entry.notes["epochs"]}
        if has_steps(entry):
            table = parquet.read_table(entry.path / STEPS_FILE, schema=SCHEMA)
            tables.append(table.filter(compute.field("epoch") <= end))
        key = entry.notes["parent"]
    return _numbered(pa.concat_tables([SCHEMA.empty_table(), *reversed(tables)]), counts)


def _numbered(table: pa.Table, counts: Mapping[int, int]) -> pa.Table:
    """Put the number of each step before it.

    Args:
        table: steps of whole epochs, in order.
        counts: steps of every epoch of the training.
    """
    epochs = table.column("epoch").to_numpy()
    before = dict(zip(counts, _sums_before(counts), strict=True))
    numbers = np.empty(len(epochs), dtype=np.int32)
    for epoch in np.unique(epochs):
        (places,) = np.nonzero(epochs == epoch)
        numbers[places] = before[int(epoch)] + 1 + np.arange(len(places))
    return table.add_column(0, "step", pa.array(numbers))


def _sums_before(counts: Mapping[int, int]) -> Iterable[int]:
    """Return how many steps come before each epoch, in the order given."""
    return [sum(n for other, n in counts.items() if other < epoch) for epoch in counts]
