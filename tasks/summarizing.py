"""How large the models of a plan are, without training or even building one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.plan.expand import expand
from foodvision.plan.facts import NO_ANSWER
from foodvision.plan.left_out import LeftOut
from foodvision.plan.summary import ModelSummary
from tasks.compiling import known_facts, nothing_left, warn_left_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foodvision.errors import DataError
    from foodvision.home import Home
    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from foodvision.plan.summary import ModelSize
    from tasks.facts import LibraryFacts


def summarize_plan(
    plan: Plan, home: Home, *, absent: Mapping[str, DataError] | None = None
) -> list[ModelSummary]:
    """Summarise the different models of a plan, in the order of their first cells.

    Two cells have one model where it has the same size and as much of it is frozen; dropout, for
    one, does not count. Cells whose model is not known are left out, with a warning.

    Args:
        plan: the plan.
        home: what is known is kept there.
        absent: why data sets could not be fetched just now, by name.

    Raises:
        DataError: no data set that cells use has been fetched yet, so no number of classes is
            known.
        ModelError: no model can be built, or not for these images.
    """
    cells = expand(plan)
    facts = known_facts(plan, cells, home, absent=absent)
    models: dict[tuple[str, int, ModelSize], list[Cell]] = {}
    left_out: list[LeftOut] = []
    for cell in cells:
        try:
            models.setdefault(_model(cell.settings, facts), []).append(cell)
        except NO_ANSWER as error:
            left_out.append(LeftOut(cell, error))
    if not models:
        raise nothing_left(plan, left_out)
    warn_left_out(plan, left_out)
    return [
        ModelSummary(
            arch=arch,
            hidden=same[0].settings.model.hidden,
            freeze=same[0].settings.model.freeze,
            frozen_count=frozen_count,
            size=size,
            cells=tuple(cell.label for cell in same),
        )
        for (arch, frozen_count, size), same in models.items()
    ]


def _model(settings: CellSettings, facts: LibraryFacts) -> tuple[str, int, ModelSize]:
    """Return what tells the model of a cell from others: name, frozen blocks, size."""
    classes = len(facts.image_set(settings, "train").classes)
    frozen_count = facts.architecture(settings, classes=classes).frozen_count
    return settings.model.arch, frozen_count, facts.model_size(settings, classes=classes)
