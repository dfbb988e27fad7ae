"""The command that trains cells again and compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, Overrides, PlanFile, usable_home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.verifying import Certificate

_DIFFERENT = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision verify plans/demo.yaml --cells 2\n"
            "  Cell                        Equal  Seconds\n"
            "  tiny_vgg · adam · 5 epochs  yes        0.8\n"
            "  mlp · adam · 10 epochs      yes        0.3\n"
            "  demo: 2 of 2 cells, trained again alone, are equal to the bit"
        )
    )(verify)


def verify(
    plan: PlanFile,
    overrides: Overrides = None,
    cells: Annotated[
        int | None,
        typer.Option("--cells", metavar="K", min=1, help="How many; default: all with a result."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Chooses the cells.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Train cells again, alone, and compare to the bit.

    Compared are weights, optimiser state, the metrics of every epoch, the logits of every scored
    image, and the features or pixels that they rest on. Exits with 1 if anything differs.
    """
    from flows.display import watching
    from foodvision.plan.expand import expand
    from tasks.plans import open_plan
    from tasks.verifying import verify_plan

    found = open_plan(plan, overrides or ())
    place = usable_home()
    with watching(quiet=quiet) as progress:
        certificates = verify_plan(found, place, cells=cells, seed=seed, progress=progress)
    if as_json:
        tables.print_json([certificate.to_json() for certificate in certificates])
    else:
        _show(certificates, cells=len(expand(found)))
    if not all(certificate.is_equal for certificate in certificates):
        raise typer.Exit(_DIFFERENT)


def _show(certificates: Sequence[Certificate], *, cells: int) -> None:
    tables.print_rows(
        [
            {
                "label": certificate.label,
                "equal": "yes" if certificate.is_equal else "NO",
                "seconds": certificate.seconds,
            }
            for certificate in certificates
        ],
        [
            tables.Column("Cell", "label"),
            tables.Column("Equal", "equal"),
            tables.Column("Seconds", "seconds", tables.seconds, is_number=True),
        ],
        as_json=False,
        empty="",
    )
    for certificate in certificates:
        if certificate.difference:
            tables.say(f"\n{certificate.label} (stored, and trained again) differ in")
            for line in certificate.difference.split("; "):
                tables.say(f"  {line}")
    equal = sum(certificate.is_equal for certificate in certificates)
    tables.say(
        f"\n{certificates[0].plan_name}: {equal} of {len(certificates)} cells, trained again "
        "alone, are equal to the bit" + _not_looked_at(cells - len(certificates))
    )


def _not_looked_at(others: int) -> str:
    return f"; {others} of the plan were not looked at" if others else ""
