"""Only one loader at a time, among all processes of all who share the folder."""

from __future__ import annotations

import json
import logging
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import filelock
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay
from tenacity.wait import wait_random_exponential

from warehouse.errors import LockedWarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tenacity import RetryCallState

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 0.5
_QUIET_SECONDS = 1.0


@contextmanager
def only_loader(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Be the only loader of `path` until the block ends.

    The lock is the system's (`flock` on `<path>.lock`), so it dies with its process. Beside it,
    `<path>.lock.json` says who holds it: pid, host and since when.

    Args:
        path: the published file.
        timeout_seconds: how long to wait for another loader, with growing pauses.

    Raises:
        LockedWarehouseError: another loader held it all that time; the message names it.
    """
    lock = filelock.FileLock(path.with_name(path.name + ".lock"))
    holder = path.with_name(path.name + ".lock.json")
    _acquire(lock, path, holder, timeout_seconds)
    try:
        _write_holder(holder)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def say_once(words: Callable[[], str]) -> Callable[[RetryCallState], None]:
    """Return what tenacity calls before it sleeps: tells people why nothing happens, once."""
    is_said = False

    def say(state: RetryCallState) -> None:
        nonlocal is_said
        if not is_said and (state.seconds_since_start or 0) >= _QUIET_SECONDS:
            is_said = True
            logger.warning("%s", words())

    return say


def _acquire(lock: filelock.BaseFileLock, path: Path, holder: Path, timeout_seconds: float) -> None:
    attempts = Retrying(
        retry=retry_if_exception_type(filelock.Timeout),
        wait=wait_random_exponential(multiplier=_FIRST_WAIT_SECONDS, max=_LONGEST_WAIT_SECONDS),
        stop=stop_after_delay(timeout_seconds),
        before_sleep=say_once(
            lambda: (
                f"{_named(holder)} is loading {path}; waiting for it for up to "
                f"{timeout_seconds:g} s"
            )
        ),
    )
    try:
        attempts(lock.acquire, blocking=False)
    except RetryError as error:
        raise LockedWarehouseError(
            f"one loader at a time writes {path}, and for {timeout_seconds:g} s {_named(holder)} "
            "has held the lock. Wait until it is done and try again, or end that process: the lock "
            "dies with it, and nothing of the published file is lost."
        ) from error


def _write_holder(holder: Path) -> None:
    facts = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    beside = holder.with_name(holder.name + ".new")
    beside.write_text(json.dumps(facts), encoding="utf-8")
    beside.replace(holder)


def _named(holder: Path) -> str:
    try:
        facts: dict[str, Any] = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {facts['pid']} on {facts['host']} (since {facts['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not said its name"
