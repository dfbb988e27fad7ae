"""Rows with sensible defaults, so that a test names only what it is about."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import warehouse

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

_TEXT, _REAL, _COUNT, _TIME = (
    pa.string(),
    pa.float64(),
    pa.int64(),
    pa.timestamp("us", tz="UTC"),
)
_METRICS = {
    f"{part}_{name}": (_REAL, None)
    for part in ("train", "valid", "test")
    for name in ("loss", "accuracy")
}
# Per table: column -> (Arrow type, default).
DEFAULTS: dict[str, dict[str, tuple[pa.DataType, Any]]] = {
    "plans": {
        "plan_id": (_TEXT, "plan-1"),
        "plan_name": (_TEXT, "demo"),
        "description": (_TEXT, None),
        "plan_json": (_TEXT, "{}"),
        "source_path": (_TEXT, None),
    },
    "runs": {
        "run_id": (_TEXT, "run-1"),
        "plan_id": (_TEXT, "plan-1"),
        "plan_name": (_TEXT, "demo"),
        "started_at": (_TIME, START),
        "finished_at": (_TIME, START + timedelta(minutes=5)),
        "status": (_TEXT, "completed"),
        "cells": (_COUNT, 9),
        "cells_failed": (_COUNT, 0),
        "predicted_json": (_TEXT, None),
        "counted_json": (_TEXT, None),
        "wall_seconds": (_REAL, 300.0),
        "device": (_TEXT, "cpu"),
        "environment_json": (_TEXT, None),
        "set_json": (_TEXT, None),
        "log_path": (_TEXT, None),
    },
    "cells": {
        "cell_id": (_TEXT, "cell-1"),
        "arch": (_TEXT, "tiny_vgg"),
        "weights": (_TEXT, "none"),
        "freeze": (_TEXT, "none"),
        "data": (_TEXT, "digits"),
        "data_fraction": (_REAL, None),
        "data_count": (_COUNT, None),
        "test": (_TEXT, "digits"),
        "valid": (_REAL, 0.0),
        "image_size": (_COUNT, 64),
        "epochs": (_COUNT, 5),
        "batch_size": (_COUNT, 32),
        "optimizer": (_TEXT, "adam"),
        "learning_rate": (_REAL, 0.001),
        "seed": (_COUNT, 42),
        "device": (_TEXT, "auto"),
        "settings_json": (_TEXT, '{"seed": 42}'),
        "augment": (_TEXT, "none"),
        "mix": (_TEXT, "none"),
    },
    "composites": {
        "cell_id": (_TEXT, "composite-1"),
        "kind": (_TEXT, "mean"),
        "views_json": (_TEXT, '[{"kind": "identity"}]'),
        **dict.fromkeys(("arch", "weights", "freeze", "data", "augment", "mix"), (_TEXT, None)),
        "data_fraction": (_REAL, None),
        "data_count": (_COUNT, None),
        "test": (_TEXT, "digits"),
        "valid": (_REAL, None),
        "image_size": (_COUNT, None),
        "epochs": (_COUNT, None),
        "batch_size": (_COUNT, None),
        "optimizer": (_TEXT, None),
        "learning_rate": (_REAL, None),
        "seed": (_COUNT, None),
        "device": (_TEXT, None),
        "settings_json": (_TEXT, '{"ensemble": "mean"}'),
    },
    "members": {
        "result_key": (_TEXT, "result-1"),
        "position": (_COUNT, 0),
        "cell_id": (_TEXT, "cell-1"),
        "member_result_key": (_TEXT, "result-2"),
        "weight": (_REAL, 1.0),
    },
    "cell_runs": {
        "run_id": (_TEXT, "run-1"),
        "cell_id": (_TEXT, "cell-1"),
        "plan_id": (_TEXT, "plan-1"),
        "plan_name": (_TEXT, "demo"),
        "label": (_TEXT, "5 epochs"),
        "position": (_COUNT, 0),
        "axes_json": (_TEXT, "{}"),
        "status": (_TEXT, "completed"),
        "error": (_TEXT, None),
        "result_key": (_TEXT, "result-1"),
        "train_key": (_TEXT, "train-1"),
        "epochs_trained": (_COUNT, 5),
        "best_epoch": (_COUNT, None),
        "log_path": (_TEXT, None),
        **_METRICS,
        "seconds_alone": (_REAL, 10.0),
        "seconds_paid": (_REAL, 2.0),
        "params_total": (_COUNT, 1000),
        "params_trainable": (_COUNT, 100),
        "model_bytes": (_COUNT, 4096),
        "model_path": (_TEXT, None),
        "images_per_second": (_REAL, 500.0),
        "finished_at": (_TIME, START + timedelta(minutes=4)),
        "latency_key": (_TEXT, None),
    },
    "latencies": {
        "latency_key": (_TEXT, "latency-1"),
        "batch_size": (_COUNT, 1),
        "arch": (_TEXT, "tiny_vgg"),
        "image_size": (_COUNT, 64),
        "classes": (_COUNT, 3),
        "device": (_TEXT, "cpu"),
        "processor": (_TEXT, "AMD EPYC, 2 cores"),
        "threads": (_COUNT, 2),
        "precision": (_TEXT, "float32"),
        "passes": (_COUNT, 100),
        "median_ms": (_REAL, 2.0),
        "p95_ms": (_REAL, 2.5),
        "peak_memory_bytes": (_COUNT, 8192),
    },
    "epochs": {
        "result_key": (_TEXT, "result-1"),
        "epoch": (_COUNT, 1),
        "cell_id": (_TEXT, "cell-1"),
        **_METRICS,
        "learning_rate": (_REAL, 0.001),
        "seconds": (_REAL, 1.0),
        "images": (_COUNT, 225),
        "state_key": (_TEXT, None),
    },
    "predictions": {
        "result_key": (_TEXT, "result-1"),
        "position": (_COUNT, 0),
        "cell_id": (_TEXT, "cell-1"),
        "dataset_key": (_TEXT, "dataset-1"),
        "path": (_TEXT, "pizza/1.jpg"),
        "image_sha256": (_TEXT, "a" * 64),
        "true_class": (_TEXT, "pizza"),
        "predicted_class": (_TEXT, "pizza"),
        "probability": (_REAL, 0.75),
        "true_probability": (_REAL, 0.75),
        "is_correct": (pa.bool_(), True),
        "logits": (pa.list_(pa.float32()), [1.5, 0.5]),
    },
    "class_metrics": {
        "result_key": (_TEXT, "result-1"),
        "class_name": (_TEXT, "pizza"),
        "cell_id": (_TEXT, "cell-1"),
        "precision": (_REAL, 0.5),
        "recall": (_REAL, 0.5),
        "f1": (_REAL, 0.5),
        "support": (_COUNT, 25),
    },
    "metrics": {
        "result_key": (_TEXT, "result-1"),
        "split": (_TEXT, "test"),
        "cell_id": (_TEXT, "cell-1"),
        "images": (_COUNT, 75),
        "loss": (_REAL, 0.5),
        "accuracy": (_REAL, 0.75),
        "top_k": (_COUNT, 1),
        "top_k_accuracy": (_REAL, 0.75),
        **{
            f"{name}_{mean}": (_REAL, 0.75)
            for mean in ("macro", "weighted")
            for name in ("precision", "recall", "f1")
        },
        "calibration_error": (_REAL, 0.1),
        "temperature": (_REAL, None),
        "calibrated_error": (_REAL, None),
        "calibrated_loss": (_REAL, None),
    },
    "stages": {
        "run_id": (_TEXT, "run-1"),
        "stage_key": (_TEXT, "stage-1"),
        "kind": (_TEXT, "train"),
        "label": (_TEXT, "train tiny_vgg"),
        "is_hit": (pa.bool_(), False),
        "seconds": (_REAL, 2.0),
        "images": (_COUNT, 225),
        "epochs": (_COUNT, 5),
        "bytes": (_COUNT, 4096),
        "peak_memory_bytes": (_COUNT, None),
        "error": (_TEXT, None),
        "log_path": (_TEXT, None),
    },
    "steps": {
        "result_key": (_TEXT, "result-1"),
        "step": (pa.int32(), 1),
        "epoch": (pa.int32(), 1),
        "images": (pa.int32(), 32),
        "loss": (_REAL, 1.1),
        "gradient_norm": (_REAL, None),
        "learning_rate": (_REAL, 0.001),
        "group_rates_json": (_TEXT, None),
    },
    "system_metrics": {
        "run_id": (_TEXT, "run-1"),
        "sampled_at": (_TIME, START + timedelta(seconds=5)),
        "seconds": (_REAL, 5.0),
        "cpu_percent": (_REAL, 50.0),
        "run_cpu_percent": (_REAL, 100.0),
        "memory_bytes": (_COUNT, 4096),
        "run_memory_bytes": (_COUNT, 2048),
        "read_bytes": (_COUNT, None),
        "written_bytes": (_COUNT, None),
        "free_disk_bytes": (_COUNT, 8192),
        "gpu_percent": (_REAL, None),
        "gpu_memory_bytes": (_COUNT, None),
    },
    "gpu_metrics": {
        "run_id": (_TEXT, "run-1"),
        "sampled_at": (_TIME, START + timedelta(seconds=5)),
        "gpu": (pa.int32(), 0),
        "gpu_name": (_TEXT, "NVIDIA H200"),
        "busy_percent": (_REAL, 50.0),
        "memory_bytes": (_COUNT, 4096),
        "temperature_celsius": (_REAL, 40.0),
        "power_watts": (_REAL, None),
    },
    "datasets": {
        "dataset_key": (_TEXT, "dataset-1"),
        "digest": (_TEXT, "d" * 64),
        "source": (_TEXT, "sklearn:digits"),
        "classes_json": (_TEXT, '["pizza", "steak"]'),
        "images": (_COUNT, 2),
        "train_images": (_COUNT, 1),
        "test_images": (_COUNT, 1),
        "bytes": (_COUNT, 100),
    },
    "images": {
        "dataset_key": (_TEXT, "dataset-1"),
        "split": (_TEXT, "train"),
        "path": (_TEXT, "pizza/1.jpg"),
        "class_name": (_TEXT, "pizza"),
        "image_sha256": (_TEXT, "a" * 64),
        "width": (_COUNT, 64),
        "height": (_COUNT, 48),
    },
    "alerts": {
        "alert_id": (_TEXT, "alert-1"),
        "run_id": (_TEXT, "run-1"),
        "plan_name": (_TEXT, "demo"),
        "cell_id": (_TEXT, "cell-1"),
        "label": (_TEXT, "one"),
        "result_key": (_TEXT, "result-1"),
        "rule": (_TEXT, "test.accuracy < 0.8"),
        "value": (_REAL, 0.5),
        "epoch": (_COUNT, None),
        "message": (_TEXT, "demo: one: test.accuracy is 0.5 (test.accuracy < 0.8)"),
        "channel": (_TEXT, "log"),
        "raised_at": (_TIME, START),
        "status": (_TEXT, "delivered"),
        "tries": (_COUNT, 1),
        "told_at": (_TIME, START),
        "error": (_TEXT, None),
    },
    "certificates": {
        "certificate_id": (_TEXT, "certificate-1"),
        "result_key": (_TEXT, "result-1"),
        "cell_id": (_TEXT, "cell-1"),
        "plan_name": (_TEXT, "demo"),
        "checked_at": (_TIME, START),
        "is_equal": (pa.bool_(), True),
        "compared_json": (_TEXT, "[]"),
        "difference": (_TEXT, None),
        "environment_json": (_TEXT, "{}"),
        "seconds": (_REAL, 1.5),
    },
}

Row = dict[str, Any]
Rows = Callable[..., pa.Table]


def make_rows(table: str, *rows: Row) -> pa.Table:
    """Return one Arrow row per dict, each the defaults of `table` with the dict over them."""
    columns = DEFAULTS[table]
    defaults = {name: default for name, (_, default) in columns.items()}
    for row in rows:
        assert row.keys() <= defaults.keys(), row.keys() - defaults.keys()
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    return pa.Table.from_pylist([defaults | row for row in rows or ({},)], schema=schema)


@pytest.fixture(scope="session")
def _empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    empty = tmp_path_factory.mktemp("empty") / "warehouse.duckdb"
    warehouse.load(empty, {})
    return empty


@pytest.fixture
def path(_empty: Path, tmp_path: Path) -> Path:
    """An empty warehouse of its own (copied: making one takes a tenth of a second)."""
    return Path(shutil.copy(_empty, tmp_path / "warehouse.duckdb"))


@pytest.fixture(scope="session")
def rows() -> Rows:
    return make_rows


@pytest.fixture(scope="session")
def everything() -> dict[str, pa.Table]:
    """One default row in every table."""
    return {table: make_rows(table) for table in DEFAULTS}


@pytest.fixture(scope="session")
def cells() -> Callable[..., dict[str, pa.Table]]:
    """Return tables of cells that ran: one dict per cell, keys of `cells` and of `cell_runs`."""
    return make_cells


def make_cells(*given: Row) -> dict[str, pa.Table]:
    cells, cell_runs, runs = {}, [], {}
    for position, row in enumerate(given):
        name = row.get("cell_id", f"cell-{position}")
        full = {"cell_id": name, "position": position, "result_key": f"result of {name}"} | row
        seed = full.get("seed", 42)
        config = full.pop("config", name)
        settings = {"settings_json": json.dumps({"config": config, "seed": seed})}
        cells[name] = settings | {key: full[key] for key in DEFAULTS["cells"] if key in full}
        cell_runs.append({key: full[key] for key in DEFAULTS["cell_runs"] if key in full})
        run = full.get("run_id", "run-1")
        plan = full.get("plan_name", "demo")
        runs[run] = {"run_id": run, "plan_name": plan}
    return {
        "runs": make_rows("runs", *runs.values()),
        "cells": make_rows("cells", *cells.values()),
        "cell_runs": make_rows("cell_runs", *cell_runs),
    }


@pytest.fixture(
    params=[
        "warehouse.duckdb",
        'it\'s a "home"; drop table x/ware house.duckdb',
        "料理 100%/倉庫#1.duckdb",
    ],
    ids=["plain", "quotes and spaces", "Japanese and signs"],
)
def odd_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


@contextmanager
def running(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a process of its own that is killed when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def process() -> Callable[..., Any]:
    return running
