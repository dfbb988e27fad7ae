from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from foodvision.report import style
from foodvision.report.pictures import RankedBar, confusion_matrix, ranking_bars

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pizza", "pizza"),
        ("ピザ・寿司", "ピザ・寿司"),
        ("  two\n lines\t", "two lines"),
        ("🍕🍣 both", "[slice of pizza, sushi] both"),
        ("love ❤\ufe0f", "love ❤"),
        ("bell \x07", "bell [U+0007]"),
        ("\udc80", "[U+DC80]"),
        ("e\u0301", "é"),
        ("$x_1$", "$x_1$"),
    ],
)
def test_legible_keeps_what_fonts_have_and_spells_the_rest(text: str, wanted: str) -> None:
    assert style.legible(text) == wanted


@given(st.text(max_size=300), st.integers(4, 60))
def test_shortened_text_fits_and_can_be_drawn(text: str, columns: int) -> None:
    short = style.shorten(text, columns)
    assert style._columns(short) <= columns
    assert all(style._drawable(char) for char in short)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("resnet18 · lr 0.001 · seed 1", "resnet18 ·…· seed 1"),
        ("寿司" * 20, "寿司寿司寿…寿司寿司"),
        ("short", "short"),
        ("学習率は普通の値です · 2 epochs", "学習…です · 2 epochs"),
        ("a rather long name · lr 0.1 · seed 1", "a rather lo…· seed 1"),
    ],
)
def test_the_middle_goes_first(text: str, wanted: str) -> None:
    assert style.shorten(text, 20) == wanted


@pytest.mark.parametrize(
    ("share", "wanted"),
    [
        (0.0, "0 %"),
        (0.001, "<1 %"),
        (0.005, "<1 %"),
        (0.5, "50 %"),
        (0.999, ">99 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_read_as_nothing_or_all_only_where_they_are(share: float, wanted: str) -> None:
    assert style.share_text(share) == wanted


def _draw(path: Path, name: str = "ピザ") -> bytes:
    return confusion_matrix(np.eye(2, dtype=int), [name, "b"], path).read_bytes()


def test_japanese_names_are_drawn_with_glyphs_of_their_own(tmp_path: Path) -> None:
    # As boxes, all names of two characters would look alike.
    assert _draw(tmp_path / "a.png", "寿司") != _draw(tmp_path / "b.png", "牛肉")


def test_equal_data_gives_equal_bytes_whatever_the_user_set(tmp_path: Path) -> None:
    first = _draw(tmp_path / "a.png")
    mine = {"font.size": 30, "text.parse_math": True, "savefig.dpi": 20, "image.cmap": "jet"}
    with matplotlib.rc_context({**mine, "lines.antialiased": False, "axes.labelpad": 20}):
        assert _draw(tmp_path / "b.png") == first


def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    _draw(tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before


def test_pictures_drawn_in_threads_are_the_same(tmp_path: Path) -> None:
    names = ["ピザ", "steak", "寿司", "$5"]
    alone = [_draw(tmp_path / f"alone-{i}.png", name) for i, name in enumerate(names)]
    with ThreadPoolExecutor(4) as pool:
        paths = [tmp_path / f"thread-{i}.png" for i in range(len(names))]
        assert list(pool.map(_draw, paths, names)) == alone


def test_one_picture_at_a_time() -> None:
    entered = threading.Event()

    def enter() -> None:
        with style.drawing():
            entered.set()

    with style.drawing():
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.2)
    other.join()
    assert entered.is_set()


def test_a_picture_says_nothing_of_versions_and_has_its_resolution(tmp_path: Path) -> None:
    _draw(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert set(image.info) == {"dpi"}
        assert round(image.info["dpi"][0]) == style.DPI


def test_a_failed_picture_leaves_the_old_one_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    old = _draw(path)

    class BrokenFigure(Figure):
        def savefig(self, *args: object, **kwargs: object) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        style.save_picture(BrokenFigure(), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folders_are_made_and_the_file_is_an_ordinary_one(folder: Path) -> None:
    path = folder / "deep" / "ranking.png"
    assert ranking_bars([RankedBar("a", 0.5)], path, metric="test accuracy") == path
    ordinary = folder / "ordinary"
    ordinary.touch()
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_pictures_need_neither_a_display_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy; from foodvision.report.pictures import confusion_matrix;"
        "from pathlib import Path; from matplotlib import rcParams;"
        "before = list(rcParams['font.family']);"
        "confusion_matrix(numpy.eye(2, dtype=int), ['ピザ', 'b'], Path(sys.argv[1]));"
        "assert before == rcParams['font.family'], rcParams['font.family'];"
        "bad = {'matplotlib.pyplot', 'matplotlib_fontja', 'torch'} & set(sys.modules);"
        "assert not bad, bad"
    )
    target = str(tmp_path / "a.png")
    command = [sys.executable, "-W", "error", "-c", code, target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
