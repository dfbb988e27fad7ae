from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from matplotlib.patches import Rectangle

from foodvision.report import style
from foodvision.report.ranking import RankedBar, ranking_bars
from tests.report.looks import NASTY_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from tests.report.looks import Gallery


def _rows(count: int) -> list[RankedBar]:
    return [
        RankedBar(f"cell {i} · with a label", 0.95 - 0.005 * i, i == 0, detail="12 s · 4.0 M")
        for i in range(count)
    ]


def _bars(figure: Figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


@pytest.mark.parametrize("count", [0, 1, 8, 40, 41])
def test_every_number_of_cells_fits_into_the_picture(
    count: int, folder: Path, gallery: Gallery
) -> None:
    path = ranking_bars(_rows(count), folder / "ranking.png", metric="test accuracy")
    assert path.exists()
    assert gallery.clipped_texts() == []
    assert (f"… {count - 40} more" in gallery.texts()) == (count > 40)


def test_odd_names_are_drawn(folder: Path, gallery: Gallery) -> None:
    rows = [RankedBar(name, 1.0, detail=name, is_best=True) for name in NASTY_NAMES]
    ranking_bars(rows, folder / "ranking.png", metric="test accuracy")
    assert gallery.clipped_texts() == []


def test_bars_begin_at_zero_and_are_as_long_as_their_values(folder: Path, gallery: Gallery) -> None:
    ranking_bars(_rows(3), folder / "ranking.png", metric="test accuracy")
    bars = _bars(gallery.figure)
    assert [bar.get_x() for bar in bars] == [0, 0, 0]
    assert [bar.get_width() for bar in bars] == pytest.approx([0.95, 0.945, 0.94])
    assert gallery.figure.axes[0].get_xlim() == (0, 1)
    assert {"95.0 %", "94.5 %", "94.0 %"} <= set(gallery.texts())


def test_losses_are_numbers_with_a_scale_of_their_own(folder: Path, gallery: Gallery) -> None:
    rows = [RankedBar("a", 0.25, is_best=True), RankedBar("b", 3.14159)]
    ranking_bars(rows, folder / "ranking.png", metric="test loss")
    low, high = gallery.figure.axes[0].get_xlim()
    assert low == 0
    assert high > 3.14
    assert {"0.25", "3.142"} <= set(gallery.texts())


def test_the_winner_is_marked_by_star_weight_and_colour(folder: Path, gallery: Gallery) -> None:
    ranking_bars(_rows(2), folder / "ranking.png", metric="test.accuracy")
    assert "Ranking by test accuracy" in gallery.texts()
    first, second = gallery.figure.axes[0].get_yticklabels()
    assert first.get_text().startswith("★ cell 0")
    assert (first.get_fontweight(), second.get_fontweight()) == ("bold", "normal")
    best, other = _bars(gallery.figure)
    assert best.get_facecolor() != other.get_facecolor()
    assert "★ cell 0 · with a label: 95.0 % · 2 cells" in gallery.texts()


@pytest.mark.parametrize(
    ("status", "value", "words"),
    [
        ("failed", None, "✗ failed"),
        ("pending", None, "not trained yet"),
        ("diverged", math.nan, "⚠ diverged"),
        ("diverged", 0.1, "⚠ diverged"),
        ("collapsed", 0.33, "⚠ one class for everything"),
    ],
)
def test_what_went_wrong_is_said(
    status: str, value: float | None, words: str, folder: Path, gallery: Gallery
) -> None:
    rows = [*_rows(1), RankedBar("bad", value, status=status, detail="why it is so")]
    ranking_bars(rows, folder / "ranking.png", metric="test accuracy")
    assert {words, "why it is so"} <= set(gallery.texts())
    assert f"1 {status}" in gallery.all_text()
    hatched = [bar for bar in _bars(gallery.figure) if bar.get_hatch()]
    assert len(hatched) == (value is not None and math.isfinite(value))
    assert gallery.clipped_texts() == []


def test_a_winner_beyond_the_last_row_is_shown_all_the_same(folder: Path, gallery: Gallery) -> None:
    rows = [RankedBar(f"cell {i}", 0.5, is_best=i == 70, status="completed") for i in range(99)]
    rows.append(RankedBar("broken", None, status="failed"))
    ranking_bars(rows, folder / "ranking.png", metric="test accuracy")
    labels = [label.get_text() for label in gallery.figure.axes[0].get_yticklabels()]
    assert labels[-3:] == ["cell 38", "★ cell 70", "… 60 more"]
    assert gallery.texts().count("1 failed") == 1


def test_all_cells_failed(folder: Path, gallery: Gallery) -> None:
    rows = [RankedBar(f"cell {i}", None, status="failed") for i in range(3)]
    ranking_bars(rows, folder / "ranking.png", metric="test loss")
    assert "3 cells · 3 failed" in gallery.texts()
    assert style.BLUE not in {bar.get_facecolor() for bar in _bars(gallery.figure)}


def test_long_labels_stay_apart(folder: Path, gallery: Gallery) -> None:
    labels = [f"{'学習率は普通の値です' * 3} · {epochs} epochs · seed 42" for epochs in (2, 3)]
    bars = [RankedBar(label, value) for label, value in zip(labels, (0.09764, 2e6), strict=True)]
    ranking_bars(bars, folder / "ranking.png", metric="seconds")
    shown = [label.get_text() for label in gallery.figure.axes[0].get_yticklabels()]
    assert [text.split(" · ")[1:] for text in shown] == [
        [f"{epochs} epochs", "seed 42"] for epochs in (2, 3)
    ]
    assert "0.0976 s" in gallery.texts()
    ranking_bars(bars, folder / "params.png", metric="params")
    assert {"2,000,000", "parameters"} <= set(gallery.texts())


def test_another_title_may_be_said(folder: Path, gallery: Gallery) -> None:
    rows = [RankedBar("a", 2.5, is_best=True), RankedBar("b", 60.0)]
    ranking_bars(rows, folder / "times.png", metric="seconds", title="Training times")
    assert "Training times" in gallery.texts()
    assert "Ranking by seconds" not in gallery.texts()
    assert {"2.5 s", "1 min 0 s", "seconds"} <= set(gallery.texts())
    assert gallery.clipped_texts() == []
