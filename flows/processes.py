"""Processes that outlive a command: how they are told apart, found again and stopped."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from pathlib import Path

# Linux reports start times in clock ticks, and moves them a little when the clock is set.
_SAME_START_SECONDS = 2.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessMark:
    """What tells one process from every other that ever had its number.

    Attributes:
        host: name of the machine; a process elsewhere can neither be looked at nor stopped.
        pid: its number there.
        started_at: when it started, in seconds since the epoch.
    """

    host: str
    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """Return the mark of a process that runs here.

        Raises:
            psutil.NoSuchProcess: it has gone already.
        """
        return cls(socket.gethostname(), pid, psutil.Process(pid).create_time())

    @classmethod
    def own(cls) -> ProcessMark:
        """Return the mark of this process."""
        return cls.of(os.getpid())

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.host == socket.gethostname()

    def is_alive(self) -> bool:
        """Return whether it still runs on this machine; a zombie does not."""
        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.started_at) < _SAME_START_SECONDS
        except psutil.NoSuchProcess:
            return False

    def stop(self, *, patience: float) -> None:
        """Ask it to end, and end it where it has not done so after `patience` seconds."""
        for ask in (psutil.Process.terminate, psutil.Process.kill):
            if not self.is_alive():
                return
            try:
                ask(psutil.Process(self.pid))
            except psutil.NoSuchProcess:
                return
            deadline = time.monotonic() + patience
            while self.is_alive() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)


def write_mark(path: Path, mark: ProcessMark, **facts: str) -> None:
    """Write a mark and a few facts about its process to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(asdict(mark) | facts), encoding="utf-8")
    beside.replace(path)


def read_mark(path: Path) -> tuple[ProcessMark, dict[str, Any]] | None:
    """Return the mark and the facts in `path`; `None` where there are none to be had."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        mark = ProcessMark(facts.pop("host"), facts.pop("pid"), facts.pop("started_at"))
    except (FileNotFoundError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return mark, facts
