"""Commands that stay: serve, up, down."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import tables
from flows.cli.options import HomeFolder, current_home, usable_home

if TYPE_CHECKING:
    from flows.server import ServerHandle

_CRON = "0 3 * * *"

NightlyPlan = Annotated[
    str | None,
    typer.Argument(metavar="[PLAN]", help="What `nightly` runs; without it, it has no schedule."),
]
Cron = Annotated[str, typer.Option("--cron", help="When `nightly` runs, in UTC.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Flow runs at the same time.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision serve plans/effnet.yaml\n"
            "  Serving foodvision/grid and foodvision/nightly; Ctrl-C ends it.\n"
            "    export PREFECT_API_URL=http://127.0.0.1:41873/api\n"
            "    prefect deployment run foodvision/grid --param plan=plans/effnet.yaml"
        )
    )(serve)
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision up --detach plans/effnet.yaml\n"
            "  Prefect: http://127.0.0.1:4200\n"
            "  Serving foodvision/grid and foodvision/nightly; `foodvision down` ends it."
        )
    )(up)
    app.command(epilog="\b\nExample:\n  $ foodvision down\n  Stopped.")(down)


def serve(
    plan: NightlyPlan = None,
    cron: Cron = _CRON,
    limit: Limit = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
) -> None:
    """Serve the deployments foodvision/grid and foodvision/nightly.

    Uses the server in PREFECT_API_URL if there is one, else manages a local one. The schedule of
    `nightly` is paused until somebody switches it on.
    """
    from flows.serving import ServeSettings, serve_here

    settings = ServeSettings(nightly_plan=plan, cron=cron, limit=limit)
    serve_here(usable_home(), settings, on_ready=lambda server: _announce(server, "Ctrl-C"))


def up(
    plan: NightlyPlan = None,
    cron: Cron = _CRON,
    limit: Limit = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Of the server; default: 4200 if it is free.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Go on in the background.")
    ] = False,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
) -> None:
    """Run a Prefect server and serve the deployments.

    Ends with Ctrl-C, or with `foodvision down` where it was detached.
    """
    from flows.serving import ServeSettings, bring_up, bring_up_detached

    place = usable_home()
    if detach:
        options = {"--cron": cron, "--limit": limit, "--port": port, "--home": place.root}
        given = [str(part) for pair in options.items() if pair[1] is not None for part in pair]
        server = bring_up_detached(place, [*given, *([plan] if plan else [])])
        _announce(server, "`foodvision down`")
        return
    settings = ServeSettings(nightly_plan=plan, cron=cron, limit=limit)
    bring_up(place, settings, port=port, on_ready=lambda server: _announce(server, "Ctrl-C"))


def down(home: HomeFolder = None) -> None:  # noqa: ARG001 - read by its callback
    """Stop what `foodvision up` runs for this home."""
    from flows.serving import take_down

    stopped = take_down(current_home())
    tables.say("Stopped." if stopped else f"Nothing is up for {current_home().root}.")


def _announce(server: ServerHandle, end: str) -> None:
    from flows.serving import NIGHTLY, paused_schedule

    tables.say(
        f"Prefect: {server.ui_url}\n"
        f"Serving foodvision/grid and {NIGHTLY}; {end} ends it.\n"
        f"  export PREFECT_API_URL={server.api_url}\n"
        f"  prefect deployment run foodvision/grid --param plan=plans/demo.yaml"
    )
    if schedule := paused_schedule(server):
        tables.say(
            f"The schedule of nightly is paused until you switch it on:\n"
            f"  prefect deployment schedule resume {NIGHTLY} {schedule}"
        )
    sys.stdout.flush()
