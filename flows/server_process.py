"""The local Prefect server's own process: it ends when nobody uses it any more.

Started as a child in a session of its own (a Ctrl-C at the terminal is the run's, not the
server's). Whoever uses it leaves a mark in `users/`; if all of them died without a word, as
`kill -9` makes them, the server notices and ends as well.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from flows.processes import read_mark
from foodvision.home import Home

if TYPE_CHECKING:
    from fastapi import FastAPI

LOCK = "server.lock"
REPORTS_PATH = "/foodvision/reports"
USERS = "users"
_LOOK_SECONDS = 2.0


def has_users(folder: Path) -> bool:
    """Return whether any process that uses the server of `folder` is alive; forget the others."""
    alive = False
    for path in (folder / USERS).glob("*.json"):
        found = read_mark(path)
        if found and (found[0].is_alive() or not found[0].is_here):
            alive = True
        else:
            path.unlink(missing_ok=True)
    return alive


def _end_when_unused(folder: Path) -> None:
    while True:
        time.sleep(_LOOK_SECONDS)
        if has_users(folder):
            continue
        with FileLock(folder / LOCK):  # nobody can arrive between the look and the end
            if not has_users(folder):
                os.kill(os.getpid(), signal.SIGTERM)
                return


def _serve_reports(reports: Path) -> None:
    """Let the server answer with the files of a folder, too: no page may link to `file://`."""
    from prefect.server.api import server
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    make = server.create_app

    def make_with_reports(*args: Any, **kwargs: Any) -> FastAPI:
        app = make(*args, **kwargs)
        files = StaticFiles(directory=reports, check_dir=False)
        app.router.routes.insert(0, Mount(REPORTS_PATH, files))  # before Prefect's own "/"
        return app

    server.create_app = make_with_reports


def main(folder: str, port: str) -> None:
    """Serve Prefect's API and pages, and the reports, on a loopback port until told to stop."""
    # Prefect's pages would ask port 4200, whatever port they come from.
    os.environ.setdefault("PREFECT_SERVER_UI_API_URL", f"http://127.0.0.1:{port}/api")
    _serve_reports(Home(Path(folder).parent).reports)
    threading.Thread(target=_end_when_unused, args=[Path(folder)], daemon=True).start()
    sys.argv = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
