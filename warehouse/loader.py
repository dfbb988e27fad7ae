"""Loading: rows come in bulk from Arrow, in one transaction, into a file that is then published."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from warehouse import database, migrations, statements
from warehouse.errors import TableError, WarehouseError
from warehouse.lock import only_loader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TIMEOUT_SECONDS = 120.0
_INCOMING = "incoming_rows"
_ORDER = "incoming_order"


@dataclass(frozen=True)
class _Shape:
    columns: tuple[str, ...]
    key: tuple[str, ...]


def load(
    path: Path, tables: Mapping[str, pa.Table], *, timeout_seconds: float = TIMEOUT_SECONDS
) -> None:
    """Add rows to the warehouse: all of them, or none.

    A row whose primary key is there already replaces it, so loading twice is loading once; of
    two rows with one key in the same table the later counts. The work is done on a copy of the
    published file, which is brought to the latest schema and then takes its place: readers always
    see a whole file and wait for nobody.

    Args:
        path: the published file; it and its folder are made if missing.
        tables: rows per table of the schema, with exactly the columns of that table.
        timeout_seconds: how long to wait for another loader.

    Raises:
        TableError: an unknown table, a column too many or missing, or a row that breaks a rule.
        LockedWarehouseError: another loader did not finish in time.
        SchemaVersionError: the file is of a newer version.
        DamagedWarehouseError: the file is no warehouse.
    """
    _replace(path, tables, keep_rows=True, timeout_seconds=timeout_seconds)


def rebuild(
    path: Path, tables: Mapping[str, pa.Table], *, timeout_seconds: float = TIMEOUT_SECONDS
) -> None:
    """Make the warehouse again from nothing but `tables`, and publish it as `load` does.

    What stands at `path` is not looked at, so a damaged file is no hindrance.

    Raises:
        TableError: as `load`.
        LockedWarehouseError: as `load`.
    """
    _replace(path, tables, keep_rows=False, timeout_seconds=timeout_seconds)


def require_loadable(path: Path) -> None:
    """See to it that rows could be loaded, before the work is done that gives them.

    Args:
        path: the published file; none yet, or one of an older version, is no hindrance.

    Raises:
        SchemaVersionError: the file is of a newer version.
        LockedWarehouseError: another program has opened it for writing, and goes on.
        DamagedWarehouseError: the file is no warehouse.
    """
    if path.exists():
        with database.connect(path, older=True):
            database.check_unopened(path)


def _replace(
    path: Path, tables: Mapping[str, pa.Table], *, keep_rows: bool, timeout_seconds: float
) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace_alone(path, tables, keep_rows=keep_rows, timeout_seconds=timeout_seconds)
    except OSError as error:
        raise WarehouseError(
            f"the folder of a warehouse must be writable and have room, but for {path} the system "
            f"says: {error}. Nothing was published; correct that, or name another home "
            "(FOODVISION_HOME)."
        ) from error


def _replace_alone(
    path: Path, tables: Mapping[str, pa.Table], *, keep_rows: bool, timeout_seconds: float
) -> None:
    with (
        only_loader(path, timeout_seconds=timeout_seconds),
        _working_copy(path, keep_rows=keep_rows) as working,
    ):
        with database.connect(working, read_only=False) as connection:
            migrations.migrate(connection, path)
            _insert_all(connection, tables)
            connection.execute("checkpoint")
        database.publish(working, path)


@contextmanager
def _working_copy(path: Path, *, keep_rows: bool) -> Iterator[Path]:
    """Give a file beside `path` to work on; whatever a killed loader left there goes first."""
    database.check_unopened(path)
    working = path.with_name(path.name + ".loading")
    _remove(working)
    try:
        if keep_rows and path.exists():
            _copy(path, working)
        yield working
    finally:
        _remove(working)


def _copy(source: Path, target: Path) -> None:
    """Copy a file; where the file system can, both share their blocks until one is written."""
    with source.open("rb") as reading, target.open("wb") as writing:
        left = os.fstat(reading.fileno()).st_size
        try:
            while left > 0:
                copied = os.copy_file_range(reading.fileno(), writing.fileno(), left)
                if copied == 0:
                    break
                left -= copied
        except (OSError, AttributeError):  # not on this system, or not across these file systems
            reading.seek(0)
            writing.seek(0)
            shutil.copyfileobj(reading, writing)


def _remove(working: Path) -> None:
    for suffix in ("", ".wal"):
        working.with_name(working.name + suffix).unlink(missing_ok=True)
    shutil.rmtree(working.with_name(working.name + ".tmp"), ignore_errors=True)


def _insert_all(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> None:
    shapes = _shapes(connection)
    _check_tables(tables, shapes)
    connection.begin()
    for name, rows in tables.items():
        if rows.num_rows:
            _insert(connection, name, rows, shapes[name])
    connection.commit()


def _shapes(connection: duckdb.DuckDBPyConnection) -> dict[str, _Shape]:
    columns: dict[str, list[str]] = {}
    keys: dict[str, dict[int, str]] = {}
    for table, column, place in connection.execute(statements.query_text("columns")).fetchall():
        columns.setdefault(table, []).append(column)
        if place is not None:
            keys.setdefault(table, {})[place] = column
    return {
        table: _Shape(tuple(names), tuple(column for _, column in sorted(keys[table].items())))
        for table, names in columns.items()
    }


def _check_tables(tables: Mapping[str, pa.Table], shapes: Mapping[str, _Shape]) -> None:
    unknown = sorted(set(tables) - set(shapes))
    if unknown:
        raise TableError(
            f"rows go into tables of the schema, found unknown ones: {', '.join(unknown)}. "
            f"The tables are {', '.join(sorted(shapes))}."
        )
    problems = [
        problem
        for name, rows in tables.items()
        for problem in _column_problems(name, rows.column_names, shapes[name].columns)
    ]
    if problems:
        raise TableError(
            f"a table is loaded with exactly its columns, but {'; '.join(problems)}. "
            "Give each column of the table once (null where there is no value)."
        )


def _column_problems(table: str, found: list[str], wanted: tuple[str, ...]) -> list[str]:
    cases = {
        "misses": [column for column in wanted if column not in found],
        "does not know": sorted(set(found) - set(wanted)),
        "has twice": sorted({column for column in found if found.count(column) > 1}),
    }
    return [f"{table} {verb} {', '.join(names)}" for verb, names in cases.items() if names]


def _insert(
    connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table, shape: _Shape
) -> None:
    """Insert or replace; every name in the statement comes from the schema, none from outside."""
    columns = ", ".join(f'"{column}"' for column in shape.columns)
    key = ", ".join(f'"{column}"' for column in shape.key)
    numbered = rows.append_column(_ORDER, pa.array(range(rows.num_rows), pa.int64()))
    connection.register(_INCOMING, numbered)
    try:
        connection.execute(
            f'insert or replace into "{name}" ({columns}) select {columns} from {_INCOMING} '
            f"qualify row_number() over (partition by {key} order by {_ORDER} desc) = 1"
        )
    except duckdb.Error as error:
        said = " ".join(str(error).partition("\n\n")[0].split()).rstrip(".")
        raise TableError(
            f"rows must keep the rules of table {name} (docs/warehouse.md), but {said}. "
            "Nothing was loaded; correct the row and load again."
        ) from error
    connection.unregister(_INCOMING)
