"""The command `foodvision`. Commands import what they need when they run: `--help` stays quick."""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from flows.cli.app import app
from foodvision.errors import FoodVisionError, ServerError
from foodvision.files import free_bytes, full_disk, lacks_room
from foodvision.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["main"]

_BAD_INPUT = 2
_UNEXPECTED = 1
_INTERRUPTED = 130
_NEXT_TO_NOTHING = 1 << 18


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: by default those of the process, which then ends here.

    Returns:
        The exit code: 0; 1 where a part of the work failed, or for errors nobody foresaw; 2 for
        bad input; 130 after Ctrl-C.
    """
    code = _run(arguments)
    if arguments is None:
        _leave(code)
    return code


def _leave(code: int) -> NoReturn:
    """End the process. Python would take torch and Prefect apart first: seconds, for nothing."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="foodvision")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _UNEXPECTED
    except FoodVisionError as error:
        _say((_foreseen(error) if isinstance(error, ServerError) else None) or str(error))
        return _BAD_INPUT
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough: `foodvision rank | head`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return 0
    except Exception as error:
        if told := _foreseen(error):
            _say(told)
            return _BAD_INPUT
        _say(
            f"Something went wrong that FoodVision did not foresee: {type(error).__name__}: "
            f"{error}\n{_log(error)}"
        )
        return _UNEXPECTED
    return 0


def _foreseen(error: Exception) -> str | None:
    """Say what can happen to any command that keeps something: a full disk, a home out of reach."""
    home = Home.current()
    free = free_bytes(home.root)
    # Where the disk is full, others fail in their own words: Prefect's server, for one.
    if lacks_room(error) or (free is not None and free < _NEXT_TO_NOTHING):
        return str(full_disk(home.root, error))
    if isinstance(error, OSError) and home.spoils(error):
        return str(home.unusable(error))
    return None


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _log(error: Exception) -> str:
    """Keep the details, and say where; or give them, where nothing can be written."""
    try:
        return f"The details are in {_write_log(error)}; please report them."
    except OSError as problem:
        details = "".join(traceback.format_exception(error))
        return f"The details could not be written to the home ({problem}):\n{details}"


def _write_log(error: Exception) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    log = Home.current().logs / f"{stamp}-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = traceback.format_exception(error)
    log.write_text(" ".join(sys.argv) + "\n\n" + "".join(lines), encoding="utf-8")
    return log
