"""Made-up results of a plan, straight into a warehouse: any number of cells in a second or two.

The data set, the cells and their ids are real; what they answered is drawn, with a given accuracy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import warehouse
from foodvision.data.selection import Selection, select
from foodvision.hashing import digest
from foodvision.plan.expand import Cell, expand
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from tasks.evaluation_rows import Outputs, class_rows, metric_rows, prediction_rows
from tasks.plan_data import fetch_data
from tasks.tables import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from foodvision.data.datasets import Dataset
    from foodvision.home import Home
    from foodvision.plan.schema import Plan

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
Row = dict[str, Any]


@dataclass(frozen=True)
class Board:
    """A plan and what is to be said of its cells.

    Attributes:
        plan: it has one data set that trains and scores every cell.
        home: gets the data set and the warehouse.
        accuracy: of a cell, roughly what it reaches on the test images, in (0, 1).
        statuses: of cells that did not complete, by label.
        wrong_labels: positions in the test split that every model takes for the next class.
        alike: share of an image's difficulty that is the same for all cells.
        run_id: of the run that found it all.
        started: when it began.
        torch: version that it says it had.
        overrides: that it says it was started with.
    """

    plan: Plan
    home: Home
    accuracy: Callable[[Cell], float]
    statuses: Mapping[str, str] = field(default_factory=dict)
    wrong_labels: frozenset[int] = frozenset()
    alike: float = 0.6
    run_id: str = "run-1"
    started: datetime = START
    torch: str = "2.14.1"
    overrides: Sequence[str] = ()

    def load(self) -> list[Cell]:
        """Write everything; return the cells."""
        cells = expand(self.plan)
        (name,) = self.plan.data
        dataset = fetch_data(self.plan, name, self.home, progress=SILENT)
        rows: dict[str, list[Row]] = {name: [] for name in SCHEMAS}
        self._add_run(rows, cells)
        self._add_dataset(rows, dataset)
        chosen = select(dataset, "test")
        shared = np.random.default_rng(1).standard_normal(len(chosen))
        for cell in cells:
            rows["cells"].append(_cell_row(cell))
            rows["cell_runs"].append(self._cell_run_row(cell))
            if cell.label not in self.statuses:
                self._add_result(rows, cell, dataset, chosen, shared)
        warehouse.load(self.home.warehouse, {name: _table(name, rows[name]) for name in rows})
        return cells

    def _add_run(self, rows: dict[str, list[Row]], cells: list[Cell]) -> None:
        identity = {"plan_id": self.plan.plan_id, "plan_name": self.plan.name}
        text = json.dumps(self.plan.to_json())
        rows["plans"].append(identity | {"description": self.plan.description, "plan_json": text})
        work = {"epochs": 40, "steps": 1360, "train_images": 43080, "bytes_written": 460032}
        rows["runs"].append(
            identity
            | {
                "run_id": self.run_id,
                "started_at": self.started,
                "finished_at": self.started + timedelta(minutes=5),
                "status": "failed" if self.statuses else "completed",
                "cells": len(cells),
                "cells_failed": list(self.statuses.values()).count("failed"),
                "predicted_json": json.dumps(work),
                "counted_json": json.dumps(work),
                "set_json": json.dumps(list(self.overrides)),
                "wall_seconds": 300.0,
                "device": "cpu",
                "environment_json": json.dumps(
                    {"python": "3.12.1", "host": "somewhere", "packages": {"torch": self.torch}}
                ),
            }
        )
        rows["stages"] += [
            {
                "run_id": self.run_id,
                "stage_key": key,
                "kind": "train",
                "label": "train",
                "seconds": 2.0,
            }
            | {"is_hit": key == "hit", "images": 100, "epochs": 5, "bytes": 1000}
            for key in ("hit", "miss")
        ]

    def _add_dataset(self, rows: dict[str, list[Row]], dataset: Dataset) -> None:
        splits = dataset.table.column("split").to_pylist()
        (source,) = self.plan.data.values()
        rows["datasets"].append(
            {
                "dataset_key": dataset.key,
                "digest": dataset.digest,
                "source": source.source,
                "classes_json": json.dumps(dataset.classes),
                "images": len(splits),
                "train_images": splits.count("train"),
                "test_images": splits.count("test"),
                "bytes": 1000,
            }
        )

    def _cell_run_row(self, cell: Cell) -> Row:
        status = self.statuses.get(cell.label, "completed")
        result = None if status in ("failed", "pending") else _result_key(cell)
        return {
            "run_id": self.run_id,
            "cell_id": cell.cell_id,
            "plan_id": self.plan.plan_id,
            "plan_name": self.plan.name,
            "label": cell.label,
            "position": cell.position,
            "axes_json": json.dumps(dict(cell.axes)),
            "status": status,
            "error": "out of memory: <b>1</b> & more" if status == "failed" else None,
            "result_key": result,
            "train_key": result and _state_key(cell, cell.settings.epochs),
            "epochs_trained": cell.settings.epochs,
            "seconds_alone": 1.0 + cell.position % 7,
            "seconds_paid": 0.5,
            "params_total": 1000 * (1 + cell.position % 5),
            "params_trainable": 500,
            "model_bytes": 4000 * (1 + cell.position % 5),
            "finished_at": self.started + timedelta(minutes=4),
        }

    def _add_result(
        self,
        rows: dict[str, list[Row]],
        cell: Cell,
        dataset: Dataset,
        chosen: Selection,
        shared: np.ndarray,
    ) -> None:
        accuracy = float(np.clip(self.accuracy(cell), 0.001, 0.999))
        logits = self._logits(cell, accuracy, len(dataset.classes), chosen, shared)
        identity = {"result_key": _result_key(cell), "cell_id": cell.cell_id}
        test = Outputs(logits, dataset, chosen)
        found = metric_rows(identity, {"test": test, "valid": test})
        rows["predictions"] += prediction_rows(identity, test)
        rows["class_metrics"] += class_rows(identity, test)
        rows["metrics"] += found
        reached = found[0]["accuracy"]
        epochs = _epoch_rows(identity, cell.settings.epochs, reached)
        rows["epochs"] += [row | {"state_key": _state_key(cell, row["epoch"])} for row in epochs]
        rows["cell_runs"][-1] |= {
            f"{part}_{name}": found[0][name]
            for part in ("train", "valid", "test")
            for name in ("loss", "accuracy")
        }

    def _logits(
        self, cell: Cell, accuracy: float, classes: int, chosen: Selection, shared: np.ndarray
    ) -> np.ndarray:
        """Return float32 [N, C]: right where an image is not too hard for the cell."""
        generator = np.random.default_rng(int(cell.cell_id[:8], 16))
        count = len(chosen)
        own = generator.standard_normal(count)
        hardness = np.sqrt(self.alike) * shared + np.sqrt(1 - self.alike) * own
        room = NormalDist().inv_cdf(accuracy) - hardness  # above 0: right
        truth = chosen.labels.copy()
        wrong = np.array(sorted(self.wrong_labels), dtype=np.int64)
        truth[wrong] = (truth[wrong] + 1) % classes
        logits = generator.normal(0, 0.3, (count, classes))
        second = (truth + 1 + generator.integers(max(1, classes - 1), size=count)) % classes
        logits[np.arange(count), truth] += 2 + np.maximum(room, 0) * 2
        logits[np.arange(count), second] += np.where(room < 0, 3 - room * 2, 0)
        logits[wrong, truth[wrong]] += 8
        return logits.astype(np.float32)


def make_board(
    home: Home, text: str, accuracy: Callable[[Cell], float], **more: Any
) -> tuple[Plan, list[Cell]]:
    """Write made-up results of a plan's text; return the plan and its cells."""
    plan = load_plan(text)
    return plan, Board(plan, home, accuracy, **more).load()


def _result_key(cell: Cell) -> str:
    return digest({"result of": cell.cell_id})


def _state_key(cell: Cell, epoch: int) -> str:
    """Return a key that cells share which differ in how long they train."""
    recipe = cell.settings.model_dump(mode="json", exclude={"epochs"})
    return digest({"state of": recipe, "after": epoch})


def _cell_row(cell: Cell) -> Row:
    settings = cell.settings.model_dump(mode="json")
    return {
        "cell_id": cell.cell_id,
        "arch": settings["model"]["arch"],
        "weights": settings["model"]["weights"],
        "freeze": str(settings["model"]["freeze"]),
        "data": settings["data"]["name"],
        "test": settings["test"]["name"],
        "valid": settings["valid"],
        "epochs": settings["epochs"],
        "batch_size": settings["batch_size"],
        "optimizer": settings["optimizer"]["kind"],
        "learning_rate": 0.001,
        "seed": settings["seed"],
        "settings_json": json.dumps(settings, sort_keys=True),
    }


def _epoch_rows(identity: Row, epochs: int, accuracy: float) -> list[Row]:
    rows = []
    for epoch in range(1, epochs + 1):
        reached = accuracy * (1 - 0.5 ** (epoch + 1)) / (1 - 0.5 ** (epochs + 1))
        row = identity | {"epoch": epoch, "learning_rate": 0.001, "seconds": 0.1, "images": 100}
        for part, shift in (("train", 1.02), ("valid", 0.99), ("test", 1.0)):
            share = min(1.0, reached * shift)
            row |= {f"{part}_accuracy": share, f"{part}_loss": 2 * (1.02 - share)}
        rows.append(row)
    return rows


def _table(name: str, rows: list[Row]) -> pa.Table:
    schema = SCHEMAS[name]
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)
