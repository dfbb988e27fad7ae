"""Load what runs found into the warehouse: one short task at a time, never a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import warehouse
from foodvision.errors import WarehouseError
from foodvision.store import Store
from tasks.journal import journals, read_journal
from tasks.records import Records, certificate_row, run_records
from warehouse.reading import known_results

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.home import Home


def load_run(journal: Path, home: Home) -> None:
    """Load one run's rows; loading them again changes nothing.

    Raises:
        WarehouseError: the warehouse is locked for too long, damaged, or of a newer version.
    """
    try:
        known = known_results(home.warehouse)
        records = run_records(read_journal(journal), Store(home.store), known_results=known)
        warehouse.load(home.warehouse, records.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


def load_certificates(journal: Path, home: Home) -> None:
    """Load the certificates of one verification; loading them again changes nothing.

    Raises:
        WarehouseError: the warehouse is locked for too long, damaged, or of a newer version.
    """
    records = Records()
    records.add("certificates", *map(certificate_row, read_journal(journal)))
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
    for path in journals(home.certificates):
        together.add("certificates", *map(certificate_row, read_journal(path)))
    try:
        warehouse.rebuild(home.warehouse, together.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
    return len(paths)
