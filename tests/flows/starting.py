"""Runs of plans in processes of their own, that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from foodvision.home import Home

_RUN = (
    "import sys\n"
    "from pathlib import Path\n"
    "from flows.grid import run_plan\n"
    "from foodvision.home import Home\n"
    "from foodvision.progress import SILENT\n"
    "run_plan(sys.argv[1], home=Home(Path(sys.argv[2])), progress=SILENT)\n"
)


def start(plan: Path, home: Home, *, workers: int = 1) -> subprocess.Popen[bytes]:
    """Start a run in a process group of its own, on the server that is configured here."""
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(plan), str(home.root)],
        env=os.environ | {"FOODVISION_WORKERS": str(workers)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_when(
    process: subprocess.Popen[bytes],
    is_due: Callable[[], bool],
    *,
    kill: Callable[[int, int], None] = os.killpg,
) -> None:
    """Kill a run's process group as soon as it is due.

    Raises:
        AssertionError: the run ended before, or it takes too long.
    """
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if is_due():
            kill(process.pid, signal.SIGKILL)
            process.wait()
            return
        time.sleep(0.002)
    raise AssertionError("the run ended before it could be killed")
