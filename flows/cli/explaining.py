"""The command that says what a run would do."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, Overrides, PlanFile, current_home, usable_home
from flows.cli.plans import fetch as fetch_data
from flows.cli.plans import print_work
from flows.cli.rates import print_curves
from flows.cli.tables import count
from foodvision.plan.keeping import block_range
from foodvision.plan.labels import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foodvision.errors import DataError
    from foodvision.plan.keeping import Keeping
    from foodvision.plan.schema import Plan
    from tasks.explaining import Prospect
    from tasks.paces import Forecast


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision explain plans/demo.yaml\n"
            "  demo: 8 cells, 0 of them done; 0 stages in the store, 9 missing\n"
            "  Work              Alone  This run\n"
            "  epochs               60        40\n"
            "  decoded images  107,820     1,797\n"
            "  bytes written         –   460,032\n"
            "  mlp, 16 px, 4 cells: pixels, 1 × 16 × 16, 1,797 images of 256 B: 460.0 kB\n"
            "    No features: freeze: none leaves every block trainable."
        )
    )(explain)


def explain(
    plan: PlanFile,
    overrides: Overrides = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch the data first.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Try a little of what was never measured, for the time.")
    ] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="Draw the learning rate of each cell instead.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="With --schedule: a PNG to draw it in, too.")
    ] = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Say what a run would do and cost, what it keeps, why not more.

    Exits with 1 where --fetch could not fetch a data set.
    """
    from tasks.plans import open_plan

    found = open_plan(plan, overrides or ())
    absent = fetch_data(found, usable_home()) if fetch else {}
    if schedule or picture:
        _show_rates(found, absent, picture, as_json=as_json)
    else:
        _show_prospect(found, absent, probe=probe, as_json=as_json)
    if absent:
        raise typer.Exit(1)


def _show_prospect(
    plan: Plan, absent: Mapping[str, DataError], *, probe: bool, as_json: bool
) -> None:
    from tasks.explaining import explain_plan

    if probe:
        from flows.display import watching
        from tasks.probing import probe as try_a_little

        with watching() as progress:
            try_a_little(plan, usable_home(), progress=progress)
    prospect = explain_plan(plan, current_home(), absent=absent)
    if as_json:
        tables.print_json(prospect.to_json())
    else:
        _show(prospect)


def _show_rates(
    plan: Plan, absent: Mapping[str, DataError], picture: Path | None, *, as_json: bool
) -> None:
    from flows.display import watching
    from tasks.explaining import explain_rates

    with watching(quiet=True):
        curves = explain_rates(plan, current_home(), absent=absent)
    if as_json:
        tables.print_json([curve.to_json() for curve in curves])
    else:
        print_curves(curves)
    if picture:
        from foodvision.report.rates import draw_rates

        picture.parent.mkdir(parents=True, exist_ok=True)
        drawn = draw_rates(curves, picture)
        if not as_json:
            tables.say(f"picture: {drawn}")


def _show(prospect: Prospect) -> None:
    explanation = prospect.explanation
    missing = len(explanation.stages)
    unknown_cells = sum(unknown.cells for unknown in explanation.left_out)
    tables.say(
        f"{explanation.plan}: {count(explanation.cells + unknown_cells, 'cell')}, "
        f"{explanation.cells_done} of them done"
        + (f", {unknown_cells} left out" if unknown_cells else "")
        + f"; {explanation.hits} stages in the store, {missing} missing\n"
    )
    for unknown in explanation.left_out:
        tables.say_wrapped(f"Left out: {listed(unknown.labels, most=3)}: {unknown.why}", indent=2)
    if explanation.left_out:
        tables.say("")
    print_work(explanation.work, titles=("At most" if explanation.is_bound else "This run",))
    if missing:
        tables.say("")
        tables.say_wrapped(_disk_words(prospect))
        tables.say_wrapped(_time_words(prospect.forecast))
    if prospect.epochs_without_steps:
        epochs = count(prospect.epochs_without_steps, "epoch")
        tables.say_wrapped(
            f"Steps: {epochs} in the store were computed by runs that noted none, and are not "
            "trained again for it"
        )
    tables.say("\nKept of the images:")
    for kept in explanation.kept:
        _say_kept(kept)
    if missing:
        tables.say("")
        tables.print_rows(
            [_stage_row(asdict(stage)) for stage in explanation.stages],
            [
                tables.Column("Stage", "kind"),
                tables.Column("What", "what"),
                tables.Column("Cells", "waiting", tables.number, is_number=True),
                tables.Column("Images", "images", tables.number, is_number=True),
                tables.Column("Writes", "bytes", tables.size, is_number=True),
                tables.Column("Seconds", "seconds", tables.seconds, is_number=True),
            ],
            as_json=False,
            empty="",
        )


def _disk_words(prospect: Prospect) -> str:
    """Say what will be written, and whether there is room for it."""
    disk = prospect.explanation.disk
    parts = [f"{tables.size(count)} of {name}" for name, count in asdict(disk).items() if count]
    free = prospect.free_bytes
    room = "" if free is None else f"; {tables.size(free)} are free"
    words = f"Disk: about {tables.size(disk.total)} ({', '.join(parts)}){room}"
    if prospect.lacks_room:
        words += ". Warning: that is too little; make room with `foodvision store gc`"
    return words


def _time_words(forecast: Forecast) -> str:
    """Say how long it will take, as far as that is known."""
    stages = len(forecast.stages)
    known = stages - forecast.unknown
    if not known:
        return "Time: unknown; nothing like it has run on this device (--probe tries a little)"
    words = f"Time: about {tables.seconds(forecast.known)} s"
    if forecast.unknown:
        return f"{words} for {known} of {stages} stages; the others are unknown (--probe)"
    if forecast.around is not None:
        words += f" of work, and {tables.seconds(forecast.around)} s around it"
    return f"{words}, going by earlier runs on this device"


def _say_kept(kept: Keeping) -> None:
    where = f"{kept.model}, {kept.size} px, {count(len(kept.cells), 'cell')}"
    amount = f"{kept.images:,} images of {tables.size(kept.row_bytes)}: {tables.size(kept.bytes)}"
    what = f"features of {block_range(kept.blocks)}" if kept.blocks else "pixels"
    tables.say_wrapped(f"{where}: {what}, {_row_words(kept)}, {amount}", indent=2)
    if not kept.reasons:
        return
    lack = "Not of all frozen blocks" if kept.blocks else "No features"
    reasons = "; ".join(reason.text for reason in kept.reasons)
    live = f", so {block_range(kept.live_blocks)} run with every batch" if kept.live_blocks else ""
    tables.say_wrapped(f"{lack}: {reasons}{live}.", indent=4)


def _row_words(kept: Keeping) -> str:
    """Say what one row is: of features, whether only a vector was left of the picture."""
    if len(kept.row_shape) == 1:
        return f"a vector of {kept.row_shape[0]:,}"
    words = tables.shape(kept.row_shape)
    return f"{words}, not pooled" if kept.blocks else words


def _stage_row(stage: dict[str, Any]) -> dict[str, Any]:
    return {
        **stage,
        "waiting": len(stage["cells"]) or None,
        "images": stage["images"] or None,
        "bytes": stage["bytes"] or None,
    }
