"""How long the warehouse takes: loading a large plan, loading it again, ranking, reading views.

Run it with `python benchmarks/warehouse_load.py [--cells 1000] [--epochs 10] [--images 75]`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import warehouse
from warehouse import ranking

if TYPE_CHECKING:
    from collections.abc import Callable

_CLASSES = ("pizza", "steak", "sushi")
_START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--images", type=int, default=75)
    options = parser.parse_args()
    tables = synthetic_tables(options.cells, options.epochs, options.images)
    rows = sum(table.num_rows for table in tables.values())
    print(f"{options.cells} cells, {options.epochs} epochs, {options.images} images: {rows} rows")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warehouse.duckdb"
        _time("load into a new file", lambda: warehouse.load(path, tables))
        _time("load the same again", lambda: warehouse.load(path, tables))
        print(f"{'size of the file':32} {path.stat().st_size / 1e6:9.1f} MB")
        _time("rank", lambda: ranking.rank(path))
        for view in ("leaderboard", "seed_summary", "learning_curves", "confusions"):
            _time(f"read {view}", lambda view=view: warehouse.query(path, f"from {view}"))


def synthetic_tables(cells: int, epochs: int, images: int) -> dict[str, pa.Table]:
    """Return one run of a plan of so many cells, with everything that it leaves behind."""
    ids = [hashlib.sha256(f"cell {number}".encode()).hexdigest() for number in range(cells)]
    return {
        "plans": _table([{"plan_id": "p" * 64, "plan_name": "bench", "description": None,
                          "plan_json": "{}", "source_path": None}]),
        "runs": _table([_run(cells)]),
        "cells": _table([_cell(number, key, epochs) for number, key in enumerate(ids)]),
        "cell_runs": _table([_cell_run(number, key) for number, key in enumerate(ids)]),
        "epochs": _table([_epoch(key, epoch) for key in ids for epoch in range(1, epochs + 1)]),
        "predictions": _table([_prediction(key, place) for key in ids for place in range(images)]),
        "class_metrics": _table([_class_metric(key, name) for key in ids for name in _CLASSES]),
    }  # fmt: skip


def _time(what: str, act: Callable[[], object]) -> None:
    begin = time.perf_counter()
    act()
    print(f"{what:32} {time.perf_counter() - begin:9.3f} s")


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


def _run(cells: int) -> dict[str, Any]:
    return {"run_id": "bench-run", "plan_id": "p" * 64, "plan_name": "bench", "started_at": _START,
            "finished_at": _START + timedelta(hours=1), "status": "completed", "cells": cells,
            "cells_failed": 0, "predicted_json": "{}", "counted_json": "{}", "wall_seconds": 3600.0,
            "device": "cpu", "environment_json": "{}", "set_json": "[]"}  # fmt: skip


def _cell(number: int, key: str, epochs: int) -> dict[str, Any]:
    settings = {"model": {"arch": "tiny_vgg"}, "number": number // 3, "seed": number % 3}
    return {"cell_id": key[:16], "arch": "tiny_vgg", "weights": "none", "freeze": "none",
            "data": "digits", "data_fraction": None, "data_count": None, "test": "digits",
            "valid": 0.0, "image_size": 64, "epochs": epochs, "batch_size": 32, "optimizer": "adam",
            "learning_rate": 1e-3, "seed": number % 3, "device": "auto",
            "settings_json": json.dumps(settings)}  # fmt: skip


def _cell_run(number: int, key: str) -> dict[str, Any]:
    share = (number % 97) / 97
    return {"run_id": "bench-run", "cell_id": key[:16], "plan_id": "p" * 64, "plan_name": "bench",
            "label": f"cell {number}", "position": number, "axes_json": "{}", "status": "completed",
            "error": None, "result_key": key, "train_key": key, "epochs_trained": 10,
            "train_loss": 1 - share, "train_accuracy": share, "valid_loss": None,
            "valid_accuracy": None, "test_loss": 1 - share, "test_accuracy": share,
            "seconds_alone": 10.0, "seconds_paid": 1.0, "params_total": 1000,
            "params_trainable": 1000, "model_bytes": 4000, "model_path": None,
            "images_per_second": 500.0, "finished_at": _START}  # fmt: skip


def _epoch(key: str, epoch: int) -> dict[str, Any]:
    return {"result_key": key, "epoch": epoch, "cell_id": key[:16], "train_loss": 1 / epoch,
            "train_accuracy": 0.5, "valid_loss": None, "valid_accuracy": None,
            "test_loss": 1 / epoch, "test_accuracy": 0.5, "learning_rate": 1e-3, "seconds": 1.0,
            "images": 225}  # fmt: skip


def _prediction(key: str, place: int) -> dict[str, Any]:
    true, said = _CLASSES[place % 3], _CLASSES[place * 7 % 3]
    return {"result_key": key, "position": place, "cell_id": key[:16], "dataset_key": "d" * 64,
            "path": f"{true}/{place:05}.jpg",
            "image_sha256": hashlib.sha256(bytes(place)).hexdigest(), "true_class": true,
            "predicted_class": said, "probability": 0.7,
            "true_probability": 0.7 if true == said else 0.2, "is_correct": true == said,
            "logits": [0.1, 0.2, 0.3]}  # fmt: skip


def _class_metric(key: str, name: str) -> dict[str, Any]:
    return {"result_key": key, "class_name": name, "cell_id": key[:16], "precision": 0.5,
            "recall": 0.5, "f1": 0.5, "support": 25}  # fmt: skip


if __name__ == "__main__":
    main()
