"""Open a plan as every command does: with the architectures that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foodvision.models.names import OWN_NETWORKS, architecture_names
from foodvision.plan.load import load_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from foodvision.plan.load import Judge
    from foodvision.plan.schema import Plan


def open_plan(
    source: Path | str | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    judge: Callable[[Plan], Judge] | None = None,
) -> Plan:
    """Load a plan; an architecture that does not exist is a problem like any other.

    Args:
        source: of the plan.
        overrides: of its values.
        judge: what more is known to be wrong with its cells.

    Raises:
        PlanProblems: every problem of the plan at once.
    """
    return load_plan(
        source,
        overrides,
        architectures=architecture_names(),
        own_networks={name: network.smallest for name, network in OWN_NETWORKS.items()},
        judge=judge,
    )
