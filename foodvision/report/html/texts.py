"""How the report writes numbers and times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from foodvision.report.tables import duration, file_size

if TYPE_CHECKING:
    from datetime import datetime

    from foodvision.report.html.contents import Kind

NOTHING = "–"


def number(value: float | None, kind: Kind) -> str:
    """Render a figure of a table; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if kind == "points":
        return points(value)
    if kind == "seconds":
        return duration(value)
    if kind == "milliseconds":
        return f"{value:.3g} ms"
    if kind == "bytes":
        return file_size(value)
    return scaled(value) if kind == "count" else f"{value:.4f}"


def short_number(value: float, kind: Kind) -> str:
    """Render a round value beside a tick."""
    if kind == "share":
        return f"{100 * value:.4g} %"
    if kind == "seconds" and value < 60:
        return f"{value:.3g} s"
    if kind in {"seconds", "milliseconds", "bytes"}:
        return number(value, kind).removesuffix(" 0 s").removesuffix(" 0 min")
    return scaled(value) if kind == "count" else f"{value:.3g}"


def points(value: float) -> str:
    """Render a difference of shares in points of a hundred, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def scaled(value: float) -> str:
    """Render a count: `812`, `25.6 M`."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f}"


def chance(value: float | None) -> str:
    """Render a probability; only what is certain reads as such."""
    if value is None:
        return NOTHING
    if 0 < value < 0.01:
        return "<0.01"
    return ">0.99" if 0.99 < value < 1 else f"{value:.2f}"


def percent(share: float) -> str:
    """Render a share in percent."""
    return f"{100 * share:.1f} %"


def moment(at: datetime) -> str:
    """Render a time in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
