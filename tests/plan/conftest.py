from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from foodvision.plan.expand import Cell

BASE: dict[str, Any] = {
    "data": "a",
    "test": "a",
    "model": {"arch": "tiny_vgg"},
    "transform": {"size": 32},
    "batch_size": 32,
    "epochs": 5,
    "optimizer": {"kind": "adam", "lr": 0.001},
}


def plan_values(base: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    return {
        "name": "p",
        "data": {"a": {"source": "./a"}, "b": {"source": "./b"}},
        "base": {**BASE, **(base or {})},
        **sections,
    }


@pytest.fixture(scope="session")
def values() -> Callable[..., dict[str, Any]]:
    """Make the values of a small plan; keywords are its sections, `base` is merged."""
    return plan_values


@pytest.fixture(scope="session")
def cells() -> Callable[..., list[Cell]]:
    """Load and expand a small plan; keywords are its sections, `base` is merged."""

    def make(base: dict[str, Any] | None = None, **sections: Any) -> list[Cell]:
        return expand(load_plan(plan_values(base, **sections)))

    return make
