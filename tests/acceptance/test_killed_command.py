"""The whole command, killed at random times with all of its processes, and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import warehouse
from flows.server import local_server
from foodvision.home import Home
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

KILLS = 20
GRID = """
grid:
  model: {head: {freeze: backbone}, whole: {hidden: 3}}
  optimizer.lr: [0.01, 0.02]
  epochs: [2, 6]
"""
FOUND = """
select distinct c.label, c.result_key, e.epoch, e.train_loss, e.test_loss, p.position, p.logits
from cell_runs c join epochs e using (result_key) join predictions p using (result_key)
where c.status = 'completed'
order by all
"""


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server that runs already, so that killed commands start quickly again."""
    with local_server(Home(tmp_path_factory.mktemp("server")), only_ours=True):
        yield


def start(plan: Path, home: Path) -> subprocess.Popen[bytes]:
    command = Path(sys.executable).with_name("foodvision")
    return subprocess.Popen(
        [command, "run", plan, "--home", home, "--workers", "2", "--quiet"],
        cwd=plan.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()


def kill(process: subprocess.Popen[bytes], after: float) -> bool:
    """Kill a command's process group after some seconds; return whether it lived so long."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    end(process)
    return False


def found(home: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = warehouse.query(Home(home).warehouse, FOUND).to_pylist()
    return rows


def test_killed_at_twenty_times_equals_undisturbed(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan_text(photos, GRID), encoding="utf-8")
    began = time.monotonic()
    end(start(plan, tmp_path / "undisturbed"))
    seconds = time.monotonic() - began
    expected = found(tmp_path / "undisturbed")
    assert len({row["label"] for row in expected}) == 8
    draw = random.Random(20)
    kills, homes = 0, 0
    while kills < KILLS:
        home = tmp_path / f"home {homes}"
        homes += 1
        while kill(start(plan, home), draw.uniform(0, seconds)):
            kills += 1
        assert found(home) == expected
        assert not list((home / "store" / "tmp").glob("*"))
