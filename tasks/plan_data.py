"""A plan's data sets: known here already, or to be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foodvision.data.datasets import Dataset, fetch_dataset, known_dataset
from foodvision.store import Store

if TYPE_CHECKING:
    from foodvision.home import Home
    from foodvision.plan.schema import Plan
    from foodvision.progress import Progress


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
