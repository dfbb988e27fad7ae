"""A plan's data sets: known here already, or to be fetched."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foodvision.data.datasets import Dataset, fetch_dataset, known_dataset
from foodvision.data.sources import locate
from foodvision.errors import DataError
from foodvision.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from foodvision.home import Home
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from foodvision.progress import Progress

logger = logging.getLogger("foodvision.data")


@dataclass(frozen=True)
class PlanData:
    """Data sets of a plan: those that can be had, and why others cannot.

    Attributes:
        found: by name.
        absent: why others cannot be had, by name; each error says which one it is about.
    """

    found: dict[str, Dataset] = field(default_factory=dict)
    absent: dict[str, DataError] = field(default_factory=dict)

    @classmethod
    def gather(cls, names: Iterable[str], get: Callable[[str], Dataset]) -> PlanData:
        """Get data sets; one that cannot be had costs none of the others.

        Args:
            names: of the data sets.
            get: returns one, or raises `DataError`.
        """
        data = cls()
        for name in names:
            try:
                data.found[name] = get(name)
            except DataError as error:
                data.absent[name] = DataError(f"data.{name}: {error}")
        return data


def used_names(cells: Iterable[Cell]) -> list[str]:
    """Return the names of the data sets that cells use, each once, in their order."""
    settings = [cell.settings for cell in cells]
    return list(dict.fromkeys(c.name for each in settings for c in (each.data, each.test)))


def known_plan_data(plan: Plan, names: Iterable[str], home: Home) -> PlanData:
    """Return what is known here of data sets; nothing is fetched."""

    def get(name: str) -> Dataset:
        dataset = known_data(plan, name, home)
        if dataset is None:
            locate(plan.data[name].source, base=plan.folder).require_there()
            raise DataError(
                "its images are not known here: it has not been fetched yet, or has changed since. "
                "Run the plan, or fetch first: foodvision explain PLAN --fetch."
            )
        return dataset

    return PlanData.gather(names, get)


def known_data(plan: Plan, name: str, home: Home) -> Dataset | None:
    """Return one of a plan's data sets, if it has been fetched and has not changed since.

    Asks no network and imports no torch.
    """
    return known_dataset(plan.data[name].source, **_about(plan, name, home))


def fetch_data(
    plan: Plan, name: str, home: Home, *, progress: Progress, refresh: bool = False
) -> Dataset:
    """Fetch one of a plan's data sets, or find that it is here already.

    Args:
        plan: the plan.
        name: of the data set.
        home: where it goes.
        progress: told of bytes and images.
        refresh: ask a web server again whether its file changed.

    Raises:
        DataError: it cannot be had, or is no usable data set.
    """
    about = _about(plan, name, home)
    return fetch_dataset(plan.data[name].source, progress=progress, refresh=refresh, **about)


def fetch_all(plan: Plan, home: Home, *, progress: Progress) -> PlanData:
    """Fetch the data sets of a plan, as far as they can be had; say why others cannot.

    Args:
        plan: the plan.
        home: where they go.
        progress: told of bytes and images.

    Returns:
        What can be had, and why the rest cannot.

    Raises:
        DataError: none can be had.
    """
    data = PlanData.gather(plan.data, lambda name: fetch_data(plan, name, home, progress=progress))
    if not data.found:
        raise next(iter(data.absent.values()))
    for error in data.absent.values():
        logger.error("%s: %s", plan.name, error)
    return data


def _about(plan: Plan, name: str, home: Home) -> dict[str, Any]:
    wanted = plan.data[name]
    return {
        "store": Store(home.store),
        "home": home,
        "base": plan.folder,
        "split": wanted.split,
        "sha256": wanted.sha256,
        "on_bad_image": wanted.on_bad_image,
    }
