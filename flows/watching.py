"""Who watches the run of this process: the live display of `foodvision run`, or nobody."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from foodvision.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

_WATCHER: ContextVar[Progress] = ContextVar("watcher", default=SILENT)


@contextmanager
def watched_by(progress: Progress) -> Iterator[None]:
    """Let `progress` watch the runs that start inside the `with` block."""
    token = _WATCHER.set(progress)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def current_watcher() -> Progress:
    """Return who watches."""
    return _WATCHER.get()
