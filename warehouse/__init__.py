"""The warehouse: one DuckDB file that holds what every run found.

Workers never open it. One loader at a time writes a copy and publishes it by renaming, so readers
always see a whole file. It can be made again from the store and the journals at any time.
"""

from __future__ import annotations

from warehouse.database import connect, query, run_query
from warehouse.errors import (
    DamagedWarehouseError,
    LockedWarehouseError,
    MissingWarehouseError,
    QueryError,
    RankingError,
    SchemaVersionError,
    TableError,
    WarehouseError,
)
from warehouse.loader import load, rebuild, require_loadable

__all__ = [
    "DamagedWarehouseError",
    "LockedWarehouseError",
    "MissingWarehouseError",
    "QueryError",
    "RankingError",
    "SchemaVersionError",
    "TableError",
    "WarehouseError",
    "connect",
    "load",
    "query",
    "rebuild",
    "require_loadable",
    "run_query",
]
