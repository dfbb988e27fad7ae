"""Records: what runs found, as tables for the warehouse, from the journals and the store alone.

One path for both ways in: after a run its journal is read and its rows are loaded; `warehouse
rebuild` reads every journal and gives the same rows.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from foodvision.data.datasets import Dataset, open_dataset
from foodvision.data.selection import Selection, select
from foodvision.errors import StoreError
from foodvision.home import path_in_home
from foodvision.plan.augmentation import augment_words
from foodvision.plan.graph import score_key
from foodvision.plan.mixing import mix_words
from foodvision.plan.phases import settings_at_end
from foodvision.stages.curves import told_accuracy
from tasks.composite_rows import composite_row, member_rows, result_columns
from tasks.evaluation_rows import (
    Outputs,
    class_rows,
    metric_rows,
    prediction_rows,
    told_scores,
)
from tasks.latency_rows import latency_rows
from tasks.step_rows import step_columns
from tasks.tables import SCHEMAS

if TYPE_CHECKING:
    import numpy as np

    from foodvision.store import Entry, Store

Event = Mapping[str, Any]
Row = dict[str, Any]

LOGITS = "logits.npy"


@dataclass
class Records:
    """Rows by table, on their way to Arrow.

    Attributes:
        rows: by table.
        columns: rows that are in Arrow already, by table: too many to be handled one by one.
        result_seconds: that went into rows of results, which are made once for all runs.
    """

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    columns: dict[str, list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    result_seconds: float = 0.0

    def add(self, table: str, *rows: Row) -> None:
        """Add rows to a table."""
        self.rows[table].extend(rows)

    def extend(self, other: Records) -> None:
        """Add all rows of other records."""
        for table, rows in other.rows.items():
            self.add(table, *rows)
        for table, columns in other.columns.items():
            self.columns[table] += columns

    def tables(self) -> dict[str, pa.Table]:
        """Return Arrow tables of every table that has rows, one row per key."""
        return {
            name: pa.concat_tables(
                [pa.Table.from_pylist(self.rows[name], schema=schema), *self.columns[name]]
            )
            for name, schema in SCHEMAS.items()
            if self.rows.get(name) or self.columns.get(name)
        }


def run_records(
    events: Sequence[Event],
    store: Store,
    *,
    known_results: Iterable[str] = (),
    cells: Collection[str] | None = None,
) -> Records:
    """Return the rows of one run.

    Args:
        events: the run's journal.
        store: where its stages lie.
        known_results: result keys whose rows (epochs, predictions, metrics) are loaded already.
        cells: leave out all others, data sets and what is made of cells; None: all that there is.
    """
    records = Records()
    if not events:
        return records
    reader = _ResultReader(store)
    _add_run(records, events)
    for event in events:
        if cells is None and event["event"] == "dataset" and store.has("dataset", event["key"]):
            _add_dataset(records, reader.dataset(event["key"]), event)
        if event["event"] == "stage":
            _add_stage(records, events[0]["run_id"], event)
        if event["event"] == "system":
            records.add("system_metrics", _system_row(events[0], event))
            records.add("gpu_metrics", *_gpu_rows(events[0], event))
    if cells is None:
        _add_found_stages(records, events)
    known = set(known_results)
    cell_runs = _add_cells(records, events, reader, known=known, only=cells)
    keys = dict.fromkeys(row.get("latency_key") for row in cell_runs.values())
    records.add("latencies", *latency_rows(store, [key for key in keys if key]))
    if cells is None:
        _add_composites(records, events, reader, cell_runs, known=known)
    return records


def certificate_row(event: Event) -> Row:
    """Return the row of one certificate, as its journal holds it."""
    kept = ("certificate_id", "result_key", "cell_id", "plan_name", "is_equal", "difference")
    return {name: event[name] for name in (*kept, "seconds")} | {
        "checked_at": _time(event["checked_at"]),
        "compared_json": _json(event["compared"]),
        "environment_json": _json(event["environment"]),
    }


def chain_epochs(
    store: Store, final: str, *, last_epoch: int | None = None
) -> list[tuple[str, Row]]:
    """Return the epochs behind a state, in order, each with the key of the span that holds it.

    Each has its own `state_key`, too.

    Args:
        store: where they lie.
        final: key of the state.
        last_epoch: leave out those after it; `None`: none.
    """
    rows: list[tuple[str, Row]] = []
    key: str | None = final
    while key:
        notes = store.get("train", key).notes
        end = notes["first_epoch"] + notes["states"].index(key)
        end = end if last_epoch is None else min(end, last_epoch)
        held = [
            (notes["states"][-1], row | {"state_key": notes["states"][place]})
            for place, row in enumerate(notes["epochs"])
            if row["epoch"] <= end
        ]
        rows = held + rows
        key = notes["parent"]
    return rows


def cell_outcomes(events: Sequence[Event]) -> dict[str, Event]:
    """Return the last word on each cell, and on what is made of cells, by id.

    `settled` tells of many cells while the run goes on, `cell` of one at its end.
    """
    found: dict[str, Event] = {}
    for event in events:
        if event["event"] == "settled":
            for cell in event["cells"]:
                found[cell["cell_id"]] = {"at": event["at"], "model_path": None, **cell}
        elif event["event"] == "cell":
            found[event["cell_id"]] = event
    return found


def latest(events: Sequence[Event], name: str) -> Event | None:
    """Return the last event of that name."""
    return next((event for event in reversed(events) if event["event"] == name), None)


class _ResultReader:
    """Opens data sets and selections once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._datasets: dict[str, Dataset] = {}
        self._selections: dict[str, Selection] = {}
        self._row_seconds: dict[str, float] = {}

    def dataset(self, key: str) -> Dataset:
        if key not in self._datasets:
            self._datasets[key] = open_dataset(self.store, key)
        return self._datasets[key]

    def selection(self, scored: Event) -> Selection:
        """Return the images of a score as the cell's own data set names them."""
        share = scored["share"]
        identity = repr((scored["dataset"], scored["part"], sorted(share.items(), key=str)))
        if identity not in self._selections:
            dataset = self.dataset(scored["dataset"])
            self._selections[identity] = select(dataset, scored["part"], **share)
        return self._selections[identity]

    def outputs(self, entry: Entry, scored: Event, *, file: str = LOGITS) -> Outputs:
        """Return what a stage holds of the images that it scored."""
        logits = read_logits(entry, file=file)
        return Outputs(logits, self.dataset(scored["dataset"]), self.selection(scored))

    def seconds_per_row(self, kind: str, recipe: str) -> float:
        """Return the mean seconds that a row of a recipe took when it was computed."""
        if recipe not in self._row_seconds:
            shards = [
                entry
                for entry in self.store.readable(f"{kind}-shard")
                if entry.notes.get("recipe") == recipe
            ]
            rows = sum(int(entry.work["images"]) for entry in shards)
            seconds = sum(entry.seconds for entry in shards)
            self._row_seconds[recipe] = seconds / rows if rows else 0.0
        return self._row_seconds[recipe]


def _add_run(records: Records, events: Sequence[Event]) -> None:
    started = events[0]
    finished = latest(events, "finished")
    compiled = latest(events, "compiled")
    records.add(
        "plans",
        {
            "plan_id": started["plan_id"],
            "plan_name": started["plan_name"],
            "description": started["description"],
            "plan_json": started["plan_json"],
            "source_path": started["source_path"],
        },
    )
    cells = {cell["cell_id"] for cell in started["plan_cells"]}
    failed = {
        cell_id
        for cell_id, outcome in cell_outcomes(events).items()
        if outcome["status"] == "failed" and cell_id in cells
    }
    records.add(
        "runs",
        {
            "run_id": started["run_id"],
            "plan_id": started["plan_id"],
            "plan_name": started["plan_name"],
            "started_at": _time(started["at"]),
            "finished_at": _time(finished["at"]) if finished else None,
            "status": finished["status"] if finished else "running",
            "cells": started["cells"],
            "cells_failed": len(failed),
            "predicted_json": _json(compiled["predicted"]) if compiled else None,
            "counted_json": _json(finished["counted"]) if finished else None,
            "wall_seconds": finished["wall_seconds"] if finished else None,
            "device": compiled["device"] if compiled else None,
            "environment_json": _json(started["environment"]),
            "set_json": _json(started["set"]),
            "log_path": started.get("log"),
        },
    )


def _add_dataset(records: Records, dataset: Dataset, event: Event) -> None:
    splits = dataset.table.column("split").to_pylist()
    records.add(
        "datasets",
        {
            "dataset_key": dataset.key,
            "digest": dataset.digest,
            "source": event["source"],
            "classes_json": _json(list(dataset.classes)),
            "images": len(splits),
            "train_images": splits.count("train"),
            "test_images": splits.count("test"),
            "bytes": event["bytes"],
        },
    )
    for row in dataset.table.to_pylist():
        records.add(
            "images",
            {
                "dataset_key": dataset.key,
                "split": row["split"],
                "path": row["path"],
                "class_name": dataset.classes[row["label"]],
                "image_sha256": row["sha256"],
                "width": row["width"],
                "height": row["height"],
            },
        )


def _add_stage(records: Records, run_id: str, event: Event) -> None:
    tally = event.get("tally") or {}
    records.add(
        "stages",
        {
            "run_id": run_id,
            "stage_key": event["key"],
            "kind": event["kind"],
            "label": event["label"],
            "is_hit": event["is_hit"],
            "seconds": event["seconds"],
            "images": _touched_images(tally),
            "epochs": tally.get("epochs", 0),
            "bytes": tally.get("bytes_written", 0),
            "peak_memory_bytes": event["peak_memory_bytes"],
            "error": event["error"],
            "log_path": event.get("log"),
        },
    )


def _add_found_stages(records: Records, events: Sequence[Event]) -> None:
    """Add the stages that the store held when the run began."""
    compiled = next((event for event in events if event["event"] == "compiled"), None)
    computed = {(row["kind"], row["stage_key"]) for row in records.rows["stages"]}
    for kind, key in compiled["hits"] if compiled else ():
        if (kind, key) not in computed:
            found = {"key": key, "kind": kind, "label": None, "is_hit": True, "seconds": 0.0}
            nothing = {"peak_memory_bytes": None, "error": None}
            _add_stage(records, events[0]["run_id"], found | nothing)


def system_samples(events: Sequence[Event]) -> list[tuple[datetime, Row]]:
    """Return when the machine was looked at in a run, and what was seen, also of each GPU."""
    names = SCHEMAS["system_metrics"].names[3:]  # behind run_id, sampled_at and seconds
    return [
        (_time(event["at"]), {name: event[name] for name in names} | _gpu_figures(event))
        for event in events
        if event["event"] == "system"
    ]


def _gpu_figures(event: Event) -> Row:
    names = SCHEMAS["gpu_metrics"].names[4:]  # behind run_id, sampled_at, gpu and gpu_name
    return {
        f"gpu_{gpu['gpu']}/{name}": gpu[name] for gpu in event.get("gpus", ()) for name in names
    }


def _system_row(started: Event, event: Event) -> Row:
    about = {"run_id": started["run_id"], "sampled_at": _time(event["at"])}
    return about | {name: event[name] for name in SCHEMAS["system_metrics"].names[len(about) :]}


def _gpu_rows(started: Event, event: Event) -> list[Row]:
    about = {"run_id": started["run_id"], "sampled_at": _time(event["at"])}
    return [about | gpu for gpu in event.get("gpus", ())]


def _touched_images(tally: Mapping[str, int]) -> int:
    computed = tally.get("prefix_images", 0) or tally.get("decoded_images", 0)
    return computed + tally.get("train_images", 0) + tally.get("scored_images", 0)


def _add_cells(
    records: Records,
    events: Sequence[Event],
    reader: _ResultReader,
    *,
    known: set[str],
    only: Collection[str] | None,
) -> dict[str, Row]:
    """Add what a run found of each cell; return its row among the runs of cells, by id."""
    started, compiled = events[0], latest(events, "compiled")
    cell_runs: dict[str, Row] = {}
    outcomes = cell_outcomes(events)
    paid = _seconds_paid(events)
    plans = {cell["cell_id"]: cell for cell in (compiled["cells"] if compiled else ())}
    for cell in started["plan_cells"]:
        cell_id = cell["cell_id"]
        if only is not None and cell_id not in only:
            continue
        records.add("cells", _cell_row(cell))
        row = _cell_run_row(started, cell, outcomes.get(cell_id))
        plan = plans.get(cell_id)
        if plan:
            row |= {name: plan[name] for name in _MODEL_COLUMNS}
            row["latency_key"] = plan.get("latency_key")
        records.add("cell_runs", row)
        cell_runs[cell_id] = row
        if plan and row["status"] in ("completed", "diverged"):
            found = Records()
            try:
                row |= _result_columns(plan, reader, paid=paid.get(cell_id, 0.0))
                if plan["result_key"] not in known:
                    began_at = time.perf_counter()
                    _add_result(found, cell_id, plan, reader)
                    records.result_seconds += time.perf_counter() - began_at
            except StoreError as error:
                row |= {"status": "pending", "error": f"its result is no longer kept: {error}"}
                continue
            known.add(plan["result_key"])
            records.extend(found)
    return cell_runs


def _add_composites(
    records: Records,
    events: Sequence[Event],
    reader: _ResultReader,
    cell_runs: Mapping[str, Row],
    *,
    known: set[str],
) -> None:
    started, compiled = events[0], latest(events, "compiled")
    outcomes = cell_outcomes(events)
    paid = _seconds_paid(events)
    cells = {row["cell_id"]: row for row in records.rows["cells"]}
    made = {each["cell_id"]: each for each in (compiled or {}).get("composites", ())}
    for composite in started.get("plan_composites", ()):
        cell_id = composite["cell_id"]
        records.add("composites", composite_row(composite, cells))
        row = _cell_run_row(started, composite | {"axes": {}}, outcomes.get(cell_id))
        records.add("cell_runs", row)
        if cell_id not in made or row["status"] not in ("completed", "diverged"):
            continue
        try:
            entry = reader.store.get("composite", made[cell_id]["key"])
            row |= result_columns(
                entry,
                made[cell_id],
                cell_runs,
                paid=paid.get(cell_id, 0.0),
                row_seconds=reader.seconds_per_row,
            )
            records.extend(_composite_result(entry, made[cell_id], reader, cell_runs, known))
        except StoreError as error:
            row |= {"status": "pending", "error": f"its result is no longer kept: {error}"}


def _composite_result(
    entry: Entry,
    made: Event,
    reader: _ResultReader,
    cell_runs: Mapping[str, Row],
    known: set[str],
) -> Records:
    found = Records()
    found.add("members", *member_rows(entry, made, cell_runs))
    if made["result_key"] not in known:
        outputs = {
            part: reader.outputs(entry, scored, file=f"logits-{part}.npy")
            for part, scored in made["parts"].items()
        }
        _add_outputs(found, made["result_key"], made["cell_id"], outputs)
        known.add(made["result_key"])
    return found


_MODEL_COLUMNS = ("params_total", "params_trainable", "model_bytes")


def _cell_row(cell: Event) -> Row:
    settings = settings_at_end(cell["settings"])
    transform = settings["transform"]
    return {
        "cell_id": cell["cell_id"],
        "arch": settings["model"]["arch"],
        "weights": settings["model"]["weights"],
        "freeze": str(settings["model"]["freeze"]),
        "data": settings["data"]["name"],
        "data_fraction": settings["data"]["fraction"],
        "data_count": settings["data"]["count"],
        "test": settings["test"]["name"],
        "valid": settings["valid"],
        "image_size": None if transform == "auto" else transform["size"],
        "epochs": settings["epochs"],
        "batch_size": settings["batch_size"],
        "optimizer": settings["optimizer"]["kind"],
        "learning_rate": settings["optimizer"]["lr"],
        "seed": settings["seed"],
        "device": settings["device"],
        "settings_json": _json(cell["settings"]),
        "augment": augment_words(settings.get("augment", "none")),
        "mix": mix_words(settings.get("mix", "none")),
    }


def _cell_run_row(started: Event, cell: Event, outcome: Event | None) -> Row:
    return {
        "run_id": started["run_id"],
        "cell_id": cell["cell_id"],
        "plan_id": started["plan_id"],
        "plan_name": started["plan_name"],
        "label": cell["label"],
        "position": cell["position"],
        "axes_json": _json(cell["axes"]),
        "status": outcome["status"] if outcome else "pending",
        "error": outcome["error"] if outcome else None,
        "log_path": outcome.get("log") if outcome else None,
        "model_path": _model_path(outcome),
        "finished_at": _time(outcome["at"]) if outcome else None,
    }


def _model_path(outcome: Event | None) -> str | None:
    path = outcome["model_path"] if outcome else None
    return path and path_in_home(path)


def _result_columns(plan: Event, reader: _ResultReader, *, paid: float) -> Row:
    epochs = _curve_epochs(plan, reader.store)
    last = chain_epochs(reader.store, plan["final"])[-1][1]
    columns: Row = {
        "result_key": plan["result_key"],
        "train_key": plan["final"],
        "epochs_trained": epochs[-1][1]["epoch"],
        "best_epoch": plan.get("best_epoch"),
        "train_loss": last["train_loss"],
        "train_accuracy": told_accuracy(last["train_loss"], last["train_accuracy"]),
        "seconds_alone": _seconds_alone(plan, epochs, reader),
        "seconds_paid": paid,
        "images_per_second": _rate(epochs),
    }
    for part, scored in plan["scores"].items():
        row = reader.store.get("score", scored["key"]).notes["rows"][-1]
        columns |= told_scores({part: row})
    return columns


def _curve_epochs(plan: Event, store: Store) -> list[tuple[str, Row]]:
    """Return the epochs of a cell's curve; it may go on behind the state that is the result."""
    held, last_epoch = _curve(plan)
    return chain_epochs(store, held, last_epoch=last_epoch)


def _curve(plan: Event) -> tuple[str, int | None]:
    """Return the state that a cell's curve leads to, and its last epoch where that is before."""
    curve = plan.get("curve")
    return (plan["final"], None) if curve is None else (curve["held"], curve["last_epoch"])


def _rate(epochs: Sequence[tuple[str, Row]]) -> float | None:
    seconds = sum(row["seconds"] for _, row in epochs)
    return sum(row["images"] for _, row in epochs) / seconds if seconds else None


def _seconds_alone(plan: Event, epochs: Sequence[tuple[str, Row]], reader: _ResultReader) -> float:
    """Add up the cell's whole chain, as measured when each part was computed.

    What its stop rules looked at and gave up belongs to it: alone, it had to be trained too.
    """
    for part in plan.get("given_up", ()):
        behind = chain_epochs(reader.store, part["held"], last_epoch=part["last_epoch"])
        epochs = [*epochs, *(each for each in behind if each[1]["epoch"] > part["after"])]
    rows = sum(
        reader.seconds_per_row(recipe["kind"], recipe["key"]) * recipe["images"]
        for recipe in plan["recipes"]
    )
    scores = sum(
        _score_entry(reader.store, held, scored["on"]).seconds
        for held in dict.fromkeys(held for held, _ in epochs)
        for scored in plan["scores"].values()
    )
    return float(rows + scores + sum(row["seconds"] for _, row in epochs))


def _score_entry(store: Store, state: str, images_digest: str) -> Entry:
    return store.get("score", score_key(state, images_digest))


def _seconds_paid(events: Sequence[Event]) -> dict[str, float]:
    """Share each computed stage's seconds equally among the cells that waited for it."""
    paid: dict[str, float] = defaultdict(float)
    for event in events:
        if event["event"] == "stage" and event["cells"]:
            for cell_id in event["cells"]:
                paid[cell_id] += event["seconds"] / len(event["cells"])
    return paid


def _add_result(records: Records, cell_id: str, plan: Event, reader: _ResultReader) -> None:
    result_key = plan["result_key"]
    records.add("epochs", *_epoch_rows(cell_id, plan, reader))
    if steps := step_columns(result_key, *_curve(plan), reader.store):
        records.columns["steps"].append(steps)
    outputs = {
        part: reader.outputs(reader.store.get("score", scored["key"]), scored)
        for part, scored in plan["scores"].items()
    }
    _add_outputs(records, result_key, cell_id, outputs)


def _add_outputs(
    records: Records, result_key: str, cell_id: str, outputs: Mapping[str, Outputs]
) -> None:
    from foodvision.train.determinism import thread_count

    identity = {"result_key": result_key, "cell_id": cell_id}
    with thread_count(1):
        records.add("predictions", *prediction_rows(identity, outputs["test"]))
        records.add("class_metrics", *class_rows(identity, outputs["test"]))
        records.add("metrics", *metric_rows(identity, outputs))


def read_logits(score: Entry, *, file: str = LOGITS) -> np.ndarray:
    """Return the logits that a stage holds, float32 [N, C]."""
    import numpy as np

    logits: np.ndarray = np.load(score.path / file)
    return logits


def _epoch_rows(cell_id: str, plan: Event, reader: _ResultReader) -> list[Row]:
    epochs = _curve_epochs(plan, reader.store)
    scores = {
        part: scored_epochs(reader.store, epochs, scored["on"])
        for part, scored in plan["scores"].items()
    }
    return [
        {
            "result_key": plan["result_key"],
            "epoch": row["epoch"],
            "cell_id": cell_id,
            "train_loss": row["train_loss"],
            "train_accuracy": told_accuracy(row["train_loss"], row["train_accuracy"]),
            "learning_rate": row["learning_rate"],
            "seconds": row["seconds"],
            "images": row["images"],
            "state_key": row["state_key"],
        }
        | told_scores({part: by_epoch[row["epoch"]] for part, by_epoch in scores.items()})
        for _, row in epochs
    ]


def scored_epochs(
    store: Store, epochs: Sequence[tuple[str, Row]], images_digest: str
) -> dict[int, Row]:
    """Return the scores of a chain's epochs on a list of images, by epoch."""
    found: dict[int, Row] = {}
    for held in dict.fromkeys(held for held, _ in epochs):
        for row in _score_entry(store, held, images_digest).notes["rows"]:
            found[row["epoch"]] = row
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
