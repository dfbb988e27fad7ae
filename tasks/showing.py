"""Show what a plan trains on: contact sheets of its data, and of what it makes of the images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from foodvision.data.selection import select
from foodvision.data.transforms import Transform, to_pixels
from foodvision.hashing import digest
from foodvision.plan.expand import expand
from foodvision.plan.phases import phase_steps
from tasks.facts import LibraryFacts
from tasks.plan_data import fetch_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from foodvision.data.datasets import Dataset
    from foodvision.data.selection import Selection
    from foodvision.home import Home
    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from foodvision.progress import Progress

_IMAGES = 6
_EPOCHS = 6
_NAME_BYTES = 200
_CHANGING = ("augment", "mix", "transform", "phases")


@dataclass(frozen=True)
class Sheet:
    """A picture.

    Attributes:
        shows: `data`, or `changes` of training images.
        data: name of the data set.
        what: in words.
        picture: the PNG.
    """

    shows: Literal["data", "changes"]
    data: str
    what: str
    picture: Path


@dataclass(frozen=True)
class _Change:
    """One way in which a plan changes training images.

    Attributes:
        label: of the choices that make it, or empty.
        settings: of the first cell (in one of its phases) that has it.
    """

    label: str
    settings: CellSettings


def show_plan(plan: Plan, home: Home, *, progress: Progress) -> list[Sheet]:
    """Draw contact sheets of a plan; its data is fetched where it is not here yet.

    Args:
        plan: the plan.
        home: whose `reports` get the pictures.
        progress: told of what is fetched.

    What cannot be had is left out, with a warning.

    Raises:
        DataError: no data set can be had.
        PlanError: a cell's transform cannot be resolved.
    """
    datasets = fetch_all(plan, home, progress=progress).found
    folder = home.reports / plan.name / "show"
    sheets = [_data_sheet(name, dataset, folder) for name, dataset in datasets.items()]
    facts = LibraryFacts(home=home, base=plan.folder, datasets=datasets)
    cells = [cell for cell in expand(plan) if cell.settings.data.name in datasets]
    changes = _changes(cells, facts)
    return sheets + [
        _change_sheet(change, number if len(changes) > 1 else None, datasets, facts, folder)
        for number, change in enumerate(changes, start=1)
    ]


# -- data -------------------------------------------------------------------------------------


def _data_sheet(name: str, dataset: Dataset, folder: Path) -> Sheet:
    from foodvision.report.contact import MAX_CLASSES, MAX_IMAGES, ClassRow, class_sheet

    training = select(dataset, "train")
    counts = _counts(dataset)
    rows = [
        ClassRow(
            name=class_name,
            detail=f"{counts['train', label]:,} train · {counts['test', label]:,} test",
            images=[dataset.read(int(row)) for row in _rows(training, label)[:MAX_IMAGES]],
        )
        for label, class_name in enumerate(dataset.classes[:MAX_CLASSES])
    ]
    train, test = (
        sum(n for (part, _), n in counts.items() if part == s) for s in ("train", "test")
    )
    what = f"{train:,} training and {test:,} test images of {len(dataset.classes)} classes"
    picture = folder / f"{_file_name(f'data {name}')}.png"
    class_sheet(rows, picture, title=name, subtitle=what, classes=len(dataset.classes))
    return Sheet("data", name, what, picture)


def _counts(dataset: Dataset) -> Counter[tuple[str, int]]:
    columns = (dataset.table.column(name).to_pylist() for name in ("split", "label"))
    return Counter(zip(*columns, strict=True))


def _rows(selection: Selection, label: int) -> np.ndarray:
    """Return the rows of a class, in an order that only the images themselves decide."""
    rows: np.ndarray = selection.rows[selection.labels == label]
    return rows


# -- changes ----------------------------------------------------------------------------------


def _changes(cells: Sequence[Cell], facts: LibraryFacts) -> list[_Change]:
    """Return every way in which cells change training images, each once."""
    found: dict[str, _Change] = {}
    for cell in cells:
        for step in phase_steps(cell.settings):
            if step.settings.is_random:
                found.setdefault(
                    _identity(step.settings, facts), _Change(_label(cell), step.settings)
                )
    return list(found.values())


def _identity(settings: CellSettings, facts: LibraryFacts) -> str:
    transform = dict(facts.transform(settings))
    return digest([settings.model_dump(mode="json", include={"augment", "mix"}), transform])


def _label(cell: Cell) -> str:
    """Return the labels of the choices that may act on how images are changed."""
    labels = [label for path, label in cell.axes.items() if path.split(".")[0] in _CHANGING]
    return " · ".join(dict.fromkeys(labels))


def _change_sheet(
    change: _Change,
    number: int | None,
    datasets: Mapping[str, Dataset],
    facts: LibraryFacts,
    folder: Path,
) -> Sheet:
    from foodvision.report.contact import change_sheet

    settings = change.settings
    dataset = datasets[settings.data.name]
    transform = Transform.from_json(dict(facts.transform(settings)))
    what = f"{transform.size} px: {' → '.join(_words(settings))}"
    name = " ".join(["changes", *([str(number)] if number else []), change.label]).strip()
    picture = folder / f"{_file_name(name)}.png"
    change_sheet(
        _changed_images(settings, dataset, transform, facts),
        picture,
        title=change.label or "What training sees",
        subtitle=f"{settings.data.name}, {what}",
    )
    what = f"{change.label}, {what}" if change.label else what
    return Sheet("changes", settings.data.name, what, picture)


def _changed_images(
    settings: CellSettings, dataset: Dataset, transform: Transform, facts: LibraryFacts
) -> list[Any]:
    from foodvision.report.contact import Change, ChangedImage
    from foodvision.stages.preview import preview_epochs

    rows, labels = _sample(settings, dataset, facts)
    pixels = np.stack([to_pixels(dataset.read(row), transform) for row in rows])
    epochs = list(
        preview_epochs(
            pixels,
            np.array(labels, dtype=np.int64),
            settings=settings,
            transform=transform,
            classes=len(dataset.classes),
            epochs=_EPOCHS,
        )
    )
    return [
        ChangedImage(
            image=pixels[place].transpose(1, 2, 0),
            class_name=dataset.classes[label],
            changes=[
                Change(epoch.images[place], _shares(epoch.shares[place], dataset.classes))
                for epoch in epochs
            ],
        )
        for place, label in enumerate(labels)
    ]


def _sample(
    settings: CellSettings, dataset: Dataset, facts: LibraryFacts
) -> tuple[list[int], list[int]]:
    """Return rows and labels of a few training images of a cell, the classes in turn."""
    share: dict[str, Any] = dict(facts.image_set(settings, "train").share)
    selection = select(dataset, "train", **share)
    by_class = [_rows(selection, label).tolist() for label in range(len(dataset.classes))]
    chosen = [
        (rows[turn], label)
        for turn in range(_IMAGES)
        for label, rows in enumerate(by_class)
        if turn < len(rows)
    ]
    chosen = chosen[:_IMAGES]
    return [row for row, _ in chosen], [label for _, label in chosen]


def _shares(shares: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    return {classes[int(label)]: float(shares[label]) for label in np.flatnonzero(shares)}


def _words(settings: CellSettings) -> Iterator[str]:
    """Say each step with what is set of it."""
    steps = () if settings.augment == "none" else settings.augment
    mixes = () if settings.mix == "none" else (settings.mix,)
    for each in (*steps, *mixes):
        about = each.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
        said = ", ".join(f"{name} {_value(value)}" for name, value in about.items())
        yield f"{each.kind} ({said})" if said else each.kind


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]:g} to {value[1]:g}"
    return value if isinstance(value, str) else f"{value:g}"


def _file_name(text: str) -> str:
    short = text.replace(" · ", " ").replace(" ", "_").encode()[:_NAME_BYTES]
    return short.decode(errors="ignore")
