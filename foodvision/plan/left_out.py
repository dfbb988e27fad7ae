"""What of a plan cannot be compiled, because something that it needs cannot be had.

A data set that is not there, weights that are damaged: that stops the cells that need it and what
is made of them, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.errors import FoodVisionError
    from foodvision.plan.composites import Composite
    from foodvision.plan.expand import Cell


@dataclass(frozen=True)
class LeftOut:
    """A cell of a plan that cannot be compiled, or what is made of such a one.

    Attributes:
        row: the cell, or the composite.
        error: says what cannot be had: its images, its weights, its architecture, its device.
    """

    row: Cell | Composite
    error: FoodVisionError


def part_composites(
    composites: Sequence[Composite], broken: Mapping[str, FoodVisionError]
) -> tuple[list[Composite], list[LeftOut]]:
    """Tell composites all of whose candidates can be compiled from those that lack one.

    Args:
        composites: of a plan.
        broken: what cells lack, by id.
    """
    whole: list[Composite] = []
    left_out: list[LeftOut] = []
    for composite in composites:
        errors = [broken[cell.cell_id] for cell in composite.candidates if cell.cell_id in broken]
        if errors:
            left_out.append(LeftOut(composite, errors[0]))
        else:
            whole.append(composite)
    return whole, left_out


def causes(left_out: Iterable[LeftOut]) -> dict[str, list[str]]:
    """Return the labels of what is left out, by what cannot be had: one cause, told once."""
    found: dict[str, list[str]] = {}
    for each in left_out:
        found.setdefault(str(each.error), []).append(each.row.label)
    return found
