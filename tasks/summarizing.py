"""How large the models of a plan are, without training or even building one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.plan.expand import expand
from foodvision.plan.summary import ModelSummary
from tasks.compiling import known_facts

if TYPE_CHECKING:
    from foodvision.home import Home
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from foodvision.plan.summary import ModelSize


def summarize_plan(plan: Plan, home: Home) -> list[ModelSummary]:
    """Summarise the different models of a plan, in the order of their first cells.

    Two cells have one model where it has the same size and as much of it is frozen; dropout, for
    one, does not count.

    Raises:
        DataError: a data set has not been fetched yet, so its number of classes is not known.
        ModelError: a model cannot be built, or not for these images.
    """
    cells = expand(plan)
    facts = known_facts(plan, cells, home)
    models: dict[tuple[str, int, ModelSize], list[Cell]] = {}
    for cell in cells:
        classes = len(facts.image_set(cell.settings, "train").classes)
        frozen_count = facts.architecture(cell.settings, classes=classes).frozen_count
        size = facts.model_size(cell.settings, classes=classes)
        models.setdefault((cell.settings.model.arch, frozen_count, size), []).append(cell)
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
