"""The tree of errors that FoodVision raises for its users.

Every message has three parts: the rule, what was found, what to do. Errors of other libraries are
translated where they enter (`raise ... from error`).
"""

from __future__ import annotations


class FoodVisionError(Exception):
    """Base of everything that FoodVision raises on purpose; commands exit with 2."""


class PlanError(FoodVisionError):
    """A plan breaks a rule, or asks for something that does not exist."""


class DataError(FoodVisionError):
    """A data set cannot be fetched, read or used."""


class ModelError(FoodVisionError):
    """An architecture, its weights or a saved model cannot be used."""


class TrainingError(FoodVisionError):
    """Training cannot start or go on (a diverged loss is a result, not an error)."""


class MemoryShortageError(TrainingError):
    """A step of training does not fit a device's memory; a smaller `micro_batch` needs less."""


class StoreError(FoodVisionError):
    """The store of finished stages cannot be read or written."""


class DiskFullError(StoreError):
    """The disk of the home, or one's share of it, has no room for what is to be written."""


class WarehouseError(FoodVisionError):
    """The DuckDB file cannot be read, written or upgraded."""


class ServerError(FoodVisionError):
    """A Prefect server cannot be reached or started."""
