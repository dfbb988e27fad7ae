"""Discriminative learning rates: which blocks of a model learn at which share of the rate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from foodvision.errors import PlanError
from foodvision.plan.blocks import leading_blocks
from foodvision.plan.messages import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.facts import Architecture
    from foodvision.plan.input_schema import ModelSettings

_HEAD = "head"
_WORDS = (*leading_blocks(0), _HEAD)


@dataclass(frozen=True)
class RateGroup:
    """Consecutive trainable blocks that learn at one rate.

    Attributes:
        blocks: their names, in order.
        factor: what the optimizer's learning rate is multiplied by.
    """

    blocks: tuple[str, ...]
    factor: float

    @property
    def label(self) -> str:
        """Name the group: `layer4`, `stem-layer2`."""
        return "-".join(dict.fromkeys((self.blocks[0], self.blocks[-1])))


def rate_groups(model: ModelSettings, architecture: Architecture) -> tuple[RateGroup, ...]:
    """Return the groups of a model's trainable blocks, in order.

    Raises:
        PlanError: `lr_scale` names a block that the architecture does not have.
    """
    factors = _factors(model, architecture.blocks)
    trainable = list(zip(architecture.blocks, factors, strict=True))[architecture.frozen_count :]
    return tuple(
        RateGroup(tuple(name for name, _ in group), factor)
        for factor, group in groupby(trainable, key=lambda block: block[1])
    )


def check_rate_blocks(model: ModelSettings, blocks: Sequence[str]) -> None:
    """Refuse names in `lr_scale` that no block has.

    Raises:
        PlanError: there is one.
    """
    _factors(model, blocks)


def _factors(model: ModelSettings, blocks: Sequence[str]) -> list[float]:
    scale = model.lr_scale
    if scale is None:
        return [1.0] * len(blocks)
    if isinstance(scale, float | int):
        return [float(scale) ** behind for behind in reversed(range(len(blocks)))]
    meant = _meant(model.arch, scale, blocks)
    return [_of_smallest(meant, position) for position in range(len(blocks))]


def _meant(
    arch: str, scale: Mapping[str, float], blocks: Sequence[str]
) -> list[tuple[frozenset[int], float]]:
    """Return which blocks each name means, the smallest sets first."""
    meant = []
    for name, factor in scale.items():
        positions = _positions(name, blocks)
        if not positions and name not in _WORDS:
            near = nearest(name, [*_WORDS, *blocks])
            hint = f" Did you mean {near!r}?" if near else ""
            raise PlanError(
                f"model.lr_scale must name blocks of {arch}, or {', '.join(_WORDS)}; it has none "
                f"called {name!r}.{hint} Blocks of {arch}: {', '.join(blocks)}."
            )
        meant.append((positions, name not in blocks, float(factor)))
    meant.sort(key=lambda each: (len(each[0]), each[1]))
    return [(positions, factor) for positions, _, factor in meant]


def _positions(name: str, blocks: Sequence[str]) -> frozenset[int]:
    if name in blocks:
        return frozenset([blocks.index(name)])
    if name == _HEAD:
        return frozenset([len(blocks) - 1])
    counts = leading_blocks(len(blocks) - 1)
    if name in counts:
        return frozenset(range(counts[name]))
    return frozenset(
        position for position, block in enumerate(blocks) if block.startswith(f"{name}.")
    )


def _of_smallest(meant: Sequence[tuple[frozenset[int], float]], position: int) -> float:
    return next((factor for positions, factor in meant if position in positions), 1.0)
