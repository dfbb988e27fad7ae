"""How long the warehouse takes: loading a large plan, loading it again, ranking, reading views.

    python benchmarks/warehouse_load.py [--cells 1000] [--epochs 10] [--images 75] [--rows 1000000]

First one run of a plan is loaded, and then as many rows of optimiser steps; then the leaderboard is
read in warehouses with so many rows of epochs: 1,000 of each cell, 100, and 10. Reading times are
medians of seven.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

import warehouse
from tasks.tables import SCHEMAS
from warehouse import ranking

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 7
TOP = (
    "select plan_name, label, test_accuracy, test_loss, seconds_alone, params_total "
    "from leaderboard where plan_name = 'bench' order by test_accuracy desc limit 20"
)
# Columns that are not named are null.
ROWS = {
    "plans": "select 'plan' as plan_id, 'bench' as plan_name, '{}' as plan_json",
    "runs": """
        select
            'run' as run_id, 'plan' as plan_id, 'bench' as plan_name, 'completed' as status,
            timestamptz '2026-01-01 00:00:00+00' as started_at,
            timestamptz '2026-01-01 01:00:00+00' as finished_at,
            $cells as cells, 0 as cells_failed, 3600.0 as wall_seconds, 'cpu' as device
    """,
    "cells": """
        select
            md5('cell ' || n) as cell_id, 'tiny_vgg' as arch, 'none' as weights, 'none' as freeze,
            'digits' as data, 'digits' as test, 0.0 as valid, 64 as image_size, $epochs as epochs,
            32 as batch_size, 'adam' as optimizer, 0.001 as learning_rate, n % 3 as seed,
            'auto' as device, 'none' as augment, 'none' as mix,
            json_object(
                'model', json_object('arch', 'tiny_vgg', 'weights', 'none', 'freeze', 'none'),
                'optimizer', json_object('kind', 'adam', 'lr', 0.001, 'betas', [0.9, 0.999]),
                'transform', json_object('size', 64, 'resize', 'squash', 'normalize', 'none'),
                'number', n // 3, 'seed', n % 3
            ) as settings_json
        from range($cells) as cells (n)
    """,
    "cell_runs": """
        select
            'run' as run_id, md5('cell ' || n) as cell_id, 'plan' as plan_id, 'bench' as plan_name,
            'cell ' || n as label, n as position, '{}' as axes_json, 'completed' as status,
            md5('result ' || n) as result_key,
            sha256('state ' || n || ' ' || $epochs) as train_key,
            $epochs as epochs_trained, 1 - n % 97 / 97 as train_loss, n % 97 / 97 as train_accuracy,
            1 - n % 89 / 89 as test_loss, n % 89 / 89 as test_accuracy, 10.0 as seconds_alone,
            1.0 as seconds_paid, 1000 as params_total, 1000 as params_trainable,
            4000 as model_bytes, 500.0 as images_per_second,
            timestamptz '2026-01-01 00:30:00+00' as finished_at
        from range($cells) as cells (n)
    """,
    "epochs": """
        select
            md5('result ' || n) as result_key, epoch, md5('cell ' || n) as cell_id,
            1 / epoch as train_loss, 0.5 as train_accuracy, 1 / epoch as test_loss,
            0.5 as test_accuracy, 0.001 as learning_rate, 1.0 as seconds, 225 as images,
            sha256('state ' || n || ' ' || epoch) as state_key
        from range($cells) as cells (n), range(1, $epochs + 1) as epochs (epoch)
    """,
    "predictions": """
        select
            md5('result ' || n) as result_key, place as position, md5('cell ' || n) as cell_id,
            'digits' as dataset_key, format('{:05}.jpg', place) as path,
            sha256(format('{:05}.jpg', place)) as image_sha256,
            ['pizza', 'steak', 'sushi'][place % 3 + 1] as true_class,
            ['pizza', 'steak', 'sushi'][(place * 7 + n) % 3 + 1] as predicted_class,
            0.7 as probability, if(n % 3 = 0, 0.7, 0.2) as true_probability,
            true_class = predicted_class as is_correct, [0.1, 0.2, 0.3] as logits
        from range($cells) as cells (n), range($images) as images (place)
    """,
    "class_metrics": """
        select
            md5('result ' || n) as result_key, class_name, md5('cell ' || n) as cell_id,
            0.5 as precision, 0.5 as recall, 0.5 as f1, 25 as support
        from range($cells) as cells (n), unnest(['pizza', 'steak', 'sushi']) as c (class_name)
    """,
    "metrics": """
        select
            md5('result ' || n) as result_key, 'test' as split, md5('cell ' || n) as cell_id,
            75 as images, 0.5 as loss, n % 89 / 89 as accuracy, 2 as top_k, 0.9 as top_k_accuracy,
            0.5 as precision_macro, 0.5 as recall_macro, 0.5 as f1_macro,
            0.5 as precision_weighted, 0.5 as recall_weighted, 0.5 as f1_weighted,
            0.1 as calibration_error
        from range($cells) as cells (n)
    """,
}


STEPS = """
    select
        md5('result ' || n) as result_key, step, 1 + step // 100 as epoch, 32 as images,
        1 / step + random() / 10 as loss, 1 + random() as gradient_norm, 0.001 as learning_rate
    from range($cells) as cells (n), range(1, $steps + 1) as steps (step)
"""


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--images", type=int, default=75)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, DuckDB {duckdb.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.duckdb"
        tables = _describe(options.cells, options.epochs, options.images)
        _print("load into a new file", _timed(lambda: warehouse.load(path, tables)))
        _print("load the same again", _timed(lambda: warehouse.load(path, tables)))
        _read(path)
        steps = {"steps": _steps(options.cells, options.rows // options.cells)}
        print(f"\nand {steps['steps'].num_rows:,} steps")
        _print("load the steps", _timed(lambda: warehouse.load(path, steps)))
        _print("load nothing", _timed(lambda: warehouse.load(path, {})))
        _read(path)
        for epochs in (1000, 100, 10):
            path = Path(folder) / f"{epochs}.duckdb"
            tables = _describe(options.rows // epochs, epochs, 0)
            _print("load into a new file", _timed(lambda: warehouse.load(path, tables)))  # noqa: B023
            _read(path)


def synthetic_tables(cells: int, epochs: int, images: int) -> dict[str, pa.Table]:
    """Return one run of a plan of so many cells, with everything that it leaves behind."""
    given = {"cells": cells, "epochs": epochs, "images": images}
    with duckdb.connect(":memory:") as connection:
        return {
            name: _complete(
                name,
                connection.sql(
                    sql, params={key: given[key] for key in given if f"${key}" in sql}
                ).to_arrow_table(),
            )
            for name, sql in ROWS.items()
        }


def _steps(cells: int, steps: int) -> pa.Table:
    with duckdb.connect(":memory:") as connection:
        rows = connection.sql(STEPS, params={"cells": cells, "steps": steps}).to_arrow_table()
    return _complete("steps", rows)


def _complete(name: str, rows: pa.Table) -> pa.Table:
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in SCHEMAS[name]
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMAS[name])


def _describe(cells: int, epochs: int, images: int) -> dict[str, pa.Table]:
    tables = synthetic_tables(cells, epochs, images)
    rows = sum(table.num_rows for table in tables.values())
    print(f"\n{cells:,} cells, {epochs:,} epochs, {images} images: {rows:,} rows")
    return tables


def _read(path: Path) -> None:
    print(f"{'size of the file':40} {path.stat().st_size / 1e6:9.1f} MB")
    _repeat("the leaderboard's best twenty", lambda: warehouse.query(path, TOP))
    for view in ("leaderboard", "seed_summary", "pareto", "champions"):
        _repeat(f"all of {view}", lambda view=view: warehouse.query(path, f"from {view}"))
    _repeat("rank", lambda: ranking.rank(path), times=1)


def _repeat(what: str, act: Callable[[], object], *, times: int = REPEATS) -> None:
    _print(what, median(_timed(act) for _ in range(times)))


def _timed(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def _print(what: str, seconds: float) -> None:
    print(f"{what:40} {1000 * seconds:9.0f} ms")


if __name__ == "__main__":
    main()
