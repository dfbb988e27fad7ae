from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.deployments import run_deployment

from flows import serving
from flows.cli import services
from flows.serving import ServeSettings, note_folder, prefect_yaml, take_down
from foodvision.errors import PlanError
from foodvision.home import Home
from tests.flows.conftest import ROOT, run_command

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from flows.server import ServerHandle

SERVE = """
from pathlib import Path
from flows.serving import ServeSettings, serve_here
from foodvision.home import Home

def load():
    from tests.flows.standin import grid
    return grid

settings = ServeSettings("nightly plan.yaml", cron="5 4 * * *")
serve_here(Home(Path("my home").absolute()), settings, flow=load,
           on_ready=lambda server: print("ready", flush=True))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user works: relative plans mean what lies here."""
    folder = tmp_path / "it's a user's folder"
    folder.mkdir()
    (folder / "plan.yaml").write_text("by hand", encoding="utf-8")
    (folder / "nightly plan.yaml").write_text("by night", encoding="utf-8")
    return folder


def _finish(name: str, **parameters: Any) -> str | None:
    run = run_deployment(name, parameters=parameters, timeout=120, poll_interval=0.2)
    return run.state.message if run.state and not run.state.is_completed() else None


def test_served_runs_mean_the_users_folder(
    server: ServerHandle, folder: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    child = start_python(SERVE, cwd=folder, PREFECT_API_URL=server.api_url)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    said = folder / "my home" / "said.txt"

    assert _finish("foodvision/grid", plan="plan.yaml") is None
    assert said.read_text(encoding="utf-8") == f"by hand|False|{folder}"
    assert _finish("foodvision/nightly") is None
    assert said.read_text(encoding="utf-8") == f"by night|True|{folder}"

    with get_client(sync_client=True) as client:
        nightly = client.read_deployment_by_name("foodvision/nightly")
    assert [(s.schedule.cron, s.active) for s in nightly.schedules] == [("5 4 * * *", False)]

    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "Traceback" not in errors
    assert "Warning" not in errors


def test_a_worker_finds_the_folder_of_the_deployment(
    server: ServerHandle, folder: Path, tmp_path: Path
) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name="foodvision", type="process", base_job_template=template)
        client.create_work_pool(pool)
    text = prefect_yaml().replace("flows.grid.grid", "tests.flows.standin.grid")
    (folder / "prefect.yaml").write_text(text, encoding="utf-8")
    environment = {"PREFECT_API_URL": server.api_url, "FOODVISION_HOME": "my home"}
    deploy = ["-m", "prefect", "--no-prompt", "deploy", "--all"]
    deployed = run_command(deploy, cwd=folder, **environment)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr

    run = run_deployment("foodvision/grid", parameters={"plan": "plan.yaml"}, timeout=0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    worker = ["-m", "prefect", "worker", "start", "--pool", "foodvision", "--run-once"]
    worked = run_command(worker, cwd=elsewhere, PREFECT_API_URL=server.api_url)
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
    assert state
    assert state.is_completed(), f"{state.message}\n{worked.stdout}{worked.stderr}"
    said = (folder / "my home" / "said.txt").read_text(encoding="utf-8")
    assert said == f"by hand|False|{folder}"
    assert list(elsewhere.iterdir()) == []

    with get_client(sync_client=True) as client:
        nightly = client.read_deployment_by_name("foodvision/nightly")
    assert [schedule.active for schedule in nightly.schedules] == [False]
    assert nightly.parameters == {"plan": "plans/demo.yaml", "refresh": True}


def test_a_schedule_that_was_switched_on_stays_on_and_gets_runs(server: ServerHandle) -> None:
    from tests.flows.standin import grid

    renamed = grid.with_options(name="switched")
    settings = ServeSettings(nightly_plan="plan.yaml")
    with get_client(sync_client=True) as client:
        for wanted in (False, True):
            for deployment in serving._deployments(renamed, settings):
                assert deployment.apply()
            nightly = client.read_deployment_by_name("switched/nightly")
            assert [schedule.active for schedule in nightly.schedules] == [wanted]
            schedule = nightly.schedules[0]
            client.update_deployment_schedule(nightly.id, schedule.id, active=True)
        assert _planned_runs(client, nightly.id) > 0


def _planned_runs(client: SyncPrefectClient, deployment_id: UUID) -> int:
    """Wait for the server to plan the runs of a schedule (it looks every five seconds)."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        runs = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        )
        if runs:
            return sum(bool(run.auto_scheduled and run.next_scheduled_start_time) for run in runs)
        time.sleep(0.2)
    return 0


def test_without_a_plan_there_is_no_schedule(server: ServerHandle) -> None:
    from tests.flows.standin import grid

    _, nightly = serving._deployments(grid, ServeSettings())
    assert nightly.schedules == []
    assert nightly.parameters == {"refresh": True}


def test_the_command_that_switches_the_schedule_on_can_be_pasted(
    server: ServerHandle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.flows.standin import grid

    renamed = grid.with_options(name="pasted")
    monkeypatch.setattr(serving, "NIGHTLY", "pasted/nightly")
    said = []
    for plan in (None, "plan.yaml"):
        for deployment in serving._deployments(renamed, ServeSettings(nightly_plan=plan)):
            assert deployment.apply()
        services._announce(server, "Ctrl-C")
        said.append(capsys.readouterr().out)
    assert "schedule" not in said[0]
    *_, command = said[1].splitlines()
    assert command.startswith("  prefect deployment schedule resume pasted/nightly ")
    resumed = run_command(["-m", *command.split()], cwd=Path.cwd(), PREFECT_API_URL=server.api_url)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    services._announce(server, "Ctrl-C")
    assert "schedule" not in capsys.readouterr().out


def test_before_anything_is_deployed_there_is_no_schedule(
    server: ServerHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "NIGHTLY", "nobody/nightly")
    assert serving.paused_schedule(server) is None


@pytest.mark.parametrize("cron", ["", "daily", "61 * * * *", "* * *"])
def test_cron_must_be_one(cron: str) -> None:
    from tests.flows.standin import grid

    with pytest.raises(PlanError, match=r"--cron must be a cron expression of five fields, found"):
        serving._deployments(grid, ServeSettings(nightly_plan="plan.yaml", cron=cron))


def test_note_folder_is_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FOODVISION_HOME", "my home")
    assert note_folder() == {"directory": str(folder), "home": str(folder / "my home")}


def test_the_shipped_prefect_yaml_is_the_repositorys() -> None:
    assert (ROOT / "prefect.yaml").read_text(encoding="utf-8") == prefect_yaml()


def test_the_served_flow_is_the_deployed_one() -> None:
    flow = serving.load_flow()
    assert flow.name == "foodvision"
    assert f"entrypoint: {flow.__module__}.{flow.fn.__name__}\n" in prefect_yaml()


def test_down_says_when_nothing_is_up(tmp_path: Path) -> None:
    assert not take_down(Home(tmp_path))
