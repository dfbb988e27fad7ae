from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

import flows.server
from flows.processes import ProcessMark, read_mark
from flows.server import RECORD, ServerHandle, find_server, local_server
from foodvision.errors import ServerError
from foodvision.home import Home
from tests.flows.conftest import run_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


BUSY = """
import sys
from pathlib import Path
from flows.server import local_server
from foodvision.home import Home

def load():
    import prefect

with local_server(Home(Path(sys.argv[1])), meanwhile=load):
    from prefect import flow, task

    @task
    def count(number):
        return number

    @flow
    def counting():
        futures = [count.submit(number) for number in range(40)]
        return [future.result() for future in futures]

    counting()
"""
IDLE = """
import time
from pathlib import Path
from flows.server import local_server
from foodvision.home import Home

with local_server(Home(Path({home!r})), only_ours=True) as server:
    print(server.was_started, flush=True)
    time.sleep(120)
"""


def _is_gone(home: Home, seconds: float = 30) -> bool:
    found = read_mark(home.server / RECORD)
    deadline = time.monotonic() + seconds
    while found and found[0].is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not (found and found[0].is_alive())


def test_second_user_shares_the_server_and_leaves_it_running(
    server: ServerHandle, server_home: Home
) -> None:
    with local_server(server_home, only_ours=True) as second:
        assert second.api_url == server.api_url
        assert second.is_ours
        assert not second.was_started
    found = find_server(server_home)
    assert found
    assert found.api_url == server.api_url


def test_it_serves_reports_beside_prefects_own_pages(
    server: ServerHandle, server_home: Home, tmp_path: Path
) -> None:
    page = server_home.reports / "a plan" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>found", encoding="utf-8")
    (server_home.root / "secret").write_text("not a report", encoding="utf-8")
    url = f"{server.ui_url}/foodvision/reports"
    assert httpx.get(f"{url}/a%20plan/report.html").text == "<p>found"
    assert httpx.get(f"{url}/..%2fsecret").status_code == 404
    asked = httpx.get(f"{server.ui_url}/ui-settings").json()
    assert asked["api_url"] == server.api_url  # whatever its port


def test_a_report_is_linked_where_it_can_be_opened(
    server: ServerHandle, server_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import artifacts

    linked: list[str] = []
    monkeypatch.setattr(artifacts, "create_link_artifact", lambda link, **_: linked.append(link))
    report = server_home.reports / "a #1" / "report.html"
    with local_server(server_home, only_ours=True):
        artifacts.show_report("a #1", report, home=server_home)
    other = Home(server_home.root / "other")
    artifacts.show_report("a #1", other.reports / "report.html", home=other)
    assert linked[0] == "/foodvision/reports/a%20%231/report.html"
    assert linked[1].startswith("file:///")


def test_the_environment_says_which_server(
    server: ServerHandle, server_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import get_current_settings

    monkeypatch.setenv("NO_PROXY", "intern.example, 127.0.0.1")
    monkeypatch.delenv("no_proxy", raising=False)
    with local_server(server_home, only_ours=True):
        assert os.environ["PREFECT_API_URL"] == server.api_url
        assert get_current_settings().api.url == server.api_url
        hosts = [os.environ[name] for name in ("NO_PROXY", "no_proxy")]  # the small one wins
        assert hosts == ["intern.example,127.0.0.1,localhost"] * 2


def test_a_configured_server_comes_first(
    server: ServerHandle,
    no_configured_server: None,
    monkeypatch: pytest.MonkeyPatch,
    prepared: Home,
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    with local_server(prepared) as handle:
        assert handle == ServerHandle(server.api_url, server.ui_url, is_ours=False)
    assert not (prepared.server / RECORD).exists()


def test_a_profile_configures_too(
    server: ServerHandle,
    no_configured_server: None,
    monkeypatch: pytest.MonkeyPatch,
    prepared: Home,
    tmp_path: Path,
) -> None:
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(
        f'active = "here"\n[profiles.here]\nPREFECT_API_URL = "{server.api_url}"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(profiles))
    with local_server(prepared) as handle:
        assert handle.api_url == server.api_url
        assert not handle.is_ours


def test_a_configured_server_must_answer(
    no_configured_server: None, monkeypatch: pytest.MonkeyPatch, prepared: Home
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        advice = f"{re.escape(url)}.* must answer, found: .*unset it, and FoodVision runs a server"
        with pytest.raises(ServerError, match=advice), local_server(prepared):
            pass


def test_a_server_that_cannot_start_shows_its_log(prepared: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        message = rf"it ended\. Its log is .*server\.log; the last lines:\n(.*\n)*.*{port}"
        with (
            pytest.raises(ServerError, match=message),
            local_server(prepared, only_ours=True, port=port),
        ):
            pass
    assert list((prepared.server / "users").iterdir()) == []


def test_a_busy_run_ends_without_a_word_and_loses_nothing(
    no_configured_server: None, prepared_home: Home, tmp_path: Path
) -> None:
    done = run_command(["-c", BUSY, str(prepared_home.root)], cwd=tmp_path)
    log = (prepared_home.server / "server.log").read_text(encoding="utf-8")
    assert done.returncode == 0, done.stderr
    for text in (done.stderr, done.stdout, log):
        assert "ERROR" not in text
        assert "Traceback" not in text
    assert _is_gone(prepared_home)
    database = sqlite3.connect(prepared_home.server / "prefect.db")
    query = "select state_name, count(*) from task_run where name like 'count-%' group by 1"
    assert database.execute(query).fetchall() == [("Completed", 40)]
    database.close()


def test_the_server_of_a_killed_user_ends_by_itself(
    no_configured_server: None,
    prepared_home: Home,
    start_python: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    user = start_python(IDLE.format(home=str(prepared_home.root)), cwd=tmp_path)
    assert user.stdout
    assert user.stdout.readline() == "True\n"
    user.kill()
    assert _is_gone(prepared_home)


@pytest.fixture
def prepared(tmp_path: Path) -> Home:
    """A home whose server never gets so far as to need a database."""
    from foodvision.home import Home

    return Home(tmp_path / "another home")


def test_a_server_that_ends_thread_by_thread_leaves_no_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(flows.server, "_CHILDREN", [child])
    # To others a process is gone with its first thread, while its parent still waits for the rest.
    later = threading.Timer(0.2, child.kill)
    monkeypatch.setattr(ProcessMark, "stop", lambda *_, patience: later.start())
    flows.server._stop(ProcessMark.of(child.pid))
    assert child.returncode is not None
    assert flows.server._CHILDREN == []
