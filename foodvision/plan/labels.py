"""Pieces of work, named for people. In ASCII: the timeline of Prefect's pages leaves others out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.plan.views import View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foodvision.plan.graph import Span
    from foodvision.plan.work import RowsJob


def rows_label(job: RowsJob) -> str:
    """Name rows to compute: `features mobilenet_v2, 225 images`."""
    count = f"{len(job.missing):,} images"
    if job.recipe.kind == "pixels":
        return f"pixels {job.recipe.settings['size']} px, {count}"
    view = job.recipe.settings.get("view")
    seen = f", {View.from_json(view).text}" if view else ""
    return f"features {job.recipe.settings['model']['arch']}{seen}, {count}"


def span_label(span: Span) -> str:
    """Name a span to train: `train mobilenet_v2, epochs 6-10`."""
    arch = span.phase.settings.model.arch
    if span.first_epoch == span.last_epoch:
        return f"train {arch}, epoch {span.first_epoch}"
    return f"train {arch}, epochs {span.first_epoch}-{span.last_epoch}"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Name things in a sentence, at most so many of them: `a, b and 3 more`."""
    known = list(names)
    rest = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(known[:most]) + rest
