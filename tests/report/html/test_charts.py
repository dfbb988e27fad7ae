from __future__ import annotations

from foodvision.report.html import charts
from foodvision.report.html.contents import Column, Curve, Entry, Estimate, Figure

_COLUMNS = [Column("test_accuracy", "Test accuracy", "share"), Column("params", "Size", "count")]


def _entry(rank: int | None, accuracy: float, cost: float, label: str = "cell") -> Entry:
    figures = {"test_accuracy": Figure(accuracy), "params": Figure(cost)}
    return Entry(rank, label, "trained", {}, "completed", None, figures)


def _curve(entry: int, *accuracies: float | None) -> Curve:
    none = [None] * len(accuracies)
    values: dict[str, list[float | None]] = {
        f"{part}_{name}": list(none)
        for part in ("train", "valid", "test")
        for name in ("accuracy", "loss")
    }
    values["test_accuracy"] = list(accuracies)
    return Curve(entry, f"cell {entry}", range(1, len(accuracies) + 1), values)


def test_the_front_is_what_nothing_beats() -> None:
    entries = [
        _entry(1, 0.95, 300, "best"),
        _entry(2, 0.95, 500, "no better for more"),
        _entry(3, 0.90, 100, "cheap"),
        _entry(4, 0.90, 100, "as cheap"),
        _entry(5, 0.85, 200, "beaten"),
        _entry(None, 0.99, 1, "no rank"),
    ]
    (chart,) = charts.pareto_charts(entries, _COLUMNS)
    assert [point.label for point in chart.on_front] == ["cheap", "as cheap", "best"]
    assert len(chart.points) == 5
    assert chart.front.startswith(f"M{chart.on_front[0].x:g},{chart.on_front[0].y:g}H")
    assert next(point for point in chart.points if point.is_best).label == "best"


def test_a_chart_begins_where_the_longest_tick_of_its_heights_ends() -> None:
    def chart(*accuracies: float) -> charts.ScatterChart:
        entries = [_entry(n, share, n) for n, share in enumerate(accuracies, start=1)]
        (found,) = charts.pareto_charts(entries, _COLUMNS)
        return found

    wide, narrow = chart(0.2, 0.9), chart(0.9067, 0.92)
    assert max(len(tick.text) for tick in wide.y.ticks) == len("80 %")
    assert max(len(tick.text) for tick in narrow.y.ticks) == len("91.5 %")
    assert narrow.x.start > wide.x.start


def test_a_cost_that_is_the_same_for_all_is_not_drawn() -> None:
    assert charts.pareto_charts([_entry(1, 0.9, 5), _entry(2, 0.8, 5)], _COLUMNS) == []


def test_curves_leave_out_what_is_not_known() -> None:
    curves = [_curve(0, 0.5, None, 0.9), _curve(1, None, None, None)]
    accuracy, loss = charts.learning_charts(curves)
    (line,) = accuracy.lines
    assert line.is_best
    assert len(line.points.split()) == 2
    assert loss.lines == []
    assert charts.splits_of(curves) == {"test": "test"}


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    accuracy, _ = charts.learning_charts([_curve(0, *(n / 1000 for n in range(1000)))])
    points = accuracy.lines[0].points.split()
    assert len(points) <= 81
    assert points[-1].startswith(f"{accuracy.x.place(1000):g},")


def test_intervals_stand_on_one_scale() -> None:
    entries = [_entry(1, 0.9, 1), _entry(2, 0.8, 1), _entry(None, 0.5, 1)]
    scores = (Estimate(0.9, 0.88, 0.92), Estimate(0.8, 0.7, 0.9), None)
    drawn = charts.forest(
        [
            Entry(e.rank, e.label, e.kind, e.axes, e.status, e.note, e.figures, score=score)
            for e, score in zip(entries, scores, strict=True)
        ]
    )
    first, second, third = drawn
    assert first is not None
    assert second is not None
    assert third is None
    assert first.reference == second.reference == first.value
    assert second.low < second.value < second.high == first.value
