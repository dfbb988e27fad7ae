"""From values to places in a chart, with ticks at round values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foodvision.report.html.texts import short_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foodvision.report.html.contents import Kind

_STEPS = (1.0, 2.0, 5.0, 10.0)
_LOG_RATIO = 12.0  # values this far apart are shown by their logarithm
_MARGIN = 0.04  # of the range, on either side


@dataclass(frozen=True)
class Tick:
    """A round value: where it stands, how it reads."""

    place: float
    text: str


@dataclass(frozen=True)
class Scale:
    """Values in [low, high] drawn between two places, linearly or by their logarithm.

    Attributes:
        low: the value at `start`.
        high: the value at `end`; above `low`.
        start: in units of the drawing.
        end: in the same; may be below `start`, as heights are.
        is_log: both values are above 0.
        ticks: at round values, in order.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    ticks: tuple[Tick, ...] = ()

    def place(self, value: float) -> float:
        """Return where a value stands, rounded to a tenth; outside the range, at its end."""
        value = min(max(value, self.low), self.high)
        share = (self._of(value) - self._of(self.low)) / (self._of(self.high) - self._of(self.low))
        return round(self.start + share * (self.end - self.start), 1)

    def _of(self, value: float) -> float:
        return math.log10(value) if self.is_log else value


def make_scale(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    kind: Kind,
    may_be_log: bool = False,
    ticks: int = 5,
) -> Scale:
    """Make a scale that shows all values, with some air around them.

    Args:
        values: finite ones; without any, the scale goes from 0 to 1.
        start: where the lowest stands.
        end: where the highest stands.
        kind: how ticks are written; shares stay in [0, 1].
        may_be_log: use logarithms where values lie far apart and are all above 0.
        ticks: about how many.
    """
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    if may_be_log and low > 0 and high / low > _LOG_RATIO:
        air = (high / low) ** _MARGIN
        low, high = low / air, high * air
        places = _log_ticks(low, high)
        scale = Scale(low, high, start, end, is_log=True)
    else:
        low, high = _with_air(low, high, kind)
        places = _round_values(low, high, ticks)
        scale = Scale(low, high, start, end)
    marks = tuple(Tick(scale.place(value), short_number(value, kind)) for value in places)
    return Scale(scale.low, scale.high, start, end, scale.is_log, marks)


def epoch_scale(last: int, start: float, end: float) -> Scale:
    """Make a scale of epochs from 1 to `last`, ticks at whole ones."""
    high = max(last, 2)
    step = max(1, round(_step(1, high, 6)))
    wanted = [1, *range(step if step > 1 else 2, high + 1, step)]
    scale = Scale(1, high, start, end)
    ticks = tuple(Tick(scale.place(epoch), str(epoch)) for epoch in wanted if epoch <= last)
    return Scale(1, high, start, end, ticks=ticks)


def _with_air(low: float, high: float, kind: Kind) -> tuple[float, float]:
    air = (high - low) * _MARGIN or abs(high) * _MARGIN or 0.5
    low, high = low - air, high + air
    if kind == "share":
        return max(0.0, low), min(1.0, high)
    return (max(0.0, low) if kind != "points" else low), high


def _round_values(low: float, high: float, count: int) -> list[float]:
    step = _step(low, high, count)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _step(low: float, high: float, count: int) -> float:
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step for step in _STEPS if step * power >= rough - 1e-12) * power


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        kept = [value for value in found if low <= value <= high]
        if len(kept) >= 3:
            return _thin(kept)
    return kept


def _thin(values: Sequence[float]) -> list[float]:
    return list(values[:: max(1, math.ceil(len(values) / 7))])
