"""Geometry of the report's charts: what templates draw as SVG.

Drawn here, as SVG, rather than by a library in the browser: it needs no script, follows the page's
colours, prints, and can be read by a screen reader; see `docs/adr`. One unit is one CSS pixel on a
phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foodvision.report.html.scales import Scale, epoch_scale, make_scale
from foodvision.report.html.texts import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.report.html.contents import (
        Bin,
        Calibration,
        Column,
        Curve,
        Entry,
        Estimate,
        Kind,
    )

WIDTH, HEIGHT = 420, 280
_RIGHT, _TOP, _BOTTOM = 22, 10, 40
# Of the largest ticks: the width of a letter, and the air beside them.
_LETTER, _AIR = 8.7, 9.0
_FOREST = (4.0, 116.0)
_EFFECTS = (4.0, 236.0)
_MOST_POINTS = 80
SPLITS = {"test": "test", "valid": "validation", "train": "training"}


@dataclass(frozen=True)
class Line:
    """One curve: whose it is, what it shows, its points as SVG writes them."""

    entry: int
    split: str
    label: str
    points: str
    is_best: bool


@dataclass(frozen=True)
class LineChart:
    """Curves over epochs; `splits` are those that have any, by name."""

    title: str
    x: Scale
    y: Scale
    lines: Sequence[Line]


@dataclass(frozen=True)
class Point:
    """One configuration in a scatter chart."""

    entry: int
    label: str
    x: float
    y: float
    cost: str
    score: str
    is_on_front: bool
    is_best: bool


@dataclass(frozen=True)
class ScatterChart:
    """Accuracy against a cost; `front` is the line through the best at each cost."""

    title: str
    x: Scale
    y: Scale
    points: Sequence[Point]
    front: str

    @property
    def on_front(self) -> list[Point]:
        """Return the points of the front, the cheapest first."""
        return sorted((point for point in self.points if point.is_on_front), key=lambda p: p.x)


@dataclass(frozen=True)
class Bar:
    """A bin of a reliability diagram: a bar from the ground up, and where its mean stands."""

    left: float
    width: float
    top: float
    height: float
    mean: float
    weight: float
    bin: Bin


@dataclass(frozen=True)
class ReliabilityChart:
    """How often answers are right against how probable they say that they are."""

    title: str
    error: float | None
    x: Scale
    y: Scale
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Interval:
    """An estimate on a shared scale: three places, and the place of what it is held against."""

    value: float
    low: float
    high: float
    reference: float


def splits_of(curves: Sequence[Curve]) -> dict[str, str]:
    """Return the splits that curves show, by name, with the words for them."""
    return {
        split: words
        for split, words in SPLITS.items()
        if any(_known(curve, f"{split}_accuracy") for curve in curves)
    }


def learning_charts(curves: Sequence[Curve]) -> list[LineChart]:
    """Return accuracy and loss over epochs, of every split on one scale; none without a number."""
    if not splits_of(curves):
        return []
    return [_learning_chart(curves, "accuracy"), _learning_chart(curves, "loss")]


def pareto_charts(entries: Sequence[Entry], columns: Sequence[Column]) -> list[ScatterChart]:
    """Return accuracy against each column that is a cost, where costs differ."""
    costs = [
        column for column in columns if column.kind in {"seconds", "milliseconds", "count", "bytes"}
    ]
    charts = (_pareto_chart(entries, column) for column in costs)
    return [chart for chart in charts if chart is not None]


def reliability_chart(calibration: Calibration) -> ReliabilityChart:
    """Return the reliability diagram of one model."""
    y = _frame_y("share", [0.0, 1.0])
    x = _frame_x("share", [0.0, 1.0], beside=y)
    most = max((each.images for each in calibration.bins), default=1)
    bars = [
        Bar(
            left=round(x.place(each.lower) + 0.8, 1),
            width=round(x.place(each.upper) - x.place(each.lower) - 1.6, 1),
            top=y.place(each.accuracy),
            height=round(y.place(0.0) - y.place(each.accuracy), 1),
            mean=x.place(each.confidence),
            weight=round(0.25 + 0.75 * (each.images / most) ** 0.5, 2),
            bin=each,
        )
        for each in calibration.bins
    ]
    return ReliabilityChart(calibration.title, calibration.error, x, y, bars)


def forest(entries: Sequence[Entry]) -> list[Interval | None]:
    """Return the intervals of entries on one scale, with the first one's value as reference."""
    found = [entry.score for entry in entries]
    return _on_one_scale(found, _FOREST, reference=next(filter(None, found), None))


def effect_intervals(effects: Sequence[Estimate]) -> list[Interval | None]:
    """Return effects on one scale that shows 0."""
    return _on_one_scale(effects, _EFFECTS, reference=None)


def _on_one_scale(
    found: Sequence[Estimate | None],
    places: tuple[float, float],
    *,
    reference: Estimate | None,
) -> list[Interval | None]:
    known = [each for each in found if each is not None]
    held = reference.value if reference else 0.0
    values = [value for each in known for value in (each.low, each.high)] + [held]
    scale = make_scale(values, *places, kind="points")
    return [None if each is None else _interval(each, scale, held) for each in found]


def _interval(found: Estimate, scale: Scale, reference: float) -> Interval:
    places = (scale.place(value) for value in (found.value, found.low, found.high, reference))
    return Interval(*places)


def _learning_chart(curves: Sequence[Curve], name: str) -> LineChart:
    values = [
        value
        for curve in curves
        for split in SPLITS
        for value in curve.values[f"{split}_{name}"]
        if value is not None
    ]
    is_share = name == "accuracy"
    y = _frame_y("share" if is_share else "loss", values, may_be_log=not is_share)
    last = max((epoch for curve in curves for epoch in curve.epochs), default=1)
    x = epoch_scale(last, _left_of(y), WIDTH - _RIGHT)
    lines = [
        Line(curve.entry, split, curve.label, _points(curve, f"{split}_{name}", x, y), best)
        for curve in reversed(curves)  # the best on top
        for best in [curve.entry == 0]
        for split in SPLITS
        if _known(curve, f"{split}_{name}")
    ]
    return LineChart(name.capitalize(), x, y, lines)


def _known(curve: Curve, name: str) -> bool:
    return any(value is not None for value in curve.values[name])


def _points(curve: Curve, name: str, x: Scale, y: Scale) -> str:
    found = [
        (epoch, value)
        for epoch, value in zip(curve.epochs, curve.values[name], strict=True)
        if value is not None
    ]
    if len(found) > _MOST_POINTS:  # finer than the drawing can show
        step = -(-len(found) // _MOST_POINTS)
        found = [*found[:-1:step], found[-1]]
    return " ".join(f"{x.place(epoch):g},{y.place(value):g}" for epoch, value in found)


def _pareto_chart(entries: Sequence[Entry], column: Column) -> ScatterChart | None:
    known = [
        (place, entry, entry.figures[column.key].mean, entry.figures["test_accuracy"].mean)
        for place, entry in enumerate(entries)
        if entry.rank is not None and {column.key, "test_accuracy"} <= entry.figures.keys()
    ]
    if len({cost for _, _, cost, _ in known}) < 2:
        return None
    y = _frame_y("share", [score for _, _, _, score in known])
    x = _frame_x(column.kind, [cost for _, _, cost, _ in known], beside=y)
    fronts = _front([(cost, score) for _, _, cost, score in known])
    points = [
        Point(
            entry=place,
            label=entry.label,
            x=x.place(cost),
            y=y.place(score),
            cost=number(cost, column.kind),
            score=number(score, "share"),
            is_on_front=is_on_front,
            is_best=entry.rank == 1,
        )
        for (place, entry, cost, score), is_on_front in zip(known, fronts, strict=True)
    ]
    chart = ScatterChart(column.title, x, y, points, "")
    return ScatterChart(column.title, x, y, points, _stairs(chart.on_front))


def _front(found: Sequence[tuple[float, float]]) -> list[bool]:
    """Say of each (cost, score) whether nothing is at least as good in both and better in one."""
    return [
        not any(
            c <= cost and s >= score and (c < cost or s > score) for c, s in found
        )
        for cost, score in found
    ]  # fmt: skip


def _stairs(points: Sequence[Point]) -> str:
    if not points:
        return ""
    steps = [f"M{points[0].x:g},{points[0].y:g}"]
    steps += [f"H{point.x:g}V{point.y:g}" for point in points[1:]]
    return "".join([*steps, f"H{WIDTH - _RIGHT}"])


def _left_of(y: Scale) -> float:
    """Return where a chart begins: right of the ticks of its heights."""
    longest = max((len(tick.text) for tick in y.ticks), default=0)
    return round(_AIR + _LETTER * longest, 1)


def _frame_x(kind: Kind, values: Sequence[float], *, beside: Scale) -> Scale:
    return make_scale(
        values, _left_of(beside), WIDTH - _RIGHT, kind=kind, may_be_log=kind != "share"
    )  # fmt: skip


def _frame_y(kind: Kind, values: Sequence[float], *, may_be_log: bool = False) -> Scale:
    return make_scale(
        values, HEIGHT - _BOTTOM, _TOP, kind=kind, may_be_log=may_be_log
    )  # fmt: skip
