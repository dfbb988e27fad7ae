"""The commands about saved models: `foodvision models ls`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, current_home
from flows.cli.ranking import column_of, with_status

if TYPE_CHECKING:
    from tasks.saved_models import PlanModels


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The saved models.", no_args_is_help=True, rich_markup_mode=None)
    group.command(
        "ls",
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision models ls\n"
            "  demo, ranked by valid.accuracy, in .foodvision/models/demo\n"
            "  #  Model                   Names   Valid accuracy     Size\n"
            "  1  mlp · sgd · 10 epochs   best            0.9628  68.4 kB\n"
            "     mlp_sgd_10-epochs.pth\n"
            "  2  mlp · adam · 10 epochs  latest          0.9591  68.4 kB\n"
            "     mlp_adam_10-epochs.pth\n"
            "  $ foodvision predict digit.png --model demo:best"
        ),
    )(ls)
    app.add_typer(group, name="models")


def ls(home: HomeFolder = None, as_json: AsJson = False) -> None:  # noqa: ARG001
    """List the saved models, plan by plan, the best first by the plan's own rule.

    Commands (predict --model, lineage) take a plan with a label or another name: demo:best.
    """
    from tasks.saved_models import saved_models

    found = saved_models(current_home())
    if as_json:
        tables.print_json([row for models in found for row in models.rows])
        return
    if not found:
        tables.say("No model has been saved yet.")
    for number, models in enumerate(found):
        if number:
            tables.say("")
        _print(models)


def _print(models: PlanModels) -> None:
    tables.say(f"{models.plan}, ranked by {models.by}, in {_from_here(models.folder)}")
    columns = (
        tables.Column("#", "rank", is_number=True),
        tables.Column("Model", "label"),
        tables.Column("Names", "names", ", ".join),
        column_of(models.by),
        tables.Column("Size", "model_bytes", tables.size, is_number=True),
        tables.Column("File", "file_name", is_whole=True),
    )
    rows: list[dict[str, Any]] = [with_status(row) for row in models.rows]
    tables.print_rows(rows, columns, as_json=False, empty="")


def _from_here(folder: Path) -> Path:
    """Return a path as short as it can be typed here."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
