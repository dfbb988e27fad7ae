from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.states import Completed, Running

from flows.crashes import living_runs, mark_crashed, marked_run
from flows.processes import ProcessMark, write_mark
from foodvision.home import Home
from foodvision.leases import own_lease
from foodvision.store import Store

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from flows.server import ServerHandle

pytestmark = pytest.mark.usefixtures("server")
GONE = {"pid": 2**22 + 1, "started_at": 1.0}


@flow(name="idle")
def idle() -> None:
    pass


@task(name="look")
def look() -> None:
    pass


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def _new_run(state: object) -> UUID:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(idle, state=state)
        client.create_task_run(look, flow_run_id=run.id, dynamic_key="1", state=Running())
    return run.id


def _leave_mark(home: Home, run_id: object, *, lease: str = "", **change: object) -> Path:
    path = home.server / "running" / f"{run_id}.json"
    own = ProcessMark.own()
    facts = {"host": own.host, "pid": own.pid, "started_at": own.started_at} | change
    write_mark(path, ProcessMark(**facts), lease=lease)
    return path


def _states(run_id: UUID) -> tuple[str | None, list[str | None]]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
        tasks = client.read_task_runs(flow_run_filter=wanted)
        return client.read_flow_run(run_id).state_name, [run.state_name for run in tasks]


def test_run_of_a_dead_process_becomes_crashed_with_its_tasks(home: Home) -> None:
    run_id = _new_run(Running())
    path = _leave_mark(home, run_id, **GONE)
    assert mark_crashed(home) == (str(run_id),)
    assert _states(run_id) == ("Crashed", ["Crashed"])
    assert not path.exists()


def test_run_of_a_living_process_is_left_alone(home: Home) -> None:
    run_id = _new_run(Running())
    with marked_run(home, str(run_id)):
        assert mark_crashed(home) == ()
        assert _states(run_id)[0] == "Running"
    assert list((home.server / "running").iterdir()) == []


def test_living_runs_are_those_under_way(home: Home) -> None:
    alive, dead = uuid4(), uuid4()
    _leave_mark(home, dead, **GONE)
    with marked_run(home, str(alive)):
        assert living_runs(home) == (str(alive),)
    assert living_runs(home) == ()


def test_a_lease_says_more_than_the_number_of_a_process(home: Home) -> None:
    """In another container the number means another process, or none."""
    living, dead = _new_run(Running()), _new_run(Running())
    lease = own_lease(Store(home.store).leases)
    _leave_mark(home, living, lease=str(lease), **GONE)
    _leave_mark(home, dead, lease=str(replace(lease, token="0" * 32)))
    assert mark_crashed(home) == (str(dead),)
    assert (_states(living)[0], _states(dead)[0]) == ("Running", "Crashed")


def test_run_on_another_machine_is_left_to_that(home: Home) -> None:
    run_id = _new_run(Running())
    path = _leave_mark(home, run_id, host="elsewhere", **GONE)
    assert mark_crashed(home) == ()
    assert path.exists()


def test_finished_run_keeps_its_state(home: Home) -> None:
    run_id = _new_run(Completed())
    path = _leave_mark(home, run_id, **GONE)
    mark_crashed(home)
    assert _states(run_id)[0] == "Completed"
    assert not path.exists()


def test_run_of_another_server_is_named_and_kept_for_it(home: Home, server: ServerHandle) -> None:
    run_id = uuid4()
    path = _leave_mark(home, run_id, **GONE)
    assert mark_crashed(home) == (str(run_id),)
    assert path.exists()


def test_mark_goes_when_the_run_fails(home: Home) -> None:
    with pytest.raises(ZeroDivisionError), marked_run(home, str(uuid4())):
        raise ZeroDivisionError
    assert list((home.server / "running").iterdir()) == []


def test_a_server_that_refuses_keeps_nobody_from_running(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from prefect.client.orchestration import SyncPrefectClient

    def refuse(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no")

    monkeypatch.setattr(SyncPrefectClient, "read_flow_run", refuse)
    run_id = uuid4()
    path = _leave_mark(home, run_id, **GONE)
    assert mark_crashed(home) == (str(run_id),)
    assert path.exists()
    assert f"Flow run {run_id} crashed, but Prefect could not be told" in caplog.text
