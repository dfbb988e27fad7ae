"""Runs whose process died without a word, found and named.

A killed process cannot tell Prefect so, and its flow run would read `Running` for ever. Each run
therefore leaves a mark of its process in the home while it works, and holds a lease that dies with
it; whoever comes next looks which of those processes are gone.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.processes import ProcessMark, read_mark, write_mark
from foodvision.leases import Lease, is_over, own_lease
from foodvision.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State

    from foodvision.home import Home

logger = logging.getLogger("foodvision.crashes")

_UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")


@contextmanager
def marked_run(home: Home, run_id: str) -> Iterator[None]:
    """Let a run be known as the work of this process, as long as the `with` block lasts.

    Args:
        home: where the mark lies, until the block ends in whichever way but death.
        run_id: the flow run's id.
    """
    path = _folder(home) / f"{UUID(run_id)}.json"
    write_mark(path, ProcessMark.own(), lease=str(own_lease(_leases(home))))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def mark_crashed(home: Home) -> tuple[str, ...]:
    """Tell the current Prefect server which runs of this home crashed.

    A flow run whose process is gone becomes `Crashed`, as do its unfinished task runs. Marks of
    runs that this server does not know are kept for the server that does.

    Args:
        home: whose runs; marks from other machines are left to those.

    Returns:
        The ids of all runs of this home and machine whose process is gone, for the warehouse.
    """
    gone = {
        path: found[0]
        for path in sorted(_folder(home).glob("*.json"))
        if (found := read_mark(path)) and _is_gone(*found, home)
    }
    if gone:
        _tell({path: mark.pid for path, mark in gone.items()})
    return tuple(path.stem for path in gone)


def living_runs(home: Home) -> tuple[str, ...]:
    """Return the ids of the runs of this home that are under way, as far as can be seen."""
    return tuple(
        path.stem
        for path in sorted(_folder(home).glob("*.json"))
        if (found := read_mark(path)) and not _is_gone(*found, home)
    )


def _tell(pids: Mapping[Path, int]) -> None:
    import httpx
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for path, pid in pids.items():
            try:
                _mark_one(client, path, pid)
            except httpx.HTTPError as error:  # no reason to keep the next run from starting
                logger.warning(
                    "Flow run %s crashed, but Prefect could not be told and shows it as running "
                    "until the next run tries again: %s",
                    path.stem,
                    error,
                )


def _folder(home: Home) -> Path:
    return home.server / "running"


def _leases(home: Home) -> Path:
    return Store(home.store).leases


def _is_gone(mark: ProcessMark, facts: Mapping[str, Any], home: Home) -> bool:
    """Say whether the process of a run is gone for sure; older marks have no lease."""
    lease = Lease.parse(facts.get("lease", ""))
    if lease:
        return is_over(_leases(home), lease)
    return mark.is_here and not mark.is_alive()


def _mark_one(client: SyncPrefectClient, path: Path, pid: int) -> None:
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    run_id = UUID(path.stem)
    try:
        run = client.read_flow_run(run_id)
    except ObjectNotFound:
        return
    if run.state is None or not run.state.is_final():
        why: State[object] = Crashed(message=f"Its process ({pid}) ended without a word.")
        client.set_flow_run_state(run_id, why, force=True)
    _mark_tasks(client, run_id, pid)
    path.unlink(missing_ok=True)


def _mark_tasks(client: SyncPrefectClient, run_id: UUID, pid: int) -> None:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        TaskRunFilter,
        TaskRunFilterState,
        TaskRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    unfinished = TaskRunFilterStateType(any_=[StateType(name) for name in _UNFINISHED])
    tasks = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])),
        task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=unfinished)),
    )
    for task in tasks:
        why: State[object] = Crashed(
            message=f"The process of its flow run ({pid}) ended without a word."
        )
        client.set_task_run_state(task.id, why, force=True)
