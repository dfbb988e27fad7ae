"""Load what runs found into the warehouse: one short task at a time, never a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import warehouse
from foodvision.errors import WarehouseError
from foodvision.store import Store
from tasks.journal import journals, read_journal
from tasks.records import Records, run_records

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from foodvision.home import Home


def load_run(journal: Path, home: Home) -> None:
    """Load one run's rows; loading them again changes nothing.

    Raises:
        WarehouseError: the warehouse is locked for too long, damaged, or of a newer version.
    """
    known = _known_results(home.warehouse)
    records = run_records(read_journal(journal), Store(home.store), known_results=known)
    try:
        warehouse.load(home.warehouse, records.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


def rebuild(home: Home) -> int:
    """Make the warehouse again from the journals and the store; return the number of runs."""
    together = Records()
    known: set[str] = set()
    paths = list(journals(home.journals))
    for path in paths:
        records = run_records(read_journal(path), Store(home.store), known_results=known)
        known |= {row["result_key"] for row in records.rows["epochs"]}
        for name, rows in records.rows.items():
            together.add(name, *rows)
    try:
        warehouse.rebuild(home.warehouse, together.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
    return len(paths)


def _known_results(path: Path) -> set[str]:
    if not path.exists():
        return set()
    try:
        found = warehouse.query(path, "select distinct result_key from epochs")
    except warehouse.WarehouseError:
        return set()  # loading says what is wrong with the file, and whether it can be mended
    keys: pa.ChunkedArray = found.column("result_key")
    return set(keys.to_pylist())
