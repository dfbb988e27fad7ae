"""The journal: one append-only JSON-lines file per run, the only record besides the store.

Each line is `{"at": UTC time, "event": name, ...}`. A line is written whole and flushed to the
disk; after a crash the last one may be torn, and is passed over when it is read.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return a run's events in order, without a last line that a crash has torn."""
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def journals(folder: Path) -> Iterator[Path]:
    """Yield the journals of all runs, oldest file name first."""
    if folder.is_dir():
        yield from sorted(folder.glob("*.jsonl"))
