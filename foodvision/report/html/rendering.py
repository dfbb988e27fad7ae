"""The report as one HTML file: templates, style and script put together, texts escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from foodvision.files import replacing
from foodvision.hashing import digest
from foodvision.report.html import charts, texts
from foodvision.report.html.thumbnails import thumbnail

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.report.html.contents import Confusion, Report

_PACKAGE = "foodvision.report.html"
_MOST_CLASSES = 30  # of a confusion matrix that is shown whole
_MOST_PAIRS = 15


def write_report(report: Report, path: Path) -> Path:
    """Write a report as one file, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    text = render_report(report)
    with replacing(path) as neighbour:
        neighbour.write_text(text, encoding="utf-8")
    return path


def render_report(report: Report) -> str:
    """Return a report as HTML that asks nothing of any network."""
    script = _read("script.js")
    return _environment().get_template("report.html.j2").render(
        report=report,
        style=Markup(_read("style.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        facts=_facts(report),
        axes=report.axes,
        splits=charts.splits_of(report.curves),
        learning=charts.learning_charts(report.curves) if report.curves else [],
        pareto=charts.pareto_charts(report.entries, report.columns),
        forest=charts.forest(report.entries),
        effects=_effect_rows(report),
    )  # fmt: skip


def look_digest() -> str:
    """Return what every report depends on beside its contents: this package, file by file."""
    package = files(_PACKAGE)
    found = [*package.iterdir(), *(package / "templates").iterdir()]
    texts_by_name = {file.name: file.read_text("utf-8") for file in found if file.is_file()}
    return digest(sorted(texts_by_name.items()))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": texts.number,
        "points": texts.points,
        "chance": texts.chance,
        "percent": texts.percent,
        "moment": texts.moment,
        "thumbnail": thumbnail,
        "pairs": _confused_pairs,
        "reliability": charts.reliability_chart,
    }
    environment.globals |= {
        "chart_width": charts.WIDTH,
        "chart_height": charts.HEIGHT,
        "most_classes": _MOST_CLASSES,
    }
    return environment


def _read(name: str) -> str:
    return (files(_PACKAGE) / "templates" / name).read_text("utf-8")


def _facts(report: Report) -> dict[str, Any]:
    """Return what the page's script knows: axes with their values, and every entry's."""
    return {
        "axes": {name: list(values) for name, values in report.axes.items()},
        "entries": [
            {"label": entry.label, "axes": dict(entry.axes), "status": entry.status}
            for entry in report.entries
        ],
    }


def _effect_rows(report: Report) -> list[tuple[Any, list[Any]]]:
    """Return each axis with the places of its effects, all on one scale."""
    places = iter(
        charts.effect_intervals(
            [value.effect for effect in report.effects for value in effect.values]
        )
    )
    return [(effect, [next(places) for _ in effect.values]) for effect in report.effects]


def _confused_pairs(confusion: Confusion) -> list[tuple[str, str, int]]:
    """Return the classes that are mixed up most: the true one, the named one, how often."""
    found = [
        (confusion.classes[row], confusion.classes[column], count)
        for row, counts in enumerate(confusion.counts)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    return sorted(found, key=lambda pair: -pair[2])[:_MOST_PAIRS]
