from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flows.processes import ProcessMark, read_mark, write_mark

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(60)"
)


def test_own_process_is_alive() -> None:
    assert ProcessMark.own().is_alive()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"started_at": 1.0}, id="the number was given to a new process"),
        pytest.param({"host": "elsewhere"}, id="another machine"),
        pytest.param({"pid": 2**22 + 1}, id="no such process"),
    ],
)
def test_is_not_alive(change: dict[str, float | str]) -> None:
    assert not replace(ProcessMark.own(), **change).is_alive()


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    mark = ProcessMark.of(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but not waited for
    assert not mark.is_alive()
    child.wait()


def test_stop_asks_first(
    start_python: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    child = start_python("import time; time.sleep(60)", cwd=tmp_path)
    ProcessMark.of(child.pid).stop(patience=30)
    assert child.wait() == -signal.SIGTERM


def test_stop_ends_what_does_not_listen(
    start_python: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    child = start_python(STUBBORN, cwd=tmp_path)
    assert child.stdout
    child.stdout.readline()
    ProcessMark.of(child.pid).stop(patience=0.2)
    assert child.wait() == -signal.SIGKILL


def test_stop_leaves_a_stranger_with_the_same_number_alone(
    start_python: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    child = start_python("import time; time.sleep(60)", cwd=tmp_path)
    replace(ProcessMark.of(child.pid), started_at=1.0).stop(patience=0.1)
    time.sleep(0.1)
    assert child.poll() is None


def test_marks_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "it's new" / "mark.json"
    write_mark(path, ProcessMark.own(), url="http://here")
    assert read_mark(path) == (ProcessMark.own(), {"url": "http://here"})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"pid": 1})])
def test_what_is_no_mark_reads_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mark.json"
    path.write_text(text, encoding="utf-8")
    assert read_mark(path) is None


def test_no_file_reads_none(tmp_path: Path) -> None:
    assert read_mark(tmp_path / "mark.json") is None
