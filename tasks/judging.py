"""What is known here to be wrong with a plan's cells before any is compiled.

Some rules depend on what only torch or the images can tell: the names of an architecture's blocks,
the number of steps in an epoch. Where this home knows them from earlier, `validate` holds cells
against them; of the rest it says that it could not.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from foodvision.errors import FoodVisionError
from foodvision.models.names import OWN_NETWORKS
from foodvision.plan.blocks import FREEZE_WORDS, count_frozen
from foodvision.plan.graph import check_batch
from foodvision.plan.rate_groups import check_rate_blocks
from foodvision.plan.schedules import check_steps, steps_per_epoch
from tasks.facts import LibraryFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from foodvision.data.datasets import Dataset
    from foodvision.home import Home
    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.load import Judge
    from foodvision.plan.schema import Plan
    from foodvision.plan.values import Clash

_Path = tuple[str, ...]


class Judging:
    """Says what is wrong with the cells of a plan, as far as it is known here.

    Attributes:
        datasets: those of the plan that have been fetched, by name; none before it is judged.
    """

    def __init__(self, home: Home, *, fetched: Callable[[Plan], Mapping[str, Dataset]]) -> None:
        """Prepare.

        Args:
            home: what is known of architectures is kept there.
            fetched: finds the data sets of a plan that are here, by name.
        """
        self.datasets: Mapping[str, Dataset] = {}
        self._home = home
        self._fetched = fetched
        self._unchecked: dict[str, None] = {}

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Return sentences about what could not be checked here."""
        return tuple(self._unchecked)

    def judge(self, plan: Plan) -> Judge:
        """Return what says of cells, as they are in each of their phases, what is wrong."""
        self.datasets = self._fetched(plan)
        facts = LibraryFacts(home=self._home, base=plan.folder, datasets=self.datasets)
        return partial(self._of_cell, facts)

    def _of_cell(self, facts: LibraryFacts, settings: CellSettings) -> Iterator[Clash]:
        yield from self._of_blocks(facts, settings)
        if not settings.phases:
            yield from self._of_steps(facts, settings)

    def _of_blocks(self, facts: LibraryFacts, settings: CellSettings) -> Iterator[Clash]:
        model = settings.model
        freezes = model.freeze not in FREEZE_WORDS
        scales = isinstance(model.lr_scale, dict)
        if not (freezes or scales):
            return
        own = OWN_NETWORKS.get(model.arch)
        blocks = own.blocks if own else facts.known_blocks(model.arch)
        if blocks is None:
            self._unchecked[
                f"the blocks of {model.arch} are not known here yet; explain asks torchvision "
                "for them, and refuses a name that none has"
            ] = None
            return
        arch: _Path = ("model", "arch")
        yield from _refused(
            (("model", "freeze"), arch), lambda: count_frozen(model.freeze, blocks, arch=model.arch)
        )
        yield from _refused((("model", "lr_scale"), arch), lambda: check_rate_blocks(model, blocks))

    def _of_steps(self, facts: LibraryFacts, settings: CellSettings) -> Iterator[Clash]:
        name, schedule = settings.data.name, settings.schedule
        if name not in self.datasets:
            if schedule.warmup is not None and schedule.warmup.steps is not None:
                self._unchecked[
                    f"{name} has not been fetched yet, so a warm-up is not held against the steps "
                    "of its training; explain --fetch does it"
                ] = None
            return
        shares = (("data", "count"), ("data", "fraction"), ("valid",), ("data",))
        if wrong := [*_refused(shares, lambda: facts.image_set(settings, "train"))]:
            yield from wrong
            return
        images = len(facts.image_set(settings, "train").images)
        batches = (("batch_size",), ("accumulate",), ("data",))
        problems = [*_refused(batches, lambda: check_batch(settings, images))]
        if not problems:
            each = steps_per_epoch(images, settings.batch_size, settings.accumulate)
            steps = each * settings.epochs
            spans: tuple[_Path, ...] = (("schedule", "warmup", "steps"), ("schedule",), ("epochs",))
            problems = [
                *_refused(spans, lambda: check_steps(schedule, steps, epochs=settings.epochs))
            ]
        yield from problems


def _refused(paths: tuple[_Path, ...], check: Callable[[], object]) -> Iterator[Clash]:
    """Yield the error of a check as what is wrong with values at paths."""
    try:
        check()
    except FoodVisionError as error:
        yield paths, str(error)
