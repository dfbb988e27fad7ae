"""The flow `foodvision`, deployed as `foodvision/grid`: a plan in, a ranked table out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from prefect import flow, runtime
from prefect.client.orchestration import get_client
from prefect.states import Completed, Failed

from flows.crashes import mark_crashed, marked_run
from flows.outcome import RunOutcome
from flows.run import Run
from flows.watching import current_watcher, watched_by
from foodvision.errors import FoodVisionError
from foodvision.files import telling_full_disk
from foodvision.home import Home
from foodvision.plan.alerts import mask_addresses
from tasks.journal import Journal, journals, read_journal
from tasks.loading import load_run, require_loadable
from tasks.plans import open_plan
from tasks.records import latest
from tasks.runners import wanted_workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefect.client.schemas.objects import State

    from foodvision.progress import Progress

_TAG = 80


def _run_name() -> str:
    plan = runtime.flow_run.parameters["plan"]
    if isinstance(plan, dict):
        return str(plan.get("name", "plan"))
    return "plan" if "\n" in plan else Path(plan).stem


@flow(name="foodvision", flow_run_name=_run_name, persist_result=False)
def grid(
    plan: str | dict[str, Any],
    set: dict[str, Any] | list[str] | None = None,  # noqa: A002 - the parameter's public name
    home: str | None = None,
    refresh: bool = False,
    workers: int | None = None,
) -> State[Any]:
    """Run a plan.

    Args:
        plan: path of a plan, its YAML text, or the plan as a mapping.
        set: overrides, `{"base.epochs": 3}` or `["base.epochs=3"]`.
        home: folder for everything that is kept; by default `FOODVISION_HOME`.
        refresh: ask the sources again whether their data changed.
        workers: processes per kind of device that do the work; 1: none but this one. By default
            `FOODVISION_WORKERS`, else one per device where there are several of a kind.
    """
    try:
        outcome = _run(plan, _overrides(set), home, refresh=refresh, workers=workers)
    except FoodVisionError as error:
        return Failed(message=str(error), data=error)
    made = Failed if outcome.failures else Completed
    return made(message=outcome.cells_in_words, data=outcome)


def _run(
    plan: str | dict[str, Any],
    overrides: list[str],
    home: str | None,
    *,
    refresh: bool,
    workers: int | None,
) -> RunOutcome:
    place = Home(Path(home).absolute()) if home else Home.current()
    place.require_usable()
    require_loadable(place)
    run = Run(
        open_plan(_source(plan), overrides),
        place,
        run_id=runtime.flow_run.id or str(uuid4()),
        overrides=overrides,
        workers=wanted_workers(workers),
        progress=current_watcher(),
    )
    _tag([mask_addresses(each, run.plan.alerts) for each in overrides])
    _close_crashed(place)
    with telling_full_disk(place.root), marked_run(place, run.run_id):
        return run.execute(refresh=refresh)


def run_plan(
    plan: str | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    home: Home,
    refresh: bool = False,
    workers: int | None = None,
    progress: Progress,
) -> RunOutcome:
    """Run a plan here and now, as `prefect deployment run foodvision/grid` would.

    Prefect must be set to a server (see `flows.server`); for the arguments, see `grid`.

    Raises:
        FoodVisionError: the plan is bad, or the home cannot be used.
    """
    with watched_by(progress):
        state = grid(
            plan if isinstance(plan, str) else dict(plan),
            set=list(overrides),
            home=str(home.root),
            refresh=refresh,
            workers=workers,
            return_state=True,
        )
    result = state.result(raise_on_failure=False)
    if isinstance(result, RunOutcome):
        return result
    if isinstance(result, BaseException):
        raise result
    raise RuntimeError(f"the flow ended as {state.name} without an outcome: {state.message}")


def _source(plan: str | dict[str, Any]) -> Path | str | dict[str, Any]:
    if isinstance(plan, str) and "\n" not in plan:
        return Path(plan)
    return plan


def _overrides(given: dict[str, Any] | list[str] | None) -> list[str]:
    if isinstance(given, dict):
        return [f"{path}={json.dumps(value)}" for path, value in given.items()]
    return list(given or ())


def _tag(overrides: Sequence[str]) -> None:
    """Let a run that is not of the plan as it stands be told, and found, by what was changed."""
    run_id = runtime.flow_run.id
    if not (overrides and run_id):
        return
    tags = dict.fromkeys((*runtime.flow_run.tags, *(_shorten(each) for each in overrides)))
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(run_id), tags=list(tags))


def _shorten(override: str) -> str:
    """Return an override as a tag: short enough to be read beside others."""
    return override if len(override) <= _TAG else f"{override[: _TAG - 1]}…"


def _close_crashed(home: Home) -> None:
    """Close the journals of runs whose process died, so that nothing reads `running` for ever."""
    gone = mark_crashed(home)
    for path in journals(home.journals) if gone else ():
        events = read_journal(path)
        if events and events[0]["run_id"] in gone and latest(events, "finished") is None:
            Journal(path).write("finished", status="crashed", counted={}, wall_seconds=None)
            load_run(path, home)
