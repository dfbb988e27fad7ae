"""How the library tells whoever watches how far it is, without knowing who watches."""

from __future__ import annotations

import logging
from typing import Protocol

# What a stage tells of itself, epoch by epoch: for its log, and for nobody's screen.
STAGE_LOG = logging.getLogger("foodvision.stage")
STAGE_LOG.setLevel(logging.INFO)
STAGE_LOG.propagate = False


class Bar(Protocol):
    """One piece of work on its way."""

    def advance(self, amount: float) -> None:
        """Say that `amount` more units are done."""

    def close(self) -> None:
        """Say that nothing more will come."""


class Progress(Protocol):
    """Whoever watches."""

    def begin(self, label: str, *, total: float | None, unit: str) -> Bar:
        """Announce work of `total` units (`None`: unknown); `unit` is bytes, images or epochs."""


class _Silent:
    def begin(self, label: str, *, total: float | None, unit: str) -> _Silent:  # noqa: ARG002
        return self

    def advance(self, amount: float) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


SILENT: Progress = _Silent()
