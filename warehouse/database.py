"""The published DuckDB file: how it is opened for reading, asked, and replaced.

Nobody writes to the published file. A loader makes a new one beside it and renames it over the
old, so that a reader keeps the whole file that it opened, and the next reader opens the new one.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from warehouse import migrations
from warehouse.errors import (
    DamagedWarehouseError,
    LockedWarehouseError,
    MissingWarehouseError,
    QueryError,
    WarehouseError,
)
from warehouse.lock import say_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PATIENCE_SECONDS = 5.0
_WAIT_SECONDS = 0.1
_ATTACHED = "warehouse"
# What a person may ask. PIVOT is what DuckDB calls a statement of many parts.
_ALLOWED = frozenset(
    {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI}
)
_HUGE = pa.decimal128(38, 0)
_VALUE_WORDS = ("Values were not provided", "excess parameters", "argument count mismatch")
_FULL_WORDS = ("no space left", "quota exceeded", "file too large", "out of disk space")
_LOCK_WORDS = ("could not set lock", "conflicting lock", "unique file handle", "already attached")


@contextmanager
def connect(
    path: Path, *, read_only: bool = True, older: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a warehouse until the block ends.

    Read-only, the connection sees the file as it was published when it was opened, cannot write
    to it, and cannot reach any other file, the network or an extension. Times are in UTC.

    Args:
        path: the file.
        read_only: false is for the loader's own working copy and makes the file if it is missing;
            the published file is never opened so.
        older: open a file of an older schema version, too.

    Raises:
        MissingWarehouseError: nothing has run yet.
        SchemaVersionError: the file is of an older or a newer version (read-only).
        LockedWarehouseError: another program has opened the published file for writing.
        DamagedWarehouseError: it is no DuckDB file.
        WarehouseError: it may not be read, or the disk is full.
        QueryError: DuckDB refused what the block asked.
    """
    connection = _open_published(path, older=older) if read_only else _open_working(path)
    try:
        yield connection
    except duckdb.Error as error:
        raise (_query_error(error) if read_only else _write_error(error, path)) from error
    finally:
        connection.close()


def query(
    path: Path, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None
) -> pa.Table:
    """Answer one reading statement with an Arrow table.

    Sums of integers come as int64 where they fit (DuckDB makes 128 bits of them).

    Args:
        path: the published file.
        sql: one `select` (or `with`, `from`, `describe`, `show`, `summarize`, `pivot`, `explain`).
        params: values for its `?`, or for its `$name`.

    Raises:
        QueryError: no statement, several, one that writes, or one that DuckDB refuses.
        WarehouseError: as `connect`.
    """
    with connect(path) as connection:
        return run_query(connection, sql, params)


def place_of(path: Path, name: str | None) -> str | None:
    """Return where a file lies now that rows name by its path from the home on.

    The home is the folder that the warehouse lies in, wherever it was moved or copied to.

    Args:
        path: the published file.
        name: `models/demo/mlp-3f2a91c0.pth`; `None`: there is no file.
    """
    return None if name is None else str(path.absolute().parent / name)


def run_query(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
) -> pa.Table:
    """Answer one reading statement on an open connection, as `query` does."""
    _check_statement(connection, sql)
    # An empty sequence would have DuckDB prepare the statement, which PIVOT does not stand.
    relation = connection.sql(sql, params=params) if params else connection.sql(sql)
    return _narrow(relation.to_arrow_table())


def publish(working: Path, path: Path) -> None:
    """Put a finished, closed working copy in the place of the published file, in one step.

    Raises:
        WarehouseError: DuckDB left a write-ahead log, so the copy is not whole by itself.
    """
    if _log_of(working).exists():
        raise WarehouseError(
            f"a warehouse is published without a write-ahead log, but {_log_of(working)} was left. "
            "Nothing was published; please report this."
        )
    _sync(working)
    working.replace(path)
    _sync(path.parent)


def check_unopened(path: Path) -> None:
    """Refuse to replace a published file that somebody writes to by hand.

    Raises:
        LockedWarehouseError: there is a write-ahead log beside it.
    """
    log = _log_of(path)
    if log.exists():
        raise LockedWarehouseError(
            f"only FoodVision writes to {path}, but another program has opened it for writing, or "
            f"died doing so: there is {log}. Close that program; if none is open, delete {log} "
            "(what it wrote is lost) and run `foodvision warehouse rebuild`."
        )


def _check_path(path: Path) -> None:
    if "?" in str(path.absolute()):
        raise WarehouseError(
            "the path of a warehouse has no question mark, because DuckDB takes what follows it "
            f"for options; found {path}. Name another home (FOODVISION_HOME)."
        )


def _open_published(path: Path, *, older: bool) -> duckdb.DuckDBPyConnection:
    _check_path(path)
    if not path.exists():
        raise MissingWarehouseError(
            f"nothing has run yet: there is no warehouse at {path}. Run a plan first: "
            "`foodvision run PLAN`."
        )
    attempts = Retrying(
        retry=retry_if_exception_type(LockedWarehouseError),
        wait=wait_fixed(_WAIT_SECONDS),
        stop=stop_after_delay(PATIENCE_SECONDS),
        before_sleep=say_once(
            lambda: (
                f"another program has {path} open for writing; waiting for it for up to "
                f"{PATIENCE_SECONDS:g} s"
            )
        ),
        reraise=True,
    )
    return attempts(
        _open_attached, path, migrations.check_known if older else migrations.check_version
    )


def _open_attached(
    path: Path, check: Callable[[duckdb.DuckDBPyConnection, Path], None]
) -> duckdb.DuckDBPyConnection:
    # Attached to a connection of its own and not opened by name: DuckDB keeps one instance per
    # name and process, so that a second reader would see the file that an earlier one still holds.
    connection = duckdb.connect(":memory:")
    try:
        _attach(connection, path)
        check(connection, path)
    except duckdb.Error as error:
        connection.close()
        raise _open_error(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    quoted = str(path.absolute()).replace("'", "''")  # ATTACH takes no parameters
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set temp_directory = ''")
    connection.execute(f"attach '{quoted}' as {_ATTACHED} (read_only)")
    connection.execute(f"use {_ATTACHED}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _open_working(path: Path) -> duckdb.DuckDBPyConnection:
    _check_path(path)
    try:
        connection = duckdb.connect(str(path.absolute()))
        connection.execute("set TimeZone = 'UTC'")
    except duckdb.Error as error:
        raise _open_error(error, path) from error
    return connection


def _open_error(error: duckdb.Error, path: Path) -> WarehouseError:
    message = str(error).lower()
    if any(words in message for words in _LOCK_WORDS):
        return LockedWarehouseError(
            f"{path} is read while nobody else writes to it, but for {PATIENCE_SECONDS:g} s "
            f"another program has had it open for writing: {_sentence(error)}. Close that program "
            "(only FoodVision writes there), and ask again."
        )
    if "permission denied" in message:
        return WarehouseError(
            f"{path} must be readable, but the system refuses: {_sentence(error)}. "
            "Give yourself the right to read it, or name another home (FOODVISION_HOME)."
        )
    if any(words in message for words in _FULL_WORDS):
        return WarehouseError(
            f"a warehouse needs room on the disk of {path.parent}, but the system refuses more: "
            f"{_sentence(error)}. Nothing was changed; make room and run the command again."
        )
    return DamagedWarehouseError(
        f"{path} must be a DuckDB file, but DuckDB cannot read it: {_sentence(error)}. Move it "
        "away and run `foodvision warehouse rebuild`."
    )


def _check_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    found = connection.extract_statements(sql)
    if len(found) != 1:
        raise QueryError(
            f"a query is one statement, found {len(found) or 'none'}. Ask for one thing at a time, "
            "for example: select * from leaderboard"
        )
    if found[0].type not in _ALLOWED:
        kind = found[0].type.name.replace("_", " ")
        raise QueryError(
            f"queries only read, found a statement of kind {kind}. Start with select, with, from, "
            "describe, summarize, pivot or explain; to change data, work on a copy of the file."
        )


def _query_error(error: duckdb.Error) -> QueryError:
    if isinstance(error, duckdb.ParserException):
        rule, advice = "a query is SQL as DuckDB speaks it", "Correct the text there."
    elif any(words in str(error) for words in _VALUE_WORDS):
        rule = "a query gets one value for each of its parameters"
        advice = "Give as many values as it has `?`, or name each `$name`."
    elif isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        rule = "a query names tables, columns and functions that exist"
        advice = "`show tables` and `describe leaderboard` list the names."
    elif isinstance(error, duckdb.PermissionException) or "read-only mode" in str(error):
        rule = "queries only read the warehouse, and nothing else"
        advice = "Use the tables and views that are there."
    else:
        rule, advice = "a query must be answerable", "Change the query."
    return QueryError(f"{rule}: {_sentence(error)}. {advice}")


def _write_error(error: duckdb.Error, path: Path) -> WarehouseError:
    return WarehouseError(
        f"rows are written to a working copy first, and there DuckDB failed: {_sentence(error)}. "
        f"Nothing was published. Is there room on the disk of {path.parent}?"
    )


def _sentence(error: BaseException) -> str:
    """Return what DuckDB said in one line, without the picture of the place."""
    said, _, place = str(error).partition("\n\nLINE ")
    words = " ".join(said.split()).rstrip(".")
    number = place.partition(":")[0]
    return f"{words} (line {number})" if number else words


def _narrow(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if field.type == _HUGE:
            try:
                values = table.column(index).cast(pa.int64())
            except pa.ArrowInvalid:  # does not fit: the exact number matters more than its type
                continue
            table = table.set_column(index, field.with_type(pa.int64()), values)
    return table


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
