"""The tree of errors that the warehouse raises for its users.

Every message has three parts: the rule, what was found, what to do.
"""

from __future__ import annotations


class WarehouseError(Exception):
    """Base of everything that the warehouse raises on purpose."""


class MissingWarehouseError(WarehouseError):
    """There is no file yet: nothing has run."""


class DamagedWarehouseError(WarehouseError):
    """The file is not a warehouse, or cannot be read as one."""


class SchemaVersionError(WarehouseError):
    """The file is of another schema version than this code reads."""


class LockedWarehouseError(WarehouseError):
    """Somebody else holds the file, and did not let go in time."""


class TableError(WarehouseError):
    """The rows to load do not fit the schema."""


class QueryError(WarehouseError):
    """A query is no query, asks for what is not there, or wants to write."""


class RankingError(WarehouseError):
    """A ranking asks for a metric that there is none of."""
