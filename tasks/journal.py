"""The journal: one append-only JSON-lines file per run, the only record besides the store.

Each line is `{"at": UTC time, "event": name, ...}`. A line is written whole and flushed to the
disk, alone or with those of the same second; after a crash the last ones may be missing or torn,
and what is torn is passed over when it is read.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from foodvision.files import Flushing, flush_files, telling_full_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


STARTED = "started"
DIED = "died"


@dataclass(frozen=True)
class Journal:
    """Writes one run's events."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event."""
        line = json.dumps(
            {"at": datetime.now(UTC).isoformat(), "event": event, **fields}, ensure_ascii=False
        )
        with telling_full_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(("\n" if _is_torn(self.path) else "") + line + "\n")
                file.flush()
                self._flushing.note()

    @contextmanager
    def flushing_together(self) -> Iterator[None]:
        """Let the events of this block be flushed once a second, and at its end."""
        with telling_full_disk(self.path), self._flushing.together():
            yield

    @cached_property
    def _flushing(self) -> Flushing:
        return Flushing(lambda: flush_files([self.path]))


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return a run's events in order; none where the journal's beginning is lost."""
    events = read_events(path)
    return events if events and events[0]["event"] == STARTED else []


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the events of a file in order, without lines that a crash has torn."""
    return read_events_from(path, 0)[0]


def read_events_from(path: Path, start: int) -> tuple[list[dict[str, Any]], int]:
    """Return the events of a file from a byte on, and the byte behind the last of them.

    A last line that is not whole may still be written: it begins where the next reading does.
    """
    with path.open("rb") as file:
        file.seek(start)
        # Only a line feed ends a line of JSON; text has other separators within (U+2028, U+0085).
        *whole, last = file.read().split(b"\n")
    events = [event for line in whole if (event := _event(line)) is not None]
    end = start + sum(len(line) + 1 for line in whole)
    if (event := _event(last)) is not None:
        return [*events, event], end + len(last)
    return events, end


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line.decode("utf-8", errors="replace"))
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _is_torn(path: Path) -> bool:
    """Say whether a file ends in the middle of a line."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def journals(folder: Path) -> Iterator[Path]:
    """Yield the journals of all runs, oldest file name first."""
    if folder.is_dir():
        yield from sorted(folder.glob("*.jsonl"))
