"""Phases: stretches of a training, one after the other, each with settings of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from foodvision.plan.schema import CellSettings

OptimizerState = Literal["reset", "keep"]


@dataclass(frozen=True)
class PhaseStep:
    """One phase, resolved.

    Attributes:
        settings: the cell's, as they are in the phase; `epochs` are those of the phase.
        start: what the optimizer knows when the phase begins.
    """

    settings: CellSettings
    start: OptimizerState


def phase_steps(settings: CellSettings) -> tuple[PhaseStep, ...]:
    """Return the phases of a cell, in order; a cell without any is one phase."""
    return (PhaseStep(settings, "reset"),)
