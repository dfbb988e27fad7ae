"""How many images at a time fit a device, as far as trainings have found out by failing.

Kept in the home, so that the next run, and every command that names the plan, asks for the stages
that were made, and not once more for those that could not be.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from filelock import FileLock
from pydantic import Field, TypeAdapter, ValidationError

from foodvision.files import read_json, write_json
from foodvision.hashing import digest

if TYPE_CHECKING:
    from foodvision.home import Home
    from foodvision.plan.cell_schema import CellSettings
    from tasks.devices import Device

_LIMITS = TypeAdapter(dict[str, Annotated[int, Field(ge=1)]])
# What a step's memory does not depend on.
_INDIFFERENT = {
    "data",
    "test",
    "valid",
    "seed",
    "epochs",
    "phases",
    "schedule",
    "stop",
    "threads",
    "micro_batch",
    "device",
}


class MemoryLimits:
    """The largest micro-batch per kind of training and device, where one did not fit."""

    def __init__(self, home: Home) -> None:
        self.path = home.facts / "micro_batch.json"

    @cached_property
    def limits(self) -> dict[str, int]:
        """Images at a time by the digest of what decides; what cannot be read limits nothing."""
        try:
            return _LIMITS.validate_python(read_json(self.path))
        except ValidationError:
            return {}

    def fitted(self, settings: CellSettings, device: Device) -> CellSettings:
        """Return the settings with a `micro_batch` within the limit."""
        limit = self.limits.get(_identity(settings, device))
        if limit is None or _images_at_a_time(settings) <= limit:
            return settings
        return settings.model_copy(update={"micro_batch": limit})

    def halve(self, settings: CellSettings, device: Device) -> int | None:
        """Let such trainings use half of what a training did not fit with.

        Args:
            settings: of the training.
            device: that it did not fit.

        Returns:
            The new limit; `None` where there is nothing to halve.
        """
        half = _images_at_a_time(settings) // 2
        if half == 0:
            return None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            self.__dict__.pop("limits", None)
            identity = _identity(settings, device)
            limit = min(half, self.limits.get(identity, half))
            write_json(self.path, self.limits | {identity: limit})
        self.__dict__.pop("limits", None)
        return limit


def _images_at_a_time(settings: CellSettings) -> int:
    return min(settings.micro_batch or settings.batch_size, settings.batch_size)


def _identity(settings: CellSettings, device: Device) -> str:
    told = settings.model_dump(mode="json", exclude=_INDIFFERENT)
    told["optimizer"].pop("lr")
    for name in ("weights", "weights_sha256"):
        told["model"].pop(name)
    return digest({"settings": told, "device": [device.kind, device.capability]})
