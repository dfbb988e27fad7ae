"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from foodvision.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

_MANY_FILES = 64
_LATE_SECONDS = 1.0

# A disk is full, a share of it is used up, a file is larger than one may be.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# The same from libraries that keep no number: safetensors and DuckDB, numpy, torch.
_NO_ROOM_SAID = re.compile(
    rf"os error ({'|'.join(map(str, sorted(_NO_ROOM)))})\b|No space left|quota exceeded"
    r"|File too large|\d+ requested and \d+ written|inline_container.*unexpected pos",
    re.IGNORECASE,
)


def lacks_room(error: BaseException) -> bool:
    """Say whether an error means that the disk has no room, whichever library raised it."""
    number = getattr(error, "errno", None)
    return number in _NO_ROOM or bool(_NO_ROOM_SAID.search(str(error)))


def free_bytes(path: Path) -> int | None:
    """Return the free bytes of the disk that a path lies on, or would; `None`: not to be had."""
    for place in (path, *path.parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


@contextmanager
def telling_full_disk(path: Path) -> Iterator[None]:
    """Tell in our words where what is written to `path` finds no room.

    Raises:
        DiskFullError: it does not.
    """
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if not lacks_room(error):
            raise
        raise full_disk(path, error) from error


def full_disk(path: Path, error: BaseException) -> DiskFullError:
    """Return what to raise where writing to `path` found no room."""
    free = free_bytes(path)
    room = "" if free is None else f", whose disk has {free:,} bytes free"
    why = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return DiskFullError(
        f"what is written must have room on the disk, and there was none left for {path}{room} "
        f"({why}). `foodvision explain PLAN` says what a run writes. Make room (`foodvision store "
        "gc --unreached`) or set FOODVISION_HOME to a larger disk, and run it again: what is "
        "finished stays, nothing half written does."
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a new, empty file beside `path`, which takes its place if all goes well.

    Missing folders are made. Where the body raises, `path` stays as it was.

    Raises:
        OSError: the folder cannot be written.
        DiskFullError: its disk has no room.
    """
    with telling_full_disk(path):
        neighbour = path.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            neighbour.touch(exist_ok=False)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            neighbour.touch(exist_ok=False)
        try:
            yield neighbour
            neighbour.replace(path)
        finally:
            neighbour.unlink(missing_ok=True)


class Flushing:
    """Decides when what was written is flushed to the disk: at once, or together with more.

    A flush takes milliseconds, as long as many a small piece of work. What was written and not
    flushed survives the death of the process, but not that of the system.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        """Prepare.

        Args:
            flush: brings all that was written to the disk.
        """
        self._flush = flush
        self._blocks = 0
        self._lock = threading.Lock()
        self._flushed_at = time.monotonic()
        self._waits = False

    @property
    def is_late(self) -> bool:
        """Whether what is written now is flushed later."""
        return self._blocks > 0

    def note(self) -> None:
        """Say that something was written: it is flushed now, or with what comes after it."""
        self._waits = True
        if not self.is_late or time.monotonic() - self._flushed_at >= _LATE_SECONDS:
            self._do()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let what is written in this block be flushed once a second, and at its end."""
        with self._lock:
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
            if self._waits:
                self._do()

    def _do(self) -> None:
        self._waits = False
        self._flush()
        self._flushed_at = time.monotonic()


def flush_files(paths: Iterable[Path]) -> None:
    """Bring files and folders to the disk; those that are gone are passed over.

    Raises:
        OSError: the disk does not take them.
    """
    known = list(paths)
    if len(known) > _MANY_FILES:
        os.sync()  # one call for all: a data set has thousands of small files
        return
    for path in known:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write JSON values to a file, whole or not at all; equal values give equal bytes.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as neighbour:
        neighbour.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the JSON values in a file; `None` where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def holds(path: Path, facts: Mapping[str, Any]) -> bool:
    """Say whether a JSON file is there and states these facts, whatever else it states."""
    found = read_json(path)
    return isinstance(found, dict) and all(
        name in found and found[name] == value for name, value in facts.items()
    )
