"""Rows about measured models: one per batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from foodvision.store import Entry, Store

Row = dict[str, Any]


def latency_rows(store: Store, keys: Iterable[str]) -> list[Row]:
    """Return what the store holds of these measurements; of most, nobody asked for any."""
    found = [store.get("latency", key) for key in keys if store.has("latency", key)]
    return [row for entry in found for row in _rows(entry)]


def _rows(entry: Entry) -> Iterator[Row]:
    model, environment = entry.inputs["model"], entry.inputs["environment"]
    about = {
        "latency_key": entry.key,
        "arch": model["arch"],
        "image_size": model["size"],
        "classes": model["classes"],
        "processor": entry.inputs["processor"],
    } | {name: environment[name] for name in ("device", "threads", "precision")}
    for batch in entry.notes["batches"]:
        yield about | batch
