"""The command `show`: pictures of what a plan trains on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, Overrides, PlanFile, usable_home

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision show plans/augmentation.yaml\n"
            "  photos: 450 training and 150 test images of 3 classes\n"
            "  picture: .foodvision/reports/augmentation/show/data_photos.png\n"
            "  standard, 224 px: random_crop (padding 0.125) → horizontal_flip\n"
            "  picture: .foodvision/reports/augmentation/show/changes_1_standard.png"
        )
    )(show)


def show(
    plan: PlanFile,
    overrides: Overrides = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Draw the data sets of a plan, and its images. Fetches what is missing."""
    from flows.display import watching
    from tasks.plans import open_plan
    from tasks.showing import show_plan

    found = open_plan(plan, overrides or ())
    with watching(quiet=as_json) as progress:
        sheets = show_plan(found, usable_home(), progress=progress)
    if as_json:
        tables.print_json([{**asdict(sheet), "picture": str(sheet.picture)} for sheet in sheets])
        return
    for sheet in sheets:
        tables.say(f"{sheet.data}: {sheet.what}" if sheet.shows == "data" else sheet.what)
        tables.say(f"picture: {sheet.picture}")
    if all(sheet.shows == "data" for sheet in sheets):
        tables.say("No cell changes its training images.")
