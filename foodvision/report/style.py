"""One look for all pictures: palette, fonts, and how a figure becomes a file.

matplotlib keeps its settings and fonts in global tables, and is not safe in threads. So every
picture is drawn inside `drawing()`: one at a time, from matplotlib's own defaults plus the settings
here (a user's matplotlibrc changes nothing), and what stood there before is put back. pyplot, and
with it any display, is never touched.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import threading
import unicodedata
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.style
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from foodvision.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from matplotlib.axes import Axes

# Okabe & Ito, "Color Universal Design" (2008): told apart with any colour vision.
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILION = "#d55e00"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
OLIVE = "#7a6c00"
INK = "#1f2328"
MUTED = "#5f6875"
FAINT = "#c4cad3"
GRID = "#e6e9ed"
WASH = "#f4f5f7"

RIGHT = BLUE
WRONG = VERMILION

DPI = 150
_PNG = {"compress_level": 4}  # of 9; by default 6: twice the time for 1 % fewer bytes
_HEADER_INCHES = 0.72
_MARGIN_INCHES = 0.16
_BETWEEN = " · "  # the parts of a label
_SHORTEST_PART = 8

_LATIN_FAMILY = "DejaVu Sans"
_JAPANESE_FAMILY = "IPAexGothic"
# Asked in this order for what the two above lack, where somebody installed them.
_OTHER_FAMILIES = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Noto Sans Thai",
    "Noto Sans Devanagari",
    "Noto Sans Symbols",
    "Noto Sans Symbols 2",
)

_SETTINGS: dict[str, Any] = {
    "text.parse_math": False,  # a class may be called "$5 pizza$"
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.solid_capstyle": "round",
    "hatch.linewidth": 0.6,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.facecolor": "white",
}

_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))  # "as a picture", "as text"

_one_at_a_time = threading.RLock()


@contextmanager
def drawing() -> Iterator[None]:
    """Hold matplotlib in the project's style; one picture at a time in a process."""
    with _one_at_a_time:
        families = list(_families())
        settings = {**_SETTINGS, "font.family": families}
        with matplotlib.style.context(settings, after_reset=True):
            yield


def new_figure(width: float, height: float, *, title: str, subtitle: str = "") -> Figure:
    """Return a figure with a headline; what is added to it stays below the headline.

    Args:
        width: inches.
        height: inches below the headline.
        title: what the picture is.
        subtitle: what to see in it.
    """
    total = height + _HEADER_INCHES
    figure = Figure(figsize=(width, total))
    figure.set_layout_engine(
        ConstrainedLayoutEngine(
            rect=(0, 0, 1, height / total), w_pad=0.1, h_pad=0.08, wspace=0.03, hspace=0.03
        )
    )
    left = _MARGIN_INCHES / width
    title = shorten(title, int(width * 8.6))
    subtitle = shorten(subtitle, int(width * 13))
    figure.text(left, 1 - 0.15 / total, title, size=13, weight="bold", va="top")
    figure.text(left, 1 - 0.43 / total, subtitle, size=9, color=MUTED, va="top")
    return figure


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a fixed place, all in inches; the figure no longer lays itself out."""
    figure.set_layout_engine("none")
    full_width, full_height = figure.get_size_inches()
    place = (left / full_width, bottom / full_height, width / full_width, height / full_height)
    return figure.add_axes(place)


def text_inches(texts: Iterable[str], size: float, *, weight: str = "normal") -> float:
    """Return the width of the widest of `texts`, written at `size` points, in inches."""
    figure = Figure(figsize=(1, 1))
    FigureCanvasAgg(figure)  # becomes the figure's, and measures for it
    drawn = [figure.text(0, 0, text, size=size, weight=weight) for text in texts]
    widths = [text.get_window_extent().width for text in drawn]
    return max(widths, default=0.0) / figure.get_dpi()


def fit(text: str, inches: float, size: float, *, weight: str = "normal") -> str:
    """Return `text`, shortened until it is at most `inches` wide at `size` points."""
    columns = max(int(inches * 72 / (size * 0.4)), 4)  # letters are rarely narrower
    short = shorten(text, columns)
    while columns > 4 and text_inches([short], size, weight=weight) > inches:
        columns -= 1
        short = shorten(text, columns)
    return short


def share_text(share: float) -> str:
    """Render a share in [0, 1] in whole percent; only what is nothing or all reads as such."""
    if 0 < share <= 0.005:  # Python rounds a half to the even neighbour
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else percent(share)


def save_picture(figure: Figure, path: Path) -> Path:
    """Write `figure` as PNG; equal figures give equal bytes.

    The file appears whole or not at all; missing folders are made.

    Args:
        figure: what to draw.
        path: where to; replaced if it is there.

    Returns:
        `path`.

    Raises:
        OSError: the folder cannot be written.
    """
    with replacing(path) as neighbour:
        # Without the entry, matplotlib's version would be part of the bytes.
        about = {"Software": None}
        figure.savefig(neighbour, format="png", metadata=about, pil_kwargs=_PNG)
    return path


def legible(text: str) -> str:
    """Return `text` on one line, with every character that no font has spelled out.

    Symbols are named (`[slice of pizza]`), letters get their code (`[U+997A]`).
    """
    normal = unicodedata.normalize("NFC", text)
    kept = (" " if char.isspace() else char for char in normal)
    visible = (
        char
        for char in kept
        if char not in _VARIATIONS and (_drawable(char) or not _is_invisible(char))
    )
    pieces = []
    for drawable, group in itertools.groupby(visible, key=_drawable):
        chars = tuple(group)
        pieces.append("".join(chars) if drawable else f"[{', '.join(map(_spelled, chars))}]")
    return " ".join("".join(pieces).split())


def shorten(text: str, columns: int) -> str:
    """Return `legible(text)` in at most `columns` columns, its middle cut if need be.

    The middle, because labels of one plan often begin alike; of a label with several parts that of
    the longest ones, so that the others still tell labels apart. East Asian wide characters take
    two.
    """
    text = legible(text)
    parts = text.split(_BETWEEN)
    rooms = _narrowed([_columns(part) for part in parts], columns - len(_BETWEEN) * len(parts[1:]))
    short = _BETWEEN.join(_cut(part, room) for part, room in zip(parts, rooms, strict=True))
    return short if _columns(short) <= columns else _cut(text, columns)


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Take from the widest, a column at a time, as long as that leaves something to read."""
    found = list(widths)
    while sum(found) > room and max(found) > _SHORTEST_PART:
        found[found.index(max(found))] -= 1
    return found


def _cut(text: str, columns: int) -> str:
    if _columns(text) <= columns:
        return text
    room = max(columns - 1, 2)
    head = _leading(text, (room * 3 + 2) // 5)
    tail = _leading(text[::-1], room - _columns(head))[::-1]
    return f"{head.rstrip()}…{tail.lstrip()}"


def percent(share: float, *, digits: int = 0) -> str:
    """Render a share in [0, 1] as people write it: `93 %`."""
    return f"{100 * share:.{digits}f} %"


def _leading(text: str, columns: int) -> str:
    taken = 0
    for position, char in enumerate(text):
        taken += _columns(char)
        if taken > columns:
            return text[:position]
    return text


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _drawable(char: str) -> bool:
    return ord(char) in _charmap() and unicodedata.category(char)[0] != "C"


def _is_invisible(char: str) -> bool:
    """Tell joiners and variation selectors, and marks, which are noise without their base."""
    return unicodedata.category(char) in {"Cf", "Mn"}


def _spelled(char: str) -> str:
    code = f"U+{ord(char):04X}"
    is_symbol = unicodedata.category(char).startswith("S")
    return unicodedata.name(char, code).lower() if is_symbol else code


@cache
def _charmap() -> frozenset[int]:
    """Return the code points that at least one font of ours can draw."""
    with _one_at_a_time:
        files = [_find_font(family) for family in _families()]
        return frozenset().union(*(font_manager.get_font(file).get_charmap() for file in files))


@cache
def _families() -> tuple[str, ...]:
    _register(_shipped_font())
    found = [family for family in _OTHER_FAMILIES if _is_installed(family)]
    for family in found:
        _pretend_bold(family)
    return (_LATIN_FAMILY, _JAPANESE_FAMILY, *found)


def _shipped_font() -> Path:
    # The package's own import would change matplotlib's default font: only its file is taken.
    spec = importlib.util.find_spec("matplotlib_fontja")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "pictures need the font of the package matplotlib-fontja, which is not installed; "
            "run `pip install matplotlib-fontja`"
        )
    return Path(spec.origin).parent / "fonts" / "ipaexg.ttf"


def _register(file: Path) -> None:
    if not _is_installed(_JAPANESE_FAMILY):
        font_manager.fontManager.addfont(file)
    _pretend_bold(_JAPANESE_FAMILY)


def _is_installed(family: str) -> bool:
    return any(entry.name == family for entry in font_manager.fontManager.ttflist)


def _pretend_bold(family: str) -> None:
    """Let the regular face stand in for a bold one that is missing; else matplotlib grumbles."""
    faces = [entry for entry in font_manager.fontManager.ttflist if entry.name == family]
    if not any(entry.weight in {700, "bold"} for entry in faces):
        font_manager.fontManager.ttflist.append(dataclasses.replace(faces[0], weight=700))


def _find_font(family: str) -> str:
    wanted = font_manager.FontProperties(family=[family])
    return str(font_manager.findfont(wanted, fallback_to_default=False))
