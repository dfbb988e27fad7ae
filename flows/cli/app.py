"""All commands and their groups."""

from __future__ import annotations

import typer

from flows.cli import (
    asking,
    comparing,
    explaining,
    history,
    house,
    logs,
    plans,
    predicting,
    ranking,
    reporting,
    running,
    saved,
    services,
    showing,
    summarizing,
    tracing,
    verifying,
    winning,
)
from flows.cli.orders import Commands

app = typer.Typer(
    name="foodvision",
    cls=Commands,
    help="Experiment plans, compiled: grids of image classifiers where nothing is computed twice.",
    epilog=(
        "\b\nExample:\n"
        "  $ foodvision validate plans/demo.yaml\n"
        "  plans/demo.yaml: 8 cells, 1 data set, 2 architectures; no problems\n"
        "  $ foodvision run plans/demo.yaml"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

plans.register(app)
explaining.register(app)
summarizing.register(app)
showing.register(app)
running.register(app)
verifying.register(app)
history.register(app)
comparing.register(app)
ranking.register(app)
winning.register(app)
predicting.register(app)
tracing.register(app)
logs.register(app)
asking.register(app)
reporting.register(app)
services.register(app)
house.register(app)
saved.register(app)
