"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from foodvision.home import HOME_VARIABLE, Home


def _use_home(folder: Path | None) -> Path | None:
    """Let everything in this process and its children mean the same home."""
    if folder is not None:
        os.environ[HOME_VARIABLE] = str(folder.expanduser().absolute())
    return folder


PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan's YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a value of the plan, like base.epochs=3; repeatable.",
    ),
]
HomeFolder = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        callback=_use_home,
        help=f"Where everything is kept; default: ${HOME_VARIABLE}, else .foodvision here.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def current_home() -> Home:
    """Return the home that `--home` or the environment names."""
    return Home.current()


def usable_home() -> Home:
    """Return the current home, to keep something in.

    Raises:
        StoreError: nothing can be kept there.
    """
    home = current_home()
    home.require_usable()
    return home
