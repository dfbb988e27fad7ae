"""Load what runs found into the warehouse: one short task at a time, never a worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pyarrow as pa

import warehouse
from foodvision.errors import WarehouseError
from foodvision.store import Store
from tasks.alerts import AlertBook, alert_row
from tasks.journal import journals, read_events, read_journal
from tasks.records import Records, certificate_row, latest, run_records
from warehouse.reading import known_results, runs

logger = logging.getLogger(__name__)

_RUNNING_TIMEOUT_SECONDS = 0.5  # a run does not wait for others to tell how far it is

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from foodvision.home import Home


def require_loadable(home: Home) -> None:
    """See to it that what a run will find can be loaded, before any work is done.

    Raises:
        WarehouseError: the warehouse is of a newer version, damaged, or written to by hand.
    """
    try:
        warehouse.require_loadable(home.warehouse)
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


def load_run(journal: Path, home: Home) -> None:
    """Load a run's rows, and those of ended runs that died before they could load theirs.

    Loading rows again changes nothing.

    Raises:
        WarehouseError: the warehouse is locked for too long, damaged, or of a newer version.
    """
    try:
        known = known_results(home.warehouse)
        paths = [*_forgotten(home, but=journal), journal]
        records = _collect(paths, home, known=set(known))
        _add_alerts(records, home)
        warehouse.load(home.warehouse, records.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


class RunningLoad:
    """Loads a run while it goes on, as often as asked: each time the cells that are new."""

    def __init__(self, journal: Path, home: Home) -> None:
        """Prepare loading.

        Args:
            journal: of the run.
            home: of the run.
        """
        self._journal = journal
        self._home = home
        self._known: set[str] | None = None

    def load(self, cells: Collection[str]) -> float:
        """Load what the journal says of these cells; the first time, of every cell.

        Returns:
            Seconds that went into the rows of results, which need not be made again.

        Raises:
            WarehouseError: another loader is at work just now, or it cannot be loaded at all.
        """
        store, path = Store(self._home.store), self._home.warehouse
        try:
            known = set(known_results(path)) if self._known is None else self._known
            records = run_records(
                read_journal(self._journal),
                store,
                known_results=known,
                cells=None if self._known is None else cells,
            )
            _add_alerts(records, self._home)
            warehouse.load(path, records.tables(), timeout_seconds=_RUNNING_TIMEOUT_SECONDS)
        except warehouse.WarehouseError as error:
            raise WarehouseError(str(error)) from error
        self._known = known | {row["result_key"] for row in records.rows["metrics"]}
        return records.result_seconds


def load_cells(journal: Path, home: Home, cells: Collection[str]) -> None:
    """Load again what a run that is loaded found of some cells: their models were saved since.

    Raises:
        WarehouseError: the warehouse is locked for too long, damaged, or of a newer version.
    """
    store = Store(home.store)
    try:
        known = known_results(home.warehouse)
        found = run_records(read_journal(journal), store, known_results=known, cells=cells)
        warehouse.load(home.warehouse, found.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


def load_alerts(home: Home) -> None:
    """Load all alerts of a home, and what became of each.

    Raises:
        WarehouseError: the warehouse is locked for too long, damaged, or of a newer version.
    """
    records = Records()
    _add_alerts(records, home)
    try:
        warehouse.load(home.warehouse, records.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


def load_certificates(journal: Path, home: Home) -> None:
    """Load the certificates of one verification; loading them again changes nothing.

    Raises:
        WarehouseError: the warehouse is locked for too long, damaged, or of a newer version.
    """
    records = Records()
    records.add("certificates", *map(certificate_row, read_events(journal)))
    try:
        warehouse.load(home.warehouse, records.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


def rebuild(home: Home) -> int:
    """Make the warehouse again from the journals and the store; return the number of runs."""
    paths = list(journals(home.journals))
    together = _collect(paths, home, known=set())
    _add_alerts(together, home)
    for path in journals(home.certificates):
        together.add("certificates", *map(certificate_row, read_events(path)))
    try:
        warehouse.rebuild(home.warehouse, together.tables())
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
    return len(together.rows["runs"])


def _add_alerts(records: Records, home: Home) -> None:
    records.add("alerts", *map(alert_row, AlertBook(home).read().values()))


def _collect(paths: Sequence[Path], home: Home, *, known: set[str]) -> Records:
    """Gather the rows of runs; a journal that cannot be read costs its own run only."""
    together, store = Records(), Store(home.store)
    for path in paths:
        try:
            records = run_records(read_journal(path), store, known_results=known)
            records.tables()
        except (KeyError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
            logger.warning(
                "%s: the journal of a run must hold its events whole; this one does not (%s: %s), "
                "so that run is left out of the warehouse",
                path,
                type(error).__name__,
                error,
            )
            continue
        known |= {row["result_key"] for row in records.rows["metrics"]}
        together.extend(records)
    return together


def _forgotten(home: Home, *, but: Path) -> list[Path]:
    """Return the journals of ended runs that the warehouse does not know, or not as ended."""
    try:
        loaded = {run.run_id for run in runs(home.warehouse) if run.status != "running"}
    except (warehouse.MissingWarehouseError, warehouse.SchemaVersionError):
        loaded = set()
    return [
        path
        for path in journals(home.journals)
        if path != but
        and path.stem.partition("-")[2] not in loaded
        and latest(read_journal(path), "finished") is not None
    ]
