"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a new, empty file beside `path`, which takes its place if all goes well.

    Missing folders are made. Where the body raises, `path` stays as it was.

    Raises:
        OSError: the folder cannot be written.
    """
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
