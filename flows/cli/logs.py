"""The command `foodvision logs`: what was said while the stages of a plan ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.finding import PlanOrLatest, find_plan
from flows.cli.options import AsJson, HomeFolder, current_home

if TYPE_CHECKING:
    from pathlib import Path


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision logs demo 'mlp · adam · 5 epochs'\n"
            "  Stage                                 Status  Seconds  Log\n"
            "  train mlp · digits · epochs 1–5       done        0.2  …/train-4f0a91c2….log\n"
            "\n\b\n"
            "  --- .foodvision/logs/20261121T140512-0c51…/train-4f0a91c2….log\n"
            "  2026-11-21T14:05:13Z train mlp · digits · epochs 1–5: begins on cpu\n"
            "  2026-11-21T14:05:13Z epoch 1: train loss 1.3021, accuracy 0.6125"
        )
    )(logs)


def logs(
    plan: PlanOrLatest = None,
    cell: Annotated[
        str | None,
        typer.Argument(
            metavar="[CELL]",
            help="A cell's label, or the beginning of its id; default: what failed, else a list.",
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only stages that failed when last tried.")
    ] = False,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Print what the stages of a plan logged, and why some failed.

    A stage's log is that of the run which made it, or tried to: it may be another plan's.
    """
    from tasks.finding_logs import find_logs

    place = current_home()
    found = find_logs(find_plan(plan, (), with_results=False), place, cell=cell)
    shown = [log for log in found.stages if log.error is not None or not failed]
    rows: list[dict[str, Any]] = [
        {
            "stage": log.label,
            "kind": log.kind,
            "key": log.key,
            "status": "done" if log.error is None else "failed",
            "error": log.error,
            "seconds": log.seconds,
            "log": str(log.path),
        }
        for log in shown
    ]
    if as_json:
        tables.print_json(rows)
        return
    columns = (
        tables.Column("Stage", "stage"),
        tables.Column("Status", "status"),
        tables.Column("Seconds", "seconds", tables.seconds, is_number=True),
    )
    if failed and not rows:
        tables.say(f"No stage of {found.plan} failed when it was last tried.")
        return
    tables.print_rows(rows, columns, as_json=False, empty="No stage has a log here.")
    told = [log.path for log in shown if cell is not None or log.error is not None]
    if cell is None and found.run is not None:
        told.insert(0, found.run)
    for path in told:
        tables.say(f"\n--- {path}")
        tables.say(_read(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip()
    except FileNotFoundError:
        return "(it is no longer kept)"
