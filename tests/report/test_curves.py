from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from foodvision.report import style
from foodvision.report.curves import Curve, learning_curves
from tests.report.looks import NASTY_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.looks import Gallery

NAN, INF = math.nan, math.inf


def _cell(label: str, accuracy: float = 0.8, *, epochs: int = 5, best: bool = False) -> list[Curve]:
    numbers = range(1, epochs + 1)
    return [
        Curve(
            label,
            split,
            list(numbers),
            [1 / (epoch + penalty) for epoch in numbers],
            [accuracy * epoch / epochs - 0.1 * penalty for epoch in numbers],
            is_best=best,
        )
        for split, penalty in (("train", 0.0), ("test", 1.0))
    ]


def _cells(count: int) -> list[Curve]:
    cells = [_cell(f"cell {i}", 0.2 + 0.7 * i / count, best=i == count - 1) for i in range(count)]
    return [curve for cell in cells for curve in cell]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 60])
def test_every_number_of_cells_fits_into_the_picture(
    count: int, folder: Path, gallery: Gallery
) -> None:
    path = learning_curves(_cells(count), folder / "curves.png")
    assert path.stat().st_size > 1000
    assert gallery.clipped_texts() == []
    named = sum(f"cell {i}" in gallery.all_text() for i in range(count))
    assert named >= min(count, 8)


def test_odd_names_are_drawn_in_legend_and_headline(folder: Path, gallery: Gallery) -> None:
    curves = [curve for name in NASTY_NAMES for curve in _cell(name)]
    learning_curves(curves, folder / "curves.png")
    for start in range(0, len(NASTY_NAMES), 3):
        few = [c for name in NASTY_NAMES[start : start + 3] for c in _cell(name, best=True)]
        learning_curves(few, folder / f"{start}.png")
        assert gallery.clipped_texts() == []


def test_one_cell_has_train_and_test_in_the_same_panel(folder: Path, gallery: Gallery) -> None:
    learning_curves(_cell("only"), folder / "curves.png")
    loss, accuracy = gallery.figure.axes
    assert [len(axes.lines) for axes in (loss, accuracy)] == [2, 2]
    train, test = accuracy.lines
    assert (train.get_linestyle(), test.get_linestyle()) == ("--", "-")
    assert train.get_color() != test.get_color()
    assert [text.get_text() for text in gallery.figure.legends[0].get_texts()] == ["train", "test"]


def test_many_cells_share_the_scale_of_train_and_test(folder: Path, gallery: Gallery) -> None:
    learning_curves(_cells(8), folder / "curves.png")
    titles = [axes.get_title(loc="left") for axes in gallery.figure.axes]
    assert titles[:4] == ["Loss, train", "Loss, test", "Accuracy, train", "Accuracy, test"]
    train, test = gallery.figure.axes[2:4]
    assert train.get_ylim() == test.get_ylim()


def test_the_winner_stands_out_and_leads_the_legend(folder: Path, gallery: Gallery) -> None:
    curves = [*_cell("loser", 0.9), *_cell("winner", 0.5, best=True)]
    curves += [*_cell("third", 0.4), *_cell("fourth", 0.3)]
    learning_curves(curves, folder / "curves.png")
    legend = gallery.figure.axes[-1].get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert [name.split()[-1] for name in names] == ["winner", "loser", "third", "fourth"]
    assert names[0].startswith("40.0 %  ★")
    widths = {line.get_color(): line.get_linewidth() for line in gallery.figure.axes[0].lines}
    assert widths[style.BLUE] == max(widths.values())
    assert sorted(widths.values())[-2] < widths[style.BLUE]


def test_beyond_eight_cells_the_rest_is_grey_and_counted(folder: Path, gallery: Gallery) -> None:
    learning_curves(_cells(20), folder / "curves.png")
    panel = gallery.figure.axes[0]
    (others,) = panel.collections
    assert isinstance(others, LineCollection)
    assert [len(points) for points in others.get_segments()] == [5] * 12
    assert to_hex(others.get_colors()[0]) == style.FAINT  # type: ignore[index, arg-type]
    assert len({line.get_color() for line in panel.lines}) == len(panel.lines) == 8
    assert "12 others" in gallery.all_text()


def test_others_that_diverged_end_with_crosses_too(folder: Path, gallery: Gallery) -> None:
    wild = [Curve(f"wild {i}", "test", [1, 2], [float(i + 2), INF], [0.1, 0.1]) for i in range(3)]
    learning_curves([*_cells(9), *wild], folder / "curves.png")
    crosses = [line for line in gallery.figure.axes[1].lines if line.get_marker() == "x"]
    (found,) = (line.get_xydata().tolist() for line in crosses)
    assert sorted(found) == [[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]]


def test_a_diverged_curve_ends_with_a_cross_and_ranks_last(folder: Path, gallery: Gallery) -> None:
    wild = [
        Curve("wild", split, [1, 2, 3], [2.0, 900.0, INF], [0.99, 0.99, 0.99])
        for split in ("train", "test")
    ]
    learning_curves([*wild, *_cells(4)], folder / "curves.png")
    assert "1 diverged (✕)" in gallery.all_text()
    legend = gallery.figure.axes[-1].get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "diverged  wild"
    panel = gallery.figure.axes[0]
    crosses = [line for line in panel.lines if line.get_marker() == "x"]
    assert [tuple(line.get_xydata()[0]) for line in crosses] == [(2.0, 900.0)]
    accuracies = [line for line in gallery.figure.axes[2].lines if line.get_marker() == "x"]
    assert [tuple(line.get_xydata()[0]) for line in accuracies] == [(2.0, 0.99)]
    assert panel.get_yscale() == "log"  # else 900 would flatten all others


@pytest.mark.parametrize("loss", [[NAN, NAN], [0.0, 0.0], [INF, 1.0]])
def test_losses_without_a_scale_still_give_a_picture(loss: list[float], folder: Path) -> None:
    curves = [Curve("odd", split, [1, 2], loss, [0.5, 0.5]) for split in ("train", "test")]
    assert learning_curves(curves, folder / "curves.png").exists()


def test_accuracy_is_never_cut_off(folder: Path, gallery: Gallery) -> None:
    curve = Curve("good", "test", [1, 2], [0.1, 0.1], [0.61, 1.0])
    learning_curves([curve], folder / "curves.png")
    bottom, top = gallery.figure.axes[1].get_ylim()
    assert bottom == pytest.approx(0.5)
    assert top > 1


def test_a_single_epoch_is_a_dot(folder: Path, gallery: Gallery) -> None:
    learning_curves([c for i in range(12) for c in _cell(f"c{i}", epochs=1)], folder / "curves.png")
    assert all(line.get_marker() not in {"", "None"} for line in gallery.figure.axes[0].lines)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (Curve("a", "holdout", [1], [1.0], [0.5]), "one of train, valid, test, got 'holdout'"),
        (Curve("a", "test", [1, 2], [1.0], [0.5, 0.6]), "equally long, got 2, 1 and 2"),
    ],
)
def test_wrong_curves_are_refused(curve: Curve, message: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=message):
        learning_curves([curve], folder / "curves.png")
