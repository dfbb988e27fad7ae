"""The command `foodvision logs`: what was said while the stages of a plan ran."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.finding import PlanOrLatest, find_plan
from flows.cli.options import AsJson, HomeFolder, current_home
from foodvision.plan.labels import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tasks.finding_logs import CellsLog, FoundLogs, StageLog

_SHORT = 8
_MOST_KEYS = 5
_MOST_CELLS = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision logs demo\n"
            "  Stage                   Cells                    Status  Seconds  Key\n"
            "  train mlp, epochs 1-5   mlp · adam (2 cells)     done        0.2  4f0a91c2\n"
            "  train mlp, epochs 6-10  mlp · adam · 10 epochs   done        0.2  9b1d44e0\n"
            "  $ foodvision logs demo mlp adam 10\n"
            "  $ foodvision logs demo 9b1d44e0\n"
            "  --- .foodvision/logs/20261121T140512-0c51…/train-9b1d44e07a55….log\n"
            "  2026-11-21T14:05:13Z epoch 6: train loss 0.3021, accuracy 0.9125"
        )
    )(logs)


def logs(
    plan: PlanOrLatest = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CELL]...",
            help="A cell's label or words of it, the beginning of its id or of a stage's key; "
            "default: a list, and why stages failed.",
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only what failed when last tried.")
    ] = False,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Print what the stages of a plan logged, and why some failed.

    Without a cell, list the stages. A stage's log is that of the run which made it, or tried to:
    it may be another plan's.
    """
    from tasks.finding_logs import find_logs

    name = " ".join(words) if words else None
    found = find_logs(find_plan(plan, (), with_results=False), current_home(), name=name)
    shown = [log for log in found.stages if log.error is not None or not failed]
    if as_json:
        tables.print_json([*map(_to_json, shown), *map(_cells_to_json, found.lacking)])
        return
    if failed and not (shown or found.lacking):
        tables.say(f"No stage of {found.plan} failed when it was last tried.")
        return
    if len(shown) > 1 or (name is None and (shown or not found.lacking)):
        _print_list(shown)
    _print_lacking(found.lacking)
    if name is not None:
        _print_files(log.path for log in shown)
        return
    _print_failures(shown)
    if not failed and not found.has_ended_well and not any(log.error for log in shown):
        _print_files([found.run] if found.run else [])  # it died before its stages, or beside them
    _say_where(found, shown)


def _to_json(log: StageLog) -> dict[str, Any]:
    return {
        "stage": log.label,
        "cells": list(log.cells),
        "kind": log.kind,
        "key": log.key,
        "status": log.status,
        "error": log.error,
        "seconds": log.seconds,
        "log": str(log.path),
    }


def _cells_to_json(log: CellsLog) -> dict[str, Any]:
    """Return the cells that no stage failed for: what there is of a stage is null."""
    return {
        "stage": None,
        "cells": list(log.cells),
        "kind": None,
        "key": None,
        "status": "failed",
        "error": log.error,
        "seconds": None,
        "log": str(log.path),
    }


def _print_lacking(lacking: Sequence[CellsLog]) -> None:
    """Print why cells failed before any stage of theirs."""
    for log in lacking:
        tables.say("")
        tables.say_wrapped(f"Failed: {listed(log.cells, most=_MOST_CELLS)}: {log.error}")
        kept = "" if log.path.is_file() else " (no longer kept)"
        tables.say(f"  log: {log.path}{kept}")


def _print_list(shown: Sequence[StageLog]) -> None:
    columns = (
        tables.Column("Stage", "stage"),
        tables.Column("Cells", "place"),
        tables.Column("Status", "status"),
        tables.Column("Seconds", "seconds", tables.seconds, is_number=True),
        tables.Column("Key", "key"),
    )
    rows = [
        {
            "stage": log.label,
            "place": log.place or None,
            "status": log.status,
            "seconds": log.seconds,
            "key": log.key[:_SHORT] if log.path.is_file() else "(gone)",
        }
        for log in shown
    ]
    tables.print_rows(rows, columns, as_json=False, empty="No stage has a log here.")


def _print_failures(shown: Sequence[StageLog]) -> None:
    """Print why stages failed: of those with one error the first's log."""
    alike: dict[str, list[StageLog]] = {}
    for log in shown:
        if log.error is not None:
            alike.setdefault(log.error, []).append(log)
    for first, *others in alike.values():
        _print_files([first.path])
        if others:
            keys = ", ".join(log.key[:_SHORT] for log in others[:_MOST_KEYS])
            more = f" and {len(others) - _MOST_KEYS} more" if len(others) > _MOST_KEYS else ""
            tables.say_wrapped(f"{tables.count(len(others), 'stage')} failed alike: {keys}{more}")


def _print_files(paths: Iterable[Path]) -> None:
    for path in paths:
        tables.say(f"\n--- {path}")
        tables.say(_read(path))


def _say_where(found: FoundLogs, shown: Sequence[StageLog]) -> None:
    tables.say("")
    kept = [log for log in shown if log.path.is_file()]
    if kept:
        tables.say(
            f"a stage's log: foodvision logs {shlex.quote(found.plan)} {kept[-1].key[:_SHORT]}"
        )
    if found.run is not None and found.run not in {log.path for log in found.lacking}:
        tables.say(f"log of the run: {found.run if found.run.is_file() else 'no longer kept'}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip()
    except FileNotFoundError:
        return "(it is no longer kept)"
