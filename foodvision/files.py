"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foodvision.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    why = str(error).strip().splitlines()[-1]
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
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
        os.close(handle)
        neighbour = Path(name)
        try:
            yield neighbour
            neighbour.chmod(_file_mode())  # mkstemp's are for their owner alone
            neighbour.replace(path)
        finally:
            neighbour.unlink(missing_ok=True)


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


@cache
def _file_mode() -> int:
    """Return what an ordinary new file would be allowed; asking for the mask sets it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
