"""What each axis of a grid did to the score, and which axes act on one another."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foodvision.evaluate.certainty import LEVEL, critical_value, standard_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.evaluate.resampling import Resampled

NOT_SET = "–"  # the value of an axis that does not count in a configuration
_NOTHING = 1e-12


@dataclass(frozen=True)
class Effect:
    """What one value of an axis does.

    Attributes:
        value: its label.
        configurations: how many have it.
        mean: their mean score.
        effect: what the value adds to the mean of all, all else being equal.
        low: of the 95 % interval of the effect.
        high: of the same.
    """

    value: str
    configurations: int
    mean: float
    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class AxisEffect:
    """What an axis does.

    Attributes:
        names: dotted paths; several where axes move together and cannot be told apart.
        effects: of its values, in the order of the plan.
        span: effect of the best value minus that of the worst.
        is_more_than_noise: at least two values differ by more than chance makes of equal ones.
        share: of the variation between configurations, in [0, 1].
    """

    names: tuple[str, ...]
    effects: tuple[Effect, ...]
    span: float
    is_more_than_noise: bool
    share: float


@dataclass(frozen=True)
class Interaction:
    """How far the effect of one axis depends on the other.

    Attributes:
        first: names of one axis.
        second: names of the other.
        rows: values of the first.
        columns: values of the second.
        means: mean score per row and column; `None` where no configuration is.
        extras: what the pair adds to the sum of both effects; `None` as above.
        strength: the largest of the extras, without its sign.
        is_more_than_noise: it is larger than chance makes it where there is no interaction.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    means: tuple[tuple[float | None, ...], ...]
    extras: tuple[tuple[float | None, ...], ...]
    strength: float
    is_more_than_noise: bool


@dataclass(frozen=True, eq=False)
class _Factor:
    names: tuple[str, ...]
    values: tuple[str, ...]
    levels: np.ndarray  # int64 [n]

    @property
    def indicators(self) -> np.ndarray:
        """Return float64 [n, values]: 1 where a configuration has a value."""
        rows: np.ndarray = np.eye(len(self.values))[self.levels]
        return rows


def axis_effects(
    resampled: Resampled, axes: Sequence[Mapping[str, str]]
) -> tuple[list[AxisEffect], list[Interaction]]:
    """Estimate main effects and two-way interactions, the strongest first.

    Main effects are those of an additive model, fitted by least squares: in a full grid the plain
    differences between means, elsewhere the differences with all else being equal as far as the
    grid can tell. Intervals are about other images and seeds, for this grid.

    Args:
        resampled: the configurations.
        axes: of each configuration, label of the value by dotted path. An axis that is not there
            counts as a value of its own; one with a single value is left out.
    """
    factors = _factors(axes)
    if not factors:
        return [], []
    blocks = [factor.indicators for factor in factors]
    operators = _main_operators(blocks)
    errors = resampled.draws - resampled.draws.mean(axis=0)
    total = float(((resampled.means - resampled.means.mean()) ** 2).sum())
    mains = [
        _main(factor, operator, resampled, errors, total)
        for factor, operator in zip(factors, operators, strict=True)
    ]
    pairs = [
        _interaction(first, second, resampled, errors)
        for first, second in itertools.combinations(factors, 2)
    ]
    mains.sort(key=lambda main: -main.span)
    pairs.sort(key=lambda pair: -pair.strength)
    return mains, pairs


def _factors(axes: Sequence[Mapping[str, str]]) -> list[_Factor]:
    """Return the axes that vary; those that always move together become one."""
    found: dict[tuple[int, ...], list[tuple[str, tuple[str, ...]]]] = {}
    for name in dict.fromkeys(name for each in axes for name in each):
        labels = [each.get(name, NOT_SET) for each in axes]
        values = tuple(dict.fromkeys(labels))
        if len(values) > 1:
            levels = tuple(values.index(label) for label in labels)
            found.setdefault(levels, []).append((name, values))
    return [
        _Factor(
            tuple(name for name, _ in group),
            tuple(_joined(labels) for labels in zip(*(values for _, values in group), strict=True)),
            np.array(levels),
        )
        for levels, group in found.items()
    ]


def _joined(labels: Sequence[str]) -> str:
    return " / ".join(dict.fromkeys(labels))


def _main_operators(blocks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return per factor [values, n]: scores in, effects that add up to 0 out."""
    ones = np.ones((len(blocks[0]), 1))
    # Coded so that effects of a factor add up to 0; the rest is ordinary least squares.
    codings = [_sum_coding(block.shape[1]) for block in blocks]
    design = np.hstack(
        [ones, *(block @ coding for block, coding in zip(blocks, codings, strict=True))]
    )
    inverse = np.linalg.pinv(design)
    operators, start = [], 1
    for coding in codings:
        stop = start + coding.shape[1]
        operators.append(coding @ inverse[start:stop])
        start = stop
    return operators


def _sum_coding(count: int) -> np.ndarray:
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])


def _main(
    factor: _Factor,
    operator: np.ndarray,
    resampled: Resampled,
    errors: np.ndarray,
    total: float,
) -> AxisEffect:
    effects = operator @ resampled.means
    noise = errors @ operator.T
    lows, highs = effects + np.quantile(noise, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    counts = np.bincount(factor.levels, minlength=len(factor.values))
    means = factor.indicators.T @ resampled.means / counts
    explained = float((effects[factor.levels] ** 2).sum())
    return AxisEffect(
        names=factor.names,
        effects=tuple(
            Effect(
                value, int(counts[index]), float(means[index]), float(effects[index]),
                float(lows[index]), float(highs[index]),
            )
            for index, value in enumerate(factor.values)
        ),
        span=float(effects.max() - effects.min()),
        is_more_than_noise=_differ(effects, noise),
        share=min(1.0, explained / total) if total > _NOTHING else 0.0,
    )  # fmt: skip


def _differ(values: np.ndarray, noise: np.ndarray) -> bool:
    scales = standard_errors(np.cov(noise, rowvar=False))
    threshold = critical_value(noise - noise.mean(axis=0), scales)
    differences = np.abs(values[:, None] - values)
    return bool((differences > threshold * scales + _NOTHING).any())


def _interaction(
    first: _Factor, second: _Factor, resampled: Resampled, errors: np.ndarray
) -> Interaction:
    shape = (len(first.values), len(second.values))
    places = first.levels * shape[1] + second.levels
    filled, cells = np.unique(places, return_inverse=True)
    averaging = np.eye(len(filled))[cells].T
    averaging /= averaging.sum(axis=1, keepdims=True)
    rows, columns = np.divmod(filled, shape[1])
    design = np.hstack([np.eye(shape[0])[rows], np.eye(shape[1])[columns]])
    leaving = np.eye(len(filled)) - design @ np.linalg.pinv(design)
    extras = leaving @ averaging @ resampled.means
    noise = errors @ (leaving @ averaging).T
    scales = np.maximum(noise.std(axis=0), _NOTHING)
    chance = np.quantile((np.abs(noise) / scales).max(axis=1), LEVEL)
    is_real = (np.abs(extras) > chance * scales) & (np.abs(extras) > _NOTHING)
    return Interaction(
        first=first.names,
        second=second.names,
        rows=first.values,
        columns=second.values,
        means=_grid(averaging @ resampled.means, filled, shape),
        extras=_grid(extras, filled, shape),
        strength=float(np.abs(extras).max()),
        is_more_than_noise=bool(is_real.any()),
    )


def _grid(
    values: np.ndarray, places: np.ndarray, shape: tuple[int, int]
) -> tuple[tuple[float | None, ...], ...]:
    by_place = dict(zip(places.tolist(), values.tolist(), strict=True))
    return tuple(
        tuple(by_place.get(row * shape[1] + column) for column in range(shape[1]))
        for row in range(shape[0])
    )
