"""Commands about plans that run nothing: init, validate, diff, schema."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, Overrides, PlanFile, current_home
from flows.cli.tables import count
from foodvision.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from foodvision.data.datasets import Dataset
    from foodvision.errors import DataError
    from foodvision.home import Home
    from foodvision.plan.diff import (
        CellChange,
        CompositeChange,
        Difference,
        DroppedCell,
        DroppedComposite,
        SharedRows,
    )
    from foodvision.plan.facts import Part
    from foodvision.plan.problems import Problem
    from foodvision.plan.schema import Plan

_SPLITS: tuple[Part, ...] = ("train", "test")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision init photos --output plans/photos.yaml\n"
            "  plans/photos.yaml: a plan for photos. Next:\n"
            "    foodvision validate plans/photos.yaml\n"
            "    foodvision run plans/photos.yaml"
        )
    )(init)
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision validate plans/bad.yaml\n"
            "  plans/bad.yaml:14:12: grid.epochs[1]: must be at least 1, got 0\n"
            "  plans/bad.yaml: 1 problem"
        )
    )(validate)
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision diff plans/demo.yaml plans/longer.yaml\n"
            "  longer against demo: 0 cells reused, 1 continued, 1 added, 1 dropped;\n"
            "  10 of 25 epochs shared\n"
            "  Change     Cell       Epochs  What\n"
            "  continued  adam · 20   10/20  after adam · 10\n"
            "  added      sgd · 5       0/5  features of all images shared\n"
            "  dropped    adam · 10      10  lives on in adam · 20"
        )
    )(diff)
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision schema > plan.schema.json\n"
            "  Then, as the first line of a plan:\n"
            "  # yaml-language-server: $schema=plan.schema.json"
        )
    )(schema)


def schema() -> None:
    """Print the JSON schema of plans, for editors."""
    from foodvision.plan.editor_schema import editor_schema

    tables.print_json(editor_schema())


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of images by class.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The plan (-: print it); default: DIR's name, here."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a plan that is there.")] = False,
) -> None:
    """Write a commented plan for a folder of images."""
    from foodvision.data.layouts import check_classes, read_layout
    from foodvision.plan.init import starter_plan

    path = output or Path(f"{folder.absolute().name}.yaml")
    to_screen = str(path) == "-"
    if path.exists() and not (force or to_screen):
        raise PlanError(
            f"init writes a new file, but {path} exists. Name another one with --output, or "
            f"replace it with --force."
        )
    if not folder.is_dir():
        raise PlanError(
            f"init takes a folder that holds one folder of images per class, but {folder} is "
            f"{'no folder' if folder.exists() else 'not there'}. Name another one."
        )
    _refuse_split(folder)
    layout = read_layout(folder, label=str(folder))  # no images: says so
    check_classes(((image.split, image.class_name) for image in layout.images), label=str(folder))
    tests = sum(image.split == "test" for image in layout.images)
    text = starter_plan(folder, has_test=tests > 0, train_images=len(layout.images) - tests)
    if to_screen:
        sys.stdout.write(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    quoted = shlex.quote(str(path))
    sys.stderr.write(
        f"{path}: a plan for {folder}. Next:\n"
        f"  foodvision validate {quoted}\n"
        f"  foodvision run {quoted}\n"
    )


def _refuse_split(folder: Path) -> None:
    """Raise where a folder is one half of the data set that lies in its parent."""
    place = Path(os.path.abspath(folder))  # noqa: PTH100 - links stay as the user wrote them
    if place.name not in _SPLITS or not all((place.parent / name).is_dir() for name in _SPLITS):
        return
    parent = folder.parent if folder.name == place.name else folder / ".."
    raise PlanError(
        f"init takes the folder that holds train/ and test/, found {folder}, which is one of the "
        f"two. Name its parent: foodvision init {shlex.quote(str(parent))}"
    )


def validate(
    plan: PlanFile,
    overrides: Overrides = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Check a plan: every problem at once, then lint.

    Asks no network and imports no torch; what only these can tell is said to be unchecked.
    """
    from flows.cli.variables import absence_warnings, variable_warnings
    from foodvision.plan.expand import expand
    from foodvision.plan.lint import lint
    from foodvision.plan.problems import PlanProblems
    from tasks.judging import Judging
    from tasks.plans import open_plan

    judging = Judging(current_home(), fetched=_fetched)
    try:
        found = open_plan(plan, overrides or (), judge=judging.judge)
        cells = expand(found)
    except PlanProblems as error:
        _report(plan, error.problems, (), None, as_json=as_json)
        raise typer.Exit(2) from error
    facts = {
        "cells": len(cells),
        "data_sets": len(found.data),
        "architectures": len({cell.settings.model.arch for cell in cells}),
    }
    warnings = [
        *variable_warnings(found, cells),
        *absence_warnings(found, cells),
        *lint(found, cells, _images(judging.datasets)),
    ]
    warnings.sort(key=lambda each: (each.line is None, each.line or 0, each.column or 0))
    _report(plan, (), warnings, facts, unchecked=judging.unchecked, as_json=as_json)


def _fetched(plan: Plan) -> dict[str, Dataset]:
    """Return the data sets of a plan that are here already, by name."""
    home = current_home()
    if not home.store.is_dir():
        return {}
    from flows.cli.variables import unset_variables
    from tasks.plan_data import known_data

    found = {
        name: known_data(plan, name, home)
        for name, data in plan.data.items()
        if not unset_variables(data.source)
    }
    return {name: dataset for name, dataset in found.items() if dataset is not None}


def _images(datasets: Mapping[str, Dataset]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the sha256 of every image, by data set and part."""
    if not datasets:
        return {}
    from foodvision.data.selection import select

    return {
        (name, part): select(dataset, part).sha256
        for name, dataset in datasets.items()
        for part in _SPLITS
    }


def _report(
    plan: Path,
    problems: Sequence[Problem],
    warnings: Sequence[Problem],
    facts: dict[str, int] | None,
    *,
    unchecked: Sequence[str] = (),
    as_json: bool,
) -> None:
    if as_json:
        findings = [
            {"severity": severity, **asdict(finding)}
            for severity, group in (("error", problems), ("warning", warnings))
            for finding in group
        ]
        tables.print_json(
            {"plan": str(plan), "is_valid": not problems, **(facts or {})}
            | {"findings": findings, "unchecked": list(unchecked)}
        )
        return
    for problem in problems:
        tables.say(str(problem))
    for warning in warnings:
        tables.say(f"warning: {warning}")
    for sentence in unchecked:
        tables.say(f"not checked: {sentence}")
    counts = [count(len(problems), "problem")] if problems else []
    if facts:
        counts = [
            ", ".join(
                [
                    count(facts["cells"], "cell"),
                    count(facts["data_sets"], "data set"),
                    count(facts["architectures"], "architecture"),
                ]
            ),
            count(len(warnings), "warning") if warnings else "no problems",
        ]
    tables.say(f"{plan}: {'; '.join(counts)}")


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="The plan to compare with.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The plan that comes after it.")],
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Say what plan B reuses and adds, against plan A."""
    from flows.display import watching
    from tasks.explaining import diff_plans
    from tasks.plans import open_plan

    earlier, later = open_plan(before), open_plan(after)
    with watching(quiet=True):
        difference = diff_plans(earlier, later, current_home())
    if as_json:
        tables.print_json(difference.to_json())
        return
    for line in _totals(difference, earlier, later):
        tables.say_wrapped(line)
    tables.say("")
    tables.print_rows(
        [_change_row(cell) for cell in difference.cells]
        + [_composite_row(each) for each in difference.composites]
        + [_dropped_row(cell) for cell in difference.dropped]
        + [
            {"change": "dropped", "label": each.label, "what": ""}
            for each in difference.dropped_composites
        ],
        [
            tables.Column("Change", "change"),
            tables.Column("Cell", "label"),
            tables.Column("Epochs", "epochs", is_number=True),
            tables.Column("What", "what"),
        ],
        as_json=False,
        empty="",
    )


def _totals(difference: Difference, earlier: Plan, later: Plan) -> Iterator[str]:
    """Yield sentences that count: cells, what is made of them, and epochs."""
    yield (
        f"{later.name} against {earlier.name}: {count(difference.count('reused'), 'cell')} "
        f"reused, {difference.count('continued')} continued, {difference.count('added')} added, "
        f"{len(difference.dropped)} dropped;"
    )
    if difference.composites or difference.dropped_composites:
        yield (
            f"views and ensembles: {difference.count_composites('reused')} reused, "
            f"{difference.count_composites('added')} added, "
            f"{len(difference.dropped_composites)} dropped;"
        )
    yield f"{difference.shared_epochs:,} of {difference.epochs:,} epochs shared"


def _composite_row(each: CompositeChange) -> dict[str, Any]:
    shared = f"{each.shared_outputs} of {each.outputs} outputs shared"
    if each.change == "reused":
        shared = "" if each.with_label == each.label else f"as {each.with_label}"
    return {"change": each.change, "label": each.label, "what": shared}


def _change_row(cell: CellChange) -> dict[str, Any]:
    notes = []
    if cell.change == "continued":
        verb = "after" if cell.shared_epochs < cell.epochs else "inside"
        notes.append(f"{verb} {cell.with_label}")
    elif cell.with_label not in (None, cell.label):
        notes.append(f"as {cell.with_label}")
    if cell.new_scores:
        notes.append(f"{' and '.join(cell.new_scores)} scored on other images")
    if cell.change == "added":
        notes.append(_shared_rows(cell.rows))
    return {
        "change": cell.change,
        "label": cell.label,
        "epochs": f"{cell.shared_epochs}/{cell.epochs}",
        "what": ", ".join(notes),
    }


def _shared_rows(rows: SharedRows | None) -> str:
    if rows is None:
        return "nothing shared"
    count = "all" if rows.images == rows.of_images else f"{rows.images:,} of {rows.of_images:,}"
    return f"{rows.kind} of {count} images shared"


def _dropped_row(cell: DroppedCell) -> dict[str, Any]:
    what = f"lives on in {cell.lives_on_in}" if cell.lives_on_in else ""
    return {"change": "dropped", "label": cell.label, "epochs": str(cell.epochs), "what": what}


def _dropped_composite_row(each: DroppedComposite) -> dict[str, Any]:
    return {"change": "dropped", "label": each.label, "what": ""}


def print_work(
    work: Mapping[str, Mapping[str, float | None]], *, titles: Sequence[str] = ("This run",)
) -> None:
    """Print a table of work: what each cell alone would take beside what a run takes.

    A cell alone keeps no rows, so the bytes that it would write are not known: no zero.
    """
    names = dict.fromkeys(name for values in work.values() for name in values)
    titled = dict(zip(names, ("Alone", *titles), strict=True))
    rows: list[dict[str, Any]] = [
        {"what": what.replace("_", " "), **values} for what, values in work.items()
    ]
    for row in rows:
        if row["what"] == "bytes written":
            row["alone"] = row["alone"] or None
    tables.print_rows(
        rows,
        [
            tables.Column("Work", "what"),
            *(
                tables.Column(title, name, tables.number, is_number=True)
                for name, title in titled.items()
            ),
        ],
        as_json=False,
        empty="Nothing to do.",
    )


def fetch(plan: Plan, home: Home) -> Mapping[str, DataError]:
    """Fetch the data sets of a plan, with a progress display; say, and return, what is not there.

    Returns:
        Why data sets cannot be had, by name.
    """
    from flows.display import watching
    from tasks.plan_data import fetch_all

    with watching() as progress:
        return fetch_all(plan, home, progress=progress).absent
