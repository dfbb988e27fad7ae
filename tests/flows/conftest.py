from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from flows.server import ServerHandle, local_server
from foodvision.home import Home
from foodvision.report import pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
_DRAWING = {
    name: getattr(pictures, name)
    for name in (
        "ranking_bars",
        "learning_curves",
        "confusion_matrix",
        "prediction_grid",
        "reliability_diagram",
    )
}


@pytest.fixture(scope="session", autouse=True)
def _pictures_of_one_pixel() -> Iterator[None]:
    """To draw what a run found takes as long as the run; tests that look at it are `drawing`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _DRAWING:
            patch.setattr(pictures, name, _one_pixel)
        yield


def _one_pixel(*given: Any, **_: Any) -> Path:
    (path,) = (each for each in given if isinstance(each, Path))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (1, 1)).save(path)
    return path


@contextmanager
def drawing() -> Iterator[None]:
    """Let runs draw their pictures."""
    with pytest.MonkeyPatch.context() as patch:
        for name, draw in _DRAWING.items():
            patch.setattr(pictures, name, draw)
        yield


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("it's a home with spaces") / "home")


@pytest.fixture(scope="session")
def server(server_home: Home) -> Iterator[ServerHandle]:
    """One Prefect server for all tests; what it needs of the environment is set until the end."""
    with local_server(server_home, only_ours=True) as handle:
        yield handle


@pytest.fixture
def no_configured_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Prefect is configured for no server, as for most people."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(tmp_path / "no-profiles.toml"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def prepared_home(server: ServerHandle, server_home: Home, tmp_path: Path) -> Home:
    """A home of its own whose server starts without making its database first."""
    home = Home(tmp_path / "a home")
    home.server.mkdir(parents=True)
    with (
        sqlite3.connect(server_home.server / "prefect.db") as source,
        sqlite3.connect(home.server / "prefect.db") as copy,
    ):
        source.backup(copy)
    source.close()
    copy.close()
    return home


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python code that can import this repository; what still runs at the end is killed."""
    children: list[subprocess.Popen[str]] = []

    def start(code: str, *, cwd: Path, **environment: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=cwd,
            env=python_environment(**environment),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def python_environment(**changes: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name != "PREFECT_API_URL"}
    path = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH", "")) if part)
    return {**kept, "PYTHONPATH": path, **changes}


def run_command(
    arguments: Sequence[str], *, cwd: Path, timeout: float = 120, **environment: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments, able to import this repository."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=python_environment(**environment),
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
