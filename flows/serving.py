"""Deployments of the flow: served by this machine, or deployed to a work pool.

Two mechanisms keep what the user meant by a relative path. A served run inherits the directory
where `foodvision serve` was started. A work pool's worker runs in a temporary folder, so
`prefect.yaml` asks `note_folder` where `prefect deploy` was started, and tells the worker.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.processes import ProcessMark, read_mark, write_mark
from flows.server import find_server, local_server, tail
from foodvision.errors import PlanError, ServerError
from foodvision.home import HOME_VARIABLE, Home
from tasks.commands import python_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prefect import Flow
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Schedule

    from flows.server import ServerHandle

DEFAULT_CRON = "0 3 * * *"
DEFAULT_PORT = 4200
NIGHTLY = "foodvision/nightly"
_UP_RECORD = "up.json"
_UP_LOG = "up.log"
_UP_SECONDS = 180.0
_DOWN_SECONDS = 30.0
_POLL_SECONDS = 0.1
_QUERY_SECONDS = 2.0


@dataclass(frozen=True)
class ServeSettings:
    """What is served, and how much of it at once.

    Attributes:
        nightly_plan: path of the plan that `nightly` runs; `None`: each run must name its own,
            and there is no schedule.
        cron: when it runs, in UTC, once its schedule is switched on.
        limit: flow runs at the same time; `None`: as many as asked for.
    """

    nightly_plan: str | None = None
    cron: str = DEFAULT_CRON
    limit: int | None = None


def load_flow() -> Flow[..., Any]:
    """Import the flow; it takes Prefect, so a few seconds."""
    from flows.grid import grid

    return grid


def serve_here(
    home: Home,
    settings: ServeSettings,
    *,
    on_ready: Callable[[ServerHandle], None],
    only_ours: bool = False,
    port: int | None = None,
    flow: Callable[[], Flow[..., Any]] = load_flow,
) -> None:
    """Serve the deployments `grid` and `nightly` until told to stop (Ctrl-C, SIGTERM).

    Args:
        home: of the runs, and of the server where FoodVision manages it.
        settings: what is served.
        on_ready: called once, when the deployments are known to the server.
        only_ours: use a server of ours, whatever Prefect is configured for.
        port: of a server of ours; any free one where there is none.
        flow: loads what is served; called while the server starts.

    Raises:
        ServerError: there is no server to be had.
        PlanError: the cron expression is none.
    """
    from flows.crashes import living_runs, mark_crashed

    os.environ[HOME_VARIABLE] = str(home.root)  # inherited by every run
    with local_server(home, only_ours=only_ours, port=port, meanwhile=flow) as server:
        mark_crashed(home)
        if home.alerts.is_file():
            from flows.alarms import tell_left

            tell_left(home, partial(living_runs, home))
        _run_until_stopped(flow(), settings, lambda: on_ready(server))
        mark_crashed(home)  # the runs that ended with us


def _run_until_stopped(
    flow: Flow[..., Any], settings: ServeSettings, on_ready: Callable[[], None]
) -> None:
    import asyncio

    from prefect.runner import Runner

    class StoppableRunner(Runner):
        """Ends on SIGTERM as on Ctrl-C; Prefect's own way leaves a coroutine unawaited."""

        work: asyncio.Task[None] | None = None

        async def start(self, run_once: bool = False, webserver: bool | None = None) -> None:
            self.work = asyncio.current_task()
            await super().start(run_once=run_once, webserver=webserver)

        def handle_sigterm(self, *_args: object, **_kwargs: object) -> None:
            if self.work:
                self.work.get_loop().call_soon_threadsafe(self.work.cancel)

    # A schedule that was switched on stays so until it is switched off, not until we stop.
    runner = StoppableRunner(
        name="foodvision",
        limit=settings.limit,
        pause_on_shutdown=False,
        query_seconds=_QUERY_SECONDS,
    )
    for deployment in _deployments(flow, settings):
        runner.add_deployment(deployment)
    on_ready()
    with suppress(KeyboardInterrupt, asyncio.CancelledError):  # the ways to be told to stop
        asyncio.run(runner.start())


def _deployments(flow: Flow[..., Any], settings: ServeSettings) -> list[RunnerDeployment]:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.types.entrypoint import EntrypointType

    parameters: dict[str, object] = {"refresh": True}
    if settings.nightly_plan:
        parameters["plan"] = settings.nightly_plan
    grid = RunnerDeployment.from_flow(
        flow,
        "grid",
        description="Runs a plan: its path, or the YAML itself.",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    nightly = RunnerDeployment.from_flow(
        flow,
        "nightly",
        description="Runs a plan on a schedule; sources are asked again.",
        parameters=parameters,
        schedules=_schedules(flow.name, settings),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return [grid, nightly]


def _schedules(flow_name: str, settings: ServeSettings) -> list[Schedule]:
    from prefect.schedules import Cron

    if not settings.nightly_plan:
        return []
    _check_cron(settings.cron)
    return [Cron(settings.cron, timezone="UTC", active=_was_switched_on(flow_name))]


def _check_cron(cron: str) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=cron)
    except ValueError as error:
        raise PlanError(
            f"--cron must be a cron expression of five fields, found {cron!r}. "
            f"Every night at three, UTC: {DEFAULT_CRON!r}."
        ) from error


def _was_switched_on(flow_name: str) -> bool:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{flow_name}/nightly")
        except ObjectNotFound:
            return False
    return any(schedule.active for schedule in known.schedules)


def paused_schedule(server: ServerHandle) -> str | None:
    """Return the id of `nightly`'s schedule while it is paused; `None`: there is none, or it runs.

    Args:
        server: that the deployments are known to; asked whatever Prefect is configured for here.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: server.api_url}),
        get_client(sync_client=True) as client,
    ):
        try:
            known = client.read_deployment_by_name(NIGHTLY)
        except ObjectNotFound:
            return None
    return next((str(each.id) for each in known.schedules if not each.active), None)


# -- up and down ------------------------------------------------------------------------------


def bring_up(
    home: Home,
    settings: ServeSettings,
    *,
    on_ready: Callable[[ServerHandle], None],
    port: int | None = None,
) -> None:
    """Run the home's own server and serve the deployments, in the foreground.

    Args:
        home: as in `serve_here`.
        settings: as in `serve_here`.
        on_ready: as in `serve_here`.
        port: of the server; 4200 where it is free, else any free one.

    Raises:
        ServerError: it runs already, or cannot start.
    """
    record = home.server / _UP_RECORD
    if _running(home):
        raise ServerError(
            f"One `foodvision up` serves a home, and {home.root} has one. "
            f"`foodvision down` stops it."
        )

    def note(server: ServerHandle) -> None:
        write_mark(record, ProcessMark.own())
        on_ready(server)

    try:
        wanted = port or _default_port()
        serve_here(home, settings, on_ready=note, only_ours=True, port=wanted)
    finally:
        record.unlink(missing_ok=True)


def bring_up_detached(home: Home, arguments: Sequence[str]) -> ServerHandle:
    """Run `foodvision up` in the background; return when it serves.

    Args:
        home: whose server.
        arguments: for `foodvision up`.

    Raises:
        ServerError: it runs already, or ended before it served, with the end of its log.
    """
    if _running(home):
        raise ServerError(f"`foodvision up` runs for {home.root} already.")
    home.server.mkdir(parents=True, exist_ok=True)
    log = home.server / _UP_LOG
    with log.open("wb") as out:
        child = subprocess.Popen(
            python_command("flows.cli", "main", ["up", *arguments]),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _UP_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if _running(home) and (server := find_server(home)):
            return server
        time.sleep(_POLL_SECONDS)
    raise ServerError(f"`foodvision up` must come up, but did not. {tail(log)}")


def take_down(home: Home) -> bool:
    """Stop what `foodvision up` runs for this home; return whether there was anything.

    Its runs are told to end; plans that were being run go on from the store next time.
    """
    record = home.server / _UP_RECORD
    found = read_mark(record)
    if not found or not found[0].is_alive():
        return False
    found[0].stop(patience=_DOWN_SECONDS)
    record.unlink(missing_ok=True)
    return True


def _running(home: Home) -> bool:
    found = read_mark(home.server / _UP_RECORD)
    return bool(found and found[0].is_alive())


def _default_port() -> int | None:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            return None
    return DEFAULT_PORT


# -- work pools -------------------------------------------------------------------------------


def note_folder() -> dict[str, str]:
    """Return where `prefect deploy` was started, and its home: a build step of `prefect.yaml`.

    The worker goes there before each run, so that relative plans, data and weights mean
    what they meant there.
    """
    return {"directory": str(Path.cwd()), "home": str(Home.current().root)}


def prefect_yaml() -> str:
    """Return the text of the shipped `prefect.yaml`, for folders that have only the wheel."""
    return Path(__file__).with_name("prefect.yaml").read_text(encoding="utf-8")
