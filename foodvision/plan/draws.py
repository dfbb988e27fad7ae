"""Draws of a random search: pure functions of (seed, axis, number of the draw).

So the first ten of twenty draws are the ten draws, a new axis leaves the values of the others
alone, and every platform draws the same: there is no generator whose state could differ, and
logarithms are taken in decimal arithmetic, whose every digit is defined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from foodvision.hashing import digest
from foodvision.plan.axes import Axis, Layer, scalar_choice
from foodvision.plan.messages import nearest, show

if TYPE_CHECKING:
    from foodvision.plan.problems import PlanPath
    from foodvision.plan.sections import Report

CHOICE = "choice"
RANGE_KINDS = ("uniform", "log_uniform", "int_uniform")
_BITS = 64
_HEX_DIGITS = _BITS // 4
_SIGNIFICANT_DIGITS = 4
_DECIMAL = Context(prec=28, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included.

    Attributes:
        kind: `uniform`; `log_uniform`, whose logarithm is uniform; or `int_uniform`, whole numbers.
        low: the smaller end; > 0 for `log_uniform`, an int for `int_uniform`.
        high: the larger end; an int for `int_uniform`.
    """

    kind: str
    low: float
    high: float

    def value(self, bits: int) -> float:
        """Return the number at a place in the range, rounded to four digits that mean something.

        Args:
            bits: the place, in [0, 2**64).
        """
        if self.kind == "int_uniform":
            low, high = int(self.low), int(self.high)
            return low + (bits * (high - low + 1) >> _BITS)
        with localcontext(_DECIMAL):
            return float(self._decimal(Decimal(bits) / 2**_BITS))

    def _decimal(self, share: Decimal) -> Decimal:
        low, high = Decimal(repr(self.low)), Decimal(repr(self.high))
        if self.kind == "log_uniform":
            exact = (low.ln() + share * (high / low).ln()).exp()
            leading = exact.adjusted()
        else:
            exact = low + share * (high - low)
            leading = (high - low).adjusted()
        step = Decimal(1).scaleb(leading + 1 - _SIGNIFICANT_DIGITS)
        return min(max((exact / step).to_integral_value() * step, low), high)


def is_range(raw: Any) -> bool:
    """Say whether the value of an axis is a range: one kind of range, and a list."""
    return _has_one_key(raw, RANGE_KINDS)


def is_choice(raw: Any) -> bool:
    """Say whether the value of an axis is a list of values, called a choice."""
    return _has_one_key(raw, (CHOICE,))


def misspelled_range(raw: Any) -> str | None:
    """Return the kind of range that a labelled choice of two numbers was probably meant to be."""
    if not isinstance(raw, dict) or len(raw) != 1:
        return None
    ((label, ends),) = raw.items()
    if not isinstance(ends, list) or len(ends) != 2 or not all(map(_is_number, ends)):
        return None
    return nearest(label, RANGE_KINDS)


def read_range(raw: dict[str, Any], where: PlanPath, report: Report) -> Range | None:
    """Read a range; `None` where its ends are none, which is reported."""
    ((kind, ends),) = raw.items()
    problem = _range_problem(kind, ends)
    if problem:
        report((*where, kind), f"{problem}, got {show(ends)}")
        return None
    low, high = ends
    return Range(kind, low, high) if kind == "int_uniform" else Range(kind, float(low), float(high))


def draw(axis: Axis, seed: int, number: int) -> tuple[Layer, ...]:
    """Draw a point of an axis.

    Of a list, the value whose hash is the largest: a value that is added to the list takes its
    share of the draws, and the others stay as they were, in whatever order the list is.

    Args:
        axis: the axis.
        seed: of the search.
        number: of the draw, from 0.

    Returns:
        One layer per path of the axis.
    """
    about = {"seed": seed, "draw": number, "axis": sorted(axis.names)}
    if axis.range:
        (layer,) = axis.points[0]
        value = axis.range.value(_bits(about))
        where = (*axis.where, axis.range.kind)
        return (replace(layer, choice=scalar_choice(layer.path, value, where)),)
    return max(axis.points, key=lambda point: _bits({**about, "point": _labels(point)}))


def _bits(about: dict[str, Any]) -> int:
    return int(digest(about)[:_HEX_DIGITS], 16)


def _labels(point: tuple[Layer, ...]) -> dict[str, str]:
    return {layer.name: layer.choice.label for layer in point}


def _has_one_key(raw: Any, keys: tuple[str, ...]) -> bool:
    return (
        isinstance(raw, dict)
        and len(raw) == 1
        and any(isinstance(raw.get(key), list) for key in keys)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _range_problem(kind: str, ends: list[Any]) -> str | None:
    if len(ends) != 2 or not all(map(_is_number, ends)):
        return "must be [smallest, largest], two numbers"
    if kind == "int_uniform" and not all(isinstance(end, int) for end in ends):
        return "must be two whole numbers"
    if kind == "log_uniform" and ends[0] <= 0:
        return "must begin above 0, since its logarithm is drawn"
    if ends[0] >= ends[1]:
        return "must be [smallest, largest], the first one smaller"
    return None
