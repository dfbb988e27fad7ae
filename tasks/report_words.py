"""What a report says in words, and in its first figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.report.html.contents import KeyFigure
from foodvision.report.tables import file_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.report.html.contents import AxisEffect, Entry, Winner, Work
    from tasks.certainty import Judged
    from warehouse.reading import GpuUse

# Quantities of work, as people call them.
WORK = {
    "epochs": "epochs trained",
    "steps": "optimiser steps",
    "train_images": "images trained on",
    "prefix_images": "images through a frozen prefix",
    "decoded_images": "images decoded",
    "scored_images": "images scored",
    "bytes_written": "bytes of rows written",
}
_NAMED_AXES = 3


def metric_words(metric: str) -> str:
    """Return a metric of `rank` as people say it: `validation accuracy`."""
    words = {"seconds": "seconds of training", "params": "number of parameters"}
    parts = {"valid": "validation", "train": "training"}
    part, _, name = metric.partition(".")
    return words.get(metric) or f"{parts.get(part, part)} {name}"


def gpu_words(gpu: GpuUse) -> str:
    """Say what a GPU did: `NVIDIA H200, busy 43 % on average, at most 12.3 GB, 61 °C, 312 W`."""
    most = [
        told
        for value, told in (
            (gpu.most_memory_bytes, file_size(gpu.most_memory_bytes)),
            (gpu.most_celsius, f"{gpu.most_celsius or 0:.0f} °C"),
            (gpu.most_watts, f"{gpu.most_watts or 0:.0f} W"),
        )
        if value is not None
    ]
    parts = [gpu.gpu_name or "no name"]
    if gpu.mean_busy_percent is not None:
        parts.append(f"busy {gpu.mean_busy_percent:.0f} % on average")
    if most:
        parts.append(f"at most {', '.join(most)}")
    return ", ".join(parts)


def summarize(
    entries: Sequence[Entry],
    judged: Judged | None,
    effects: Sequence[AxisEffect],
    *,
    by: str,
    winner: Winner | None,
    hard: int,
    suspects: int,
    work: Sequence[Work],
) -> list[str]:
    """Return what the report comes to, in a few paragraphs."""
    paragraphs = (
        _first(entries, by, winner),
        judged.sentences() if judged else [],
        _what_mattered(effects, judged.score if judged else "accuracy"),
        [*_images(hard, suspects), *_saved(work), *_problems(entries)],
    )
    return [" ".join(sentences) for sentences in paragraphs if sentences]


def describe_key_figures(
    entries: Sequence[Entry], judged: Judged | None, winner: Winner | None, work: Sequence[Work]
) -> list[KeyFigure]:
    """Return the figures to see first; none where nothing has a rank."""
    figures = []
    if winner is not None and winner.images:
        share = 1 - winner.wrong / winner.images
        images = f"{winner.images:,} test images"
        figures.append(KeyFigure(_percent(share), f"of {images} right, by the winner"))
    ranked = sum(entry.rank is not None for entry in entries)
    if judged is not None and ranked > 1:
        chance = f"{judged.winner.chance:.2f}"
        figures.append(
            KeyFigure(chance, f"chance that it is the best of {ranked} on the test images")
        )
        figures.append(KeyFigure(str(len(judged.tied)), "cannot be told from it"))
    epochs = next((line for line in work if line.name == "epochs trained"), None)
    if epochs is not None and epochs.alone and epochs.counted is not None:
        figure = f"{_had_to_run(epochs):,} of {epochs.alone:,}"
        figures.append(KeyFigure(figure, "epochs had to run"))
    return figures


def _first(entries: Sequence[Entry], by: str, winner: Winner | None) -> list[str]:
    ranked = [entry for entry in entries if entry.rank is not None]
    if not ranked or winner is None:
        return ["No cell has a result yet."]
    others = f"of {len(ranked)}, " if len(ranked) > 1 else ""
    right = winner.images - winner.wrong
    seeds = ", with the first of its seeds" if ranked[0].seeds else ""
    sentences = [f"{ranked[0].label} ranks first {others}by {metric_words(by)}."]
    if winner.images:
        sentences.append(
            f"It classifies {right:,} of {winner.images:,} test images rightly{seeds}: "
            f"{_percent(right / winner.images)}."
        )
    return sentences


def _what_mattered(effects: Sequence[AxisEffect], score: str) -> list[str]:
    real = [effect for effect in effects if effect.is_more_than_noise]
    if not effects:
        return []
    if not real:
        return ["No axis did more than chance does."]
    named = ", then ".join(
        f"{effect.name} ({_span(effect.span, score)} between its best and worst value)"
        for effect in real[:_NAMED_AXES]
    )
    rest = len(effects) - len(real)
    noise = {0: "", 1: " One other axis did no more than chance does."}
    return [
        f"What mattered most: {named}."
        + noise.get(rest, f" The {rest} other axes did no more than chance does.")
    ]


def _images(hard: int, suspects: int) -> list[str]:
    if not hard:
        return []
    images = "1 test image is" if hard == 1 else f"{hard:,} test images are"
    labels = {0: "", 1: "; 1 label looks wrong"}
    more = labels.get(suspects, f"; {suspects:,} labels look wrong")
    return [f"{images} wrong in at least half of the models{more}."]


def _saved(work: Sequence[Work]) -> list[str]:
    epochs = next((line for line in work if line.name == "epochs trained"), None)
    if epochs is None or not epochs.alone or epochs.counted is None:
        return []
    saved = (
        f"Trained one by one, the cells are {epochs.alone:,} epochs; compiled, "
        f"{_had_to_run(epochs):,} had to run."
    )
    return [f"{saved} {epochs.fallen}." if epochs.fallen else saved]


def _had_to_run(epochs: Work) -> int:
    """Return the epochs that were left to train: what fell away was not saved by compiling."""
    found = epochs.predicted if epochs.fallen else epochs.counted
    return found or 0


def _problems(entries: Sequence[Entry]) -> list[str]:
    counts: dict[str, int] = {}
    for entry in entries:
        if entry.status != "completed":
            counts[entry.status] = counts.get(entry.status, 0) + 1
    return [
        f"{count} {'cell' if count == 1 else 'cells'} {_IS.get(status, status)}."
        for status, count in counts.items()
    ]


_IS = {"pending": "not done yet"}


def _span(span: float, score: str) -> str:
    return f"{100 * span:.1f} points" if score == "accuracy" else f"{span:.4f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
