"""The command `foodvision rank`, and how a leaderboard is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from flows.cli import tables
from flows.cli.finding import PlanOrName, find_plan, members_of, other_results, ranked, translated
from flows.cli.options import AsJson, HomeFolder, Overrides, current_home
from foodvision.plan.labels import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.schema import Plan
    from tasks.certainty import Judged
    from warehouse import reading


Row = dict[str, Any]
LEADERBOARD = (
    tables.Column("#", "rank", is_number=True),
    tables.Column("Model", "label"),
    tables.Column("Test accuracy", "test_accuracy", tables.share, is_number=True),
    tables.Column("Test loss", "test_loss", tables.share, is_number=True),
    tables.Column("Seconds", "seconds_alone", tables.seconds, is_number=True),
    tables.Column("Parameters", "params_total", tables.number, is_number=True),
)
_RANKED_BY = {
    "valid.accuracy": tables.Column(
        "Valid accuracy", "valid_accuracy", tables.share, is_number=True
    ),
    "valid.loss": tables.Column("Valid loss", "valid_loss", tables.share, is_number=True),
    "train.accuracy": tables.Column(
        "Train accuracy", "train_accuracy", tables.share, is_number=True
    ),
    "train.loss": tables.Column("Train loss", "train_loss", tables.share, is_number=True),
}
_GAP = tables.Column("Train − test", "overfitting_gap", tables.difference, is_number=True)
_LATENCY = tables.Column("ms an image", "latency_ms", tables.milliseconds, is_number=True)
_EPOCH = tables.Column("Epoch", "epoch_words", is_number=True)
_OF_ONE_CELL = ("trained", "tta")
_FINISHED = "completed"
_WAITING = "pending"
_DIVERGED = "diverged"
_MOST_NAMED = 5
_SIGNS = {"tied": "≈", "better": "<"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision rank plans/demo.yaml\n"
            "   #  Model                   Valid accuracy  Test accuracy  Test loss\n"
            "   1  mlp · sgd · 10 epochs           0.9628         0.9712     0.1331\n"
            "  ≈2  mlp · adam · 10 epochs          0.9591         0.9667     0.1605\n"
            "  ≈ cannot be told from the first on 451 test images (95 %)"
        )
    )(rank)


def rank(
    plan: PlanOrName = None,
    overrides: Overrides = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Print the leaderboard, best first.

    Of one plan, say which cells tie with the best.
    While a plan runs, these are the cells that have finished so far.
    """
    rows, by = ranked(plan, overrides or ())
    judged = None if plan is None else judge(rows, by)
    running = _running(rows)
    if as_json:
        tables.print_json([row | (judged.columns(row) if judged else {}) for row in rows])
        for note in _running_notes(running, rows):
            typer.echo(note, err=True)
        return
    rows, unfinished = _without_unfinished(rows, running), rows
    columns = leaderboard_columns(by, rows)
    if plan is None:
        columns = (columns[0], tables.Column("Plan", "plan"), *columns[1:-1])
    print_leaderboard(rows, columns, judged)
    if plan is None and rows:
        tables.say("all plans, by test accuracy; `foodvision rank PLAN`: by a plan's own rule")
    if plan is not None and not any(row["rank"] for row in rows):
        _say_other_results(find_plan(plan, overrides or ()))
    others = [row for row in rows if row["status"] not in (_FINISHED, _DIVERGED)]
    for status in dict.fromkeys(row["status"] for row in others):
        of_status = [row for row in others if row["status"] == status]
        say_reasons(status, {row["label"]: row["error"] or "no result" for row in of_status})
    say_diverged(rows)
    for note in _running_notes(running, unfinished):
        tables.say(note)


def leaderboard_columns(by: str, rows: Sequence[Mapping[str, Any]]) -> tuple[tables.Column, ...]:
    """Return the leaderboard's columns, in 80 columns; what it is ranked by stands first.

    Where training images are changed or mixed, the over-fitting gap stands beside the accuracy;
    where stop rules chose, the epoch of the result; where models were measured, their latency
    stands last.
    """
    place, label, *figures = LEADERBOARD
    has_gap = any(
        row.get(name) not in (None, "none") for row in rows for name in ("augment", "mix")
    )
    if has_gap:
        figures[1] = _GAP  # in place of the loss
    if any(epoch_words(row) for row in rows):
        figures[2 if has_gap else 1] = _EPOCH
    if by in _RANKED_BY:
        figures = [_RANKED_BY[by], *figures[:-1]]
    if any(row.get("latency_ms") is not None for row in rows):
        figures[-1] = _LATENCY
    return (place, label, *figures)


def epoch_words(row: Mapping[str, Any]) -> str | None:
    """Say which epoch is the result where a stop rule chose: `7 of 10`, of those trained.

    Views of one cell have its epoch; an ensemble has none.
    """
    if row.get("kind", "trained") not in _OF_ONE_CELL:
        return None
    trained, best = row.get("epochs_trained"), row.get("best_epoch")
    is_whole = best is None and trained == row.get("epochs")
    if trained is None or is_whole or row.get("status") != _FINISHED:
        return None
    return f"{best or trained} of {trained}"


def _epoch_shown(row: Row) -> str | int | None:
    """Return what stands in the column of epochs: nothing for an ensemble."""
    if row.get("kind", "trained") not in _OF_ONE_CELL:
        return None
    return epoch_words(row) or row.get("epochs_trained")


def column_of(by: str) -> tables.Column:
    """Return the column of what a plan is ranked by."""
    own = {"test_accuracy": "test.accuracy", "test_loss": "test.loss"}
    own |= {"seconds_alone": "seconds", "params_total": "params"}
    known = {own[column.key]: column for column in LEADERBOARD if column.key in own}
    return (known | _RANKED_BY)[by]


def with_status(row: Row) -> Row:
    """Return a row of the leaderboard whose label tells of a result that is no good one, or old."""
    from tasks.ranking import told_status

    status = told_status(row)
    told = [] if status == _FINISHED else [status]
    told += ["earlier settings"] if row.get("is_earlier") else []
    return {**row, "label": f"{row['label']} ({', '.join(told)})"} if told else row


def judge(leaderboard: Sequence[Row], by: str) -> Judged | None:
    """Return how sure the first of a plan's leaderboard is; None where nothing can be said."""
    from tasks.certainty import judge_leaderboard

    return judge_leaderboard(leaderboard, by=by, home=current_home())


def print_leaderboard(
    rows: Sequence[Row], columns: Sequence[tables.Column], judged: Judged | None
) -> None:
    """Print a leaderboard; a sign before the rank tells what cannot be told from the first."""
    from tasks.ranking import told_status

    verdicts = [str(judged.columns(row)["verdict"]) if judged else "" for row in rows]
    shown = [
        with_status(row)
        | {"rank": row["rank"] and f"{_SIGNS.get(verdict, '')}{row['rank']}"}
        | {"epoch_words": _epoch_shown(row)}
        for row, verdict in zip(rows, verdicts, strict=True)
    ]
    tables.print_rows(shown, columns, as_json=False, empty="No cell has a result yet.")
    if any(told_status(row) == "collapsed" for row in rows):
        tables.say("collapsed: one class for every test image; left out of means over seeds")
    if judged is None or len(judged.configurations) == 1:
        return
    images = f"{judged.certainty.images:,} test images (95 %)"
    if "tied" in verdicts:
        tables.say(f"≈ cannot be told from the first on {images}")
    if "better" in verdicts:
        tables.say(f"< is better than the first on {images}")
    if not {"tied", "better"} & set(verdicts):
        tables.say(f"the first is better than every other on {images}")
    for line in judged.chances():
        tables.say_wrapped(line)


def say_diverged(rows: Sequence[Row]) -> None:
    """Say of each row of a leaderboard that diverged why it has no rank."""
    diverged = {row["cell_id"]: row["label"] for row in rows if row["status"] == _DIVERGED}
    found = [row for row in rows if row["status"] == _DIVERGED]
    trained = [row["label"] for row in found if row["kind"] == "trained"]
    say_reasons(_DIVERGED, dict.fromkeys(trained, "its loss or weights are no finite numbers"))
    for row in found:
        if row["kind"] != "trained":
            members = dict.fromkeys(each.cell_id for each in members_of(row["result_key"]))
            names = [diverged[cell_id] for cell_id in members if cell_id in diverged]
            why = f"of its members {', '.join(names) or 'one'} diverged"
            tables.say(f"{_DIVERGED}: {row['label']}: {why}")


def say_reasons(status: str, reasons: Mapping[str, str]) -> None:
    """Say why cells have no result, of those that have one reason together.

    Args:
        status: that they have.
        reasons: by label.
    """
    together: dict[str, list[str]] = {}
    for label, why in reasons.items():
        together.setdefault(why, []).append(label)
    for why, labels in together.items():
        if len(labels) == 1:
            tables.say(f"{status}: {labels[0]}: {why}")
            continue
        tables.say_wrapped(f"{status}: {len(labels)} cells: {why}")
        tables.say_wrapped(listed(labels, most=_MOST_NAMED), indent=2)


def _running(rows: Sequence[Row]) -> list[reading.Run]:
    """Return the runs that rows of a leaderboard come from and that still go on."""
    from flows.crashes import living_runs
    from warehouse import reading

    home = current_home()
    with translated():
        known = reading.runs(home.warehouse)
    alive = {row["run_id"] for row in rows} & set(living_runs(home))
    return [run for run in known if run.status == "running" and run.run_id in alive]


def _without_unfinished(rows: Sequence[Row], running: Sequence[reading.Run]) -> list[Row]:
    """Return the rows without the cells that a run is still to come to."""
    waited_for = {run.run_id for run in running}
    return [row for row in rows if row["status"] != _WAITING or row["run_id"] not in waited_for]


def _running_notes(running: Sequence[reading.Run], rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each run that goes on."""
    notes = []
    for run in running:
        to_come = sum(
            row["run_id"] == run.run_id and row["status"] == _WAITING and row["kind"] == "trained"
            for row in rows
        )
        notes.append(
            f"{run.plan_name} is running (since {run.started_at:%Y-%m-%d %H:%M} UTC): "
            f"{run.cells - to_come} of {run.cells} cells have finished so far"
        )
    return notes


def _say_other_results(plan: Plan) -> None:
    if hint := other_results(plan).strip():
        tables.say_wrapped(hint)
