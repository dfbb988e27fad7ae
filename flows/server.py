"""The Prefect server that a run reports to: the user's own, or a local one that we manage.

Prefect would start a temporary server inside the run by itself; that one prints tracebacks when
it is stopped after a busy run, and forgets nothing only by luck. So FoodVision either uses the
server that Prefect is configured for, or runs `prefect server start` as a process of its own, with
its database in the home, and shares it between all commands that work in that home.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from filelock import FileLock

from flows.processes import ProcessMark, read_mark, write_mark
from flows.server_process import LOCK, USERS, has_users
from foodvision.errors import ServerError
from tasks.commands import python_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from foodvision.home import Home

RECORD = "server.json"
LOG = "server.log"
_LOOPBACK = "127.0.0.1"
_START_SECONDS = 120.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 8.0
_RECORD_SECONDS = 20.0
_QUIET_SECONDS = 0.4
_PATIENCE_SECONDS = 3.0
_UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")
_LOG_LINES = 15
# What belongs to another server has no say in ours.
_NO_PROXY = ("NO_PROXY", "no_proxy")
_NOT_FOR_OUR_SERVER = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_PROFILE")
# Python keeps a child's process object alive until it has ended, or warns that it did not.
_CHILDREN: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class ServerHandle:
    """A server that answers, or will once `wait` returns.

    Attributes:
        api_url: what `PREFECT_API_URL` must say to reach it.
        ui_url: its pages, for a browser.
        is_ours: whether FoodVision runs it for this home.
        was_started: whether this very call started it.
    """

    api_url: str
    ui_url: str
    is_ours: bool
    was_started: bool = False


@contextmanager
def local_server(
    home: Home,
    *,
    only_ours: bool = False,
    port: int | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Iterator[ServerHandle]:
    """Have a Prefect server for the length of a `with` block.

    The server that Prefect is configured for (`PREFECT_API_URL`, a profile) comes first; else the
    one that another command runs for this home; else a new one, which takes about five seconds.
    Inside the block, this process and its children are configured for that server. The last one
    to leave stops a server of ours.

    Args:
        home: whose `server` folder holds the database, the log and the marks of the users.
        only_ours: never use a server that Prefect is configured for.
        port: of a new server on the loopback address; any free one where there is none.
        meanwhile: called while a new server starts, for what takes long and can be done at once:
            importing the flow, say. Prefect's settings are right by then.

    Raises:
        ServerError: the configured server does not answer, or a new one does not start.
    """
    if not only_ours and (url := _configured_url()):
        _check_configured(url)
        with _settings(url, {}):
            if meanwhile:
                meanwhile()
            yield ServerHandle(url, url.removesuffix("/api"), is_ours=False)
        return
    own = _own_environment(home.server)
    with _membership(home.server, port) as seat, _settings(f"{seat.url}/api", own):
        if meanwhile:
            meanwhile()
        _wait_until_healthy(seat.server, seat.url, home.server / LOG)
        try:
            yield ServerHandle(
                f"{seat.url}/api", seat.url, is_ours=True, was_started=seat.was_started
            )
        finally:
            _flush()


def find_server(home: Home) -> ServerHandle | None:
    """Return the server that runs for this home just now, if one does and answers."""
    found = read_mark(home.server / RECORD)
    if not found or not found[0].is_alive() or not _is_healthy(found[1]["url"]):
        return None
    url = found[1]["url"]
    return ServerHandle(f"{url}/api", url, is_ours=True)


# -- the server that Prefect is configured for ------------------------------------------------


def _configured_url() -> str | None:
    if url := os.environ.get("PREFECT_API_URL"):
        return url.rstrip("/")
    if not _has_prefect_files():  # saves the second that importing Prefect takes
        return None
    from prefect.settings import Settings

    return Settings().api.url or None


def _has_prefect_files() -> bool:
    folder = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or folder / "profiles.toml")
    names = ("prefect.toml", "pyproject.toml", ".env")
    return profiles.exists() or any(_mentions_url(Path(name)) for name in names)


def _mentions_url(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
    return "prefect" in text and "url" in text and "api" in text


def _check_configured(url: str) -> None:
    from prefect.client.orchestration import get_client

    with _settings(url, {}), get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
    if trouble is not None:
        raise ServerError(
            f"The Prefect server at {url} (from PREFECT_API_URL or a Prefect profile) must answer, "
            f"found: {type(trouble).__name__}: {trouble}. Start it, correct PREFECT_API_URL, or "
            f"unset it, and FoodVision runs a server of its own."
        ) from trouble


# -- our own ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seat:
    server: ProcessMark
    url: str
    was_started: bool


@contextmanager
def _membership(folder: Path, port: int | None) -> Iterator[_Seat]:
    """Be one of those who use the server of this folder; the last one out stops it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    path = folder / USERS / f"{os.getpid()}-{uuid4().hex[:8]}.json"
    with lock:
        write_mark(path, ProcessMark.own())
        try:
            seat = _sit_down(folder, port)
        except BaseException:
            path.unlink()
            raise
    since = datetime.now(UTC)
    try:
        yield seat
    finally:
        with lock:
            path.unlink(missing_ok=True)
            if not has_users(folder):
                if seat.server.is_alive():
                    _wait_until_recorded(seat.url, since)
                _stop(seat.server)
                (folder / RECORD).unlink(missing_ok=True)


def _sit_down(folder: Path, port: int | None) -> _Seat:
    found = read_mark(folder / RECORD)
    if found and found[0].is_alive():
        return _Seat(found[0], found[1]["url"], was_started=False)
    return _start(folder, port)


def _start(folder: Path, port: int | None) -> _Seat:
    port = port or _free_port()
    url = f"http://{_LOOPBACK}:{port}"
    with (folder / LOG).open("wb") as log:
        child = subprocess.Popen(
            python_command("flows.server_process", "main", str(folder), str(port)),
            cwd=folder,
            env=_server_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _CHILDREN.append(child)
    mark = ProcessMark.of(child.pid)
    write_mark(folder / RECORD, mark, url=url)
    return _Seat(mark, url, was_started=True)


def _stop(server: ProcessMark) -> None:
    """Stop a server, and take leave of it where it is a child of this process.

    To others it is gone when its first thread is; its parent hears of it when the last one is.
    """
    server.stop(patience=_STOP_SECONDS)
    for child in _CHILDREN:
        if child.pid == server.pid:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_STOP_SECONDS)
    _reap()


def _reap() -> None:
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _server_environment(folder: Path) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name not in _NOT_FOR_OUR_SERVER}
    return kept | _own_environment(folder) | _page_folder(folder)


def _own_environment(folder: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **dict.fromkeys(_NO_PROXY, _without_proxy()),
    }


def _without_proxy() -> str:
    """Return the hosts that are asked directly: those of either name, since one hides the other."""
    told = ",".join(os.environ.get(name, "") for name in _NO_PROXY).split(",")
    hosts = [host.strip() for host in told if host.strip()]
    return ",".join(dict.fromkeys([*hosts, _LOOPBACK, "localhost"]))


def _page_folder(folder: Path) -> dict[str, str]:
    """Where Prefect may put its pages, if it may not write beside its own code."""
    spec = importlib.util.find_spec("prefect")
    place = Path(spec.origin).parent / "server" if spec and spec.origin else None
    if place and os.access(place, os.W_OK):
        return {}
    return {"PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "pages")}


def _wait_until_healthy(mark: ProcessMark, url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(url):
        _reap()
        if not mark.is_alive():
            raise ServerError(f"The local Prefect server must start, but it ended. {tail(log)}")
        if time.monotonic() > deadline:
            raise ServerError(
                f"The local Prefect server at {url} must answer within {_START_SECONDS:.0f} s, "
                f"but did not. `foodvision down` stops it. {tail(log)}"
            )
        time.sleep(_POLL_SECONDS)


def _is_healthy(url: str) -> bool:
    try:
        with _direct().open(f"{url}/api/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _wait_until_recorded(url: str, since: datetime) -> None:
    """Wait until the server has written down the last states that this process told it.

    Task runs reach it as events, which it works through in its own time; stopped too soon, it
    forgets how the last of them ended, and fills its log with tracebacks.
    """
    runs = {"flow_runs": {"start_time": {"after_": since.isoformat()}}}
    unfinished = runs | {"task_runs": {"state": {"type": {"any_": list(_UNFINISHED)}}}}
    deadline = time.monotonic() + _RECORD_SECONDS
    known, quiet_since = (-1, -1), time.monotonic()
    while time.monotonic() < deadline:
        seen = _count_task_runs(url, runs), _count_task_runs(url, unfinished)
        if seen != known:
            known, quiet_since = seen, time.monotonic()
        # Tasks of an interrupted run stay unfinished for ever.
        elif time.monotonic() - quiet_since > (_PATIENCE_SECONDS if seen[1] else _QUIET_SECONDS):
            return
        time.sleep(_POLL_SECONDS)


def _count_task_runs(url: str, query: Mapping[str, object]) -> int:
    request = urllib.request.Request(
        f"{url}/api/task_runs/count",
        data=json.dumps(query).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with _direct().open(request, timeout=5) as answer:
            return int(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError):
        return 0  # it does not answer: there is nothing to wait for


def _direct() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def tail(log: Path) -> str:
    """Return where a log lies and its last lines, for the message of an error."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = [f"  {line}" for line in text.splitlines() if line.strip()][-_LOG_LINES:]
    return "\n".join([f"Its log is {log}; the last lines:", *(lines or ["  (nothing)"])])


# -- settings of this process -----------------------------------------------------------------


@contextmanager
def _settings(api_url: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Configure this process and its children for a server, whether Prefect is loaded or not."""
    wanted = {
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        **environment,
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        with ExitStack() as stack:
            if "prefect" in sys.modules:
                stack.enter_context(_loaded_settings(api_url))
            yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


@contextmanager
def _loaded_settings(api_url: str) -> Iterator[None]:
    from prefect.settings import temporary_settings

    updates = {
        "api.url": api_url,
        "server.ephemeral.enabled": False,
        "logging.to_api.when_missing_flow": "ignore",
    }
    with temporary_settings(updates):
        yield


def _flush() -> None:
    """Send what Prefect still holds back, before the server that shall have it is stopped."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=10, at_exit=False)
