"""The command that runs a plan here and now."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, Overrides, PlanFile, current_home, usable_home
from flows.cli.plans import print_work
from flows.cli.ranking import (
    judge,
    leaderboard_columns,
    print_leaderboard,
    say_diverged,
    say_reasons,
)
from flows.cli.tables import count
from tasks.accounting import fallen_words

if TYPE_CHECKING:
    from flows.outcome import RunOutcome

_TELLING_SECONDS = 0.05
_SHORT = 8


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision run plans/demo.yaml\n"
            "  Prefect: http://127.0.0.1:41873 (for the length of this run)\n"
            "  #  Model                  Valid accuracy  Test accuracy  Test loss  Seconds\n"
            "  1  mlp · sgd · 10 epochs          0.9628         0.9712     0.1331      0.2"
        )
    )(run)


def run(
    plan: PlanFile,
    overrides: Overrides = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the sources again whether data changed.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="Processes that do the work; default: one per GPU, none on a CPU.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Run a plan: train what is missing, rank, draw the best model.

    Exits with 1 if a cell failed; running the plan again does only what is missing.
    """
    from flows.display import watching
    from flows.server import find_server, local_server
    from tasks.plans import open_plan
    from tasks.runners import wanted_workers

    open_plan(plan, overrides or ())  # a bad plan needs no server to say so
    wanted_workers(workers)
    with local_server(usable_home(), meanwhile=lambda: import_module("flows.grid")) as server:
        from flows.grid import run_plan

        if not quiet:
            note = "for the length of this run" if server.was_started else "running already"
            sys.stderr.write(f"Prefect: {server.ui_url} ({note})\n")
        with watching(quiet=quiet) as progress:
            outcome = run_plan(
                str(plan),
                overrides=overrides or (),
                home=current_home(),
                refresh=refresh,
                workers=workers,
                progress=progress,
            )
    if as_json:
        tables.print_json(list(outcome.leaderboard))
    else:
        stays = not server.is_ours or find_server(current_home()) is not None
        _show(outcome, page=f"{server.ui_url}/runs/flow-run/{outcome.run_id}" if stays else None)
    if outcome.failures:
        raise typer.Exit(1)


def _show(outcome: RunOutcome, *, page: str | None) -> None:
    """Print what a run came to.

    Args:
        outcome: of the run.
        page: of the flow run, on a server that is still there; `None`: it ended with the run.
    """
    board = [dict(row) for row in outcome.leaderboard]
    columns = leaderboard_columns(outcome.ranked_by, board)
    print_leaderboard(board, columns, judge(board, outcome.ranked_by))
    tables.say("")
    alone, run_, done = (asdict(t) for t in (outcome.naive, outcome.predicted, outcome.counted))
    work = {
        name: {"alone": alone[name], "predicted": run_[name], "counted": done[name]}
        for name in alone
    }
    expected = outcome.predicted_seconds
    seconds = {
        "alone": None,
        "predicted": None if expected is None else round(expected, 1),
        "counted": round(outcome.stage_seconds, 1),
    }
    titles = ("At most" if outcome.is_bound else "Predicted", "Counted")
    print_work(work | {"seconds_of_stages": seconds}, titles=titles)
    if fallen := fallen_words(outcome.predicted.epochs, outcome.counted.epochs, board):
        tables.say(fallen)
    tables.say("")
    say_reasons("failed", outcome.failures)
    for log in dict.fromkeys(outcome.failed_logs.values()):
        tables.say(f"log: {log}")
    say_diverged(board)
    if outcome.alerts or outcome.undelivered:
        tables.say(alert_words(outcome))
    for name, path in outcome.pictures.items():
        tables.say(f"{name}: {path}")
    tables.say(f"report: {outcome.report}")
    if page:
        tables.say(f"flow run: {page}")
    if (runs := current_home().runs).is_dir():
        tables.say(f"TensorBoard: tensorboard --logdir {shlex.quote(str(runs))}")
    tables.say(f"run: {outcome.run_id[:_SHORT]} (foodvision runs lists all)")
    tables.say(
        f"{outcome.plan_name}: {outcome.cells_in_words} in {outcome.wall_seconds:.1f} s; "
        f"{outcome.hits} stages were in the store"
        f"{others_words(outcome.found, waited_seconds=outcome.waited_seconds)}"
    )


def others_words(found: int, *, waited_seconds: float) -> str:
    """Say what other runs did of a run's work, and how long it waited for them.

    Args:
        found: missing stages that another run made in the meantime.
        waited_seconds: that workers waited, one after the other.
    """
    parts = []
    if found:
        parts.append(f"another run did {count(found, 'stage')} of it meanwhile")
    if waited_seconds >= _TELLING_SECONDS:
        parts.append(f"{tables.seconds(waited_seconds)} s of waiting for other runs")
    return "".join(f"; {part}" for part in parts)


def alert_words(outcome: RunOutcome) -> str:
    """Say how many alerts a run found, and how many, of it or kept from before, did not arrive."""
    before = outcome.undelivered_before
    own = outcome.undelivered - before
    late = [f"{own} not delivered yet"] if own else []
    late += [f"{before} kept from earlier runs, not delivered yet"] if before else []
    again = " (the next run tries again)" if late else ""
    return f"alerts: {', '.join([str(outcome.alerts), *late])}{again}; foodvision sql -f alerts"
