"""The command that says how large a plan's models are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, Overrides, PlanFile, current_home, usable_home
from flows.cli.plans import fetch as fetch_data
from flows.cli.tables import count

if TYPE_CHECKING:
    from foodvision.plan.summary import ModelSummary


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision summary plans/effnet.yaml\n"
            "  effnet: 2 models in 8 cells\n"
            "\n\b\n"
            "  1  efficientnet_b0 · freeze backbone, 3 × 224 × 224\n"
            "  Block       Output          Trainable     Frozen  Mult-adds\n"
            "  features.0  32 × 112 × 112          –        928     10.8 M\n"
            "  …\n"
            "  classifier  3                   3,843          –      3.8 k\n"
            "  in all                          3,843  4,007,548    384.5 M"
        )
    )(summary)


def summary(
    plan: PlanFile,
    overrides: Overrides = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch the data first.")] = False,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Say how large a plan's models are.

    Parameters, what of them is frozen, multiply-adds and bytes; block by block.
    """
    from flows.display import watching
    from tasks.plans import open_plan
    from tasks.summarizing import summarize_plan

    found = open_plan(plan, overrides or ())
    absent = fetch_data(found, usable_home()) if fetch else {}
    with watching(quiet=True):
        models = summarize_plan(found, current_home(), absent=absent)
    if as_json:
        tables.print_json([model.to_json() for model in models])
        return
    cells = sum(len(model.cells) for model in models)
    tables.say(f"{found.name}: {count(len(models), 'model')} in {count(cells, 'cell')}")
    for number, model in enumerate(models, start=1):
        tables.say(f"\n{number}  {model.name}, {tables.shape(model.size.input_shape)}")
        _print_blocks(model)
    if len(models) > 1:
        tables.say("")
        _print_models(models)


def _print_blocks(model: ModelSummary) -> None:
    rows: list[dict[str, Any]] = [
        {
            "name": block.name,
            "output": block.output_shape,
            "frozen" if position < model.frozen_count else "trainable": block.params,
            "multiply_adds": block.multiply_adds,
        }
        for position, block in enumerate(model.size.blocks)
    ]
    rows.append(
        {
            "name": "in all",
            "output": (),
            "trainable": model.params_trainable,
            "frozen": model.params_frozen or None,
            "multiply_adds": model.multiply_adds,
        }
    )
    tables.print_rows(
        rows,
        [
            tables.Column("Block", "name"),
            tables.Column("Output", "output", tables.shape),
            tables.Column("Trainable", "trainable", tables.number, is_number=True),
            tables.Column("Frozen", "frozen", tables.number, is_number=True),
            tables.Column("Mult-adds", "multiply_adds", tables.scaled, is_number=True),
        ],
        as_json=False,
        empty="",
    )


def _print_models(models: list[ModelSummary]) -> None:
    rows = [
        {
            "number": number,
            "name": model.name,
            "input": model.size.input_shape,
            "params": model.params_trainable + model.params_frozen,
            "multiply_adds": model.multiply_adds,
            "bytes": model.size.model_bytes,
        }
        for number, model in enumerate(models, start=1)
    ]
    tables.print_rows(
        rows,
        [
            tables.Column("#", "number", is_number=True),
            tables.Column("Model", "name"),
            tables.Column("Input", "input", tables.shape),
            tables.Column("Parameters", "params", tables.number, is_number=True),
            tables.Column("Mult-adds", "multiply_adds", tables.scaled, is_number=True),
            tables.Column("Bytes", "bytes", tables.size, is_number=True),
        ],
        as_json=False,
        empty="",
    )
