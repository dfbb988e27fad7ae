"""The command `report`: what a plan found, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import tables
from flows.cli.finding import PlanOrLatest, find_plan, leaderboard_of
from flows.cli.options import AsJson, HomeFolder, Overrides, current_home

OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Where it goes; default: reports, in the home."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision report plans/demo.yaml\n"
            "  report: .foodvision/reports/demo/report.html (0.2 MB)"
        )
    )(report)


def report(
    plan: PlanOrLatest = None,
    overrides: Overrides = None,
    output: OutputFile = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Write what a plan found as one HTML file. It needs no network; also while it runs."""
    from foodvision.store import Store
    from tasks.reporting import Reporter

    found = find_plan(plan, overrides or ())
    reporter = Reporter(found, current_home(), Store(current_home().store))
    path = reporter.write(leaderboard_of(found), path=output)
    size = path.stat().st_size
    if as_json:
        tables.print_json([{"plan": found.name, "report": str(path), "bytes": size}])
        return
    tables.say(f"report: {path} ({size / 1e6:.1f} MB)")
