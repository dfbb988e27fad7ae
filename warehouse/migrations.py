"""The schema's versions: which one a file has, and how an older one becomes today's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from warehouse import statements
from warehouse.errors import DamagedWarehouseError, SchemaVersionError

if TYPE_CHECKING:
    from pathlib import Path


def latest_version() -> int:
    """Return the schema version that this code reads and writes."""
    return len(statements.migrations())


def schema_version(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the schema version of an open file; 0 for a file without any table.

    Raises:
        DamagedWarehouseError: there are tables, but none that says the version.
    """
    try:
        ((version,),) = connection.execute(statements.query_text("schema_version")).fetchall()
    except duckdb.CatalogException as error:
        if connection.execute(statements.query_text("table_count")).fetchall() == [(0,)]:
            return 0
        raise DamagedWarehouseError(
            "a warehouse has a table schema_versions; this DuckDB file has other tables and not "
            "that one, so something else made it. Name another file, or move this one away."
        ) from error
    return int(version)


def check_known(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse a file of a version that this code has never heard of.

    Raises:
        SchemaVersionError: it is newer.
    """
    version = schema_version(connection)
    if version > latest_version():
        raise _too_new(path, version)


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse a file that this code cannot read as it is.

    Raises:
        SchemaVersionError: it is older or newer.
    """
    check_known(connection, path)
    version, wanted = schema_version(connection), latest_version()
    if version < wanted:
        raise SchemaVersionError(
            f"{path}: reading needs schema version {wanted}, this file has {version}. The next "
            "run upgrades it and keeps every row; `foodvision warehouse rebuild` does it now."
        )


def migrate(connection: duckdb.DuckDBPyConnection, path: Path, *, to: int | None = None) -> None:
    """Bring an open, writable file to version `to` (default: the latest), and its views along.

    Args:
        connection: the file; one transaction is used, so nothing half-done stays.
        path: what to call the file in messages.
        to: version to stop at (for tests of upgrades); views are made for the latest only.

    Raises:
        SchemaVersionError: the file is newer than this code.
    """
    wanted = latest_version() if to is None else to
    version = schema_version(connection)
    if version > latest_version():
        raise _too_new(path, version)
    if version >= wanted:
        return
    connection.begin()
    for number, migration in enumerate(statements.migrations()[:wanted], start=1):
        if number > version:
            connection.execute(migration.sql)
            connection.execute(
                statements.query_text("record_migration"),
                [number, f"{migration.name}.sql", datetime.now(UTC)],
            )
    if wanted == latest_version():
        for view in statements.views():
            connection.execute(view.sql)
    connection.commit()


def _too_new(path: Path, version: int) -> SchemaVersionError:
    return SchemaVersionError(
        f"{path}: this code knows schema versions up to {latest_version()}, the file has "
        f"{version}: a newer FoodVision wrote it. Update FoodVision, or name another home "
        "(FOODVISION_HOME)."
    )
