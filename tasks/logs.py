"""Logs: what was said while a run went on, and while each of its stages did, as text files.

They lie in `logs/<stamp>-<run>/` of the home: `run.log`, and a file for each stage that was tried,
written by the process that tried it, line by line: what killed it is not what is lost.
"""

from __future__ import annotations

import logging
import time
import warnings
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from typing import TYPE_CHECKING

from foodvision.progress import STAGE_LOG
from tasks.journal import journals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from typing import TextIO

    from foodvision.home import Home
    from foodvision.store import Entry

logger = logging.getLogger(__name__)

RUN_LOG = "run.log"
_SHORT = 16
_WARNINGS = "py.warnings"


def logs_of(home: Home, journal: Path) -> Path:
    """Return the folder of the logs of the run that writes a journal."""
    return home.logs / journal.stem


def stage_log(folder: Path, kind: str, key: str) -> Path:
    """Return the file of a stage's log among those of a run."""
    return folder / f"{kind}-{key[:_SHORT]}.log"


@contextmanager
def keeping(path: Path | None, *, with_stages: bool = True) -> Iterator[None]:
    """Keep what this process logs, and what it warns of, while the block runs.

    A log that cannot be written stops nothing: that is warned of, and what is said is not kept.

    Args:
        path: appended to, made if missing; `None`: keep nothing.
        with_stages: also what stages tell of themselves.
    """
    handler = None if path is None else _open(path)
    if handler is None:
        yield
        return
    listened = [logging.getLogger(), *([STAGE_LOG] if with_stages else [])]
    with ExitStack() as stack:
        stack.callback(handler.close)
        for each in listened:
            each.addHandler(handler)
            stack.callback(each.removeHandler, handler)
        stack.enter_context(_warnings_to(handler))
        yield


def write_failure(path: Path, text: str) -> None:
    """Add to the log of a stage what its process could no longer say itself."""
    with suppress(OSError), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{text.rstrip()}\n")


def doomed_logs(
    home: Home,
    going: Collection[Entry],
    living: Collection[str],
    *,
    older_than: float | None = None,
) -> list[Path]:
    """Return the logs that have lost what they belong to: their run's journal, or their stage.

    Args:
        home: that they lie in.
        going: the entries of the store that go.
        living: ids of runs that are under way; their logs stay.
        older_than: also those that nobody has written to for so many days; `None`: no matter.
    """
    runs = {path.stem for path in journals(home.journals)}
    named = {stage_log(home.logs, entry.kind, entry.key).name for entry in going}
    limit = None if older_than is None else time.time() - older_than * 86_400
    return [
        path
        for path in sorted(home.logs.glob("*/*.log"))
        if not path.parent.name.endswith(tuple(living))
        and (
            path.parent.name not in runs
            or path.name in named
            or (limit is not None and path.stat().st_mtime < limit)
        )
    ]


def remove_logs(paths: Collection[Path]) -> None:
    """Remove logs, and the folders that they leave empty."""
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        with suppress(OSError):  # others lie in it
            folder.rmdir()


def _open(path: Path) -> logging.Handler | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _File(path)
    except OSError as error:
        logger.warning("%s cannot be written (%s): what is logged is not kept there", path, error)
        return None


class _File(logging.FileHandler):
    """Writes every record at once: the process may be killed with the next one."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(_Format())

    def emit(self, record: logging.LogRecord) -> None:
        is_told_again = _is_prefects(record, "Task run failed with state")  # its end says it, too
        if record.name != _WARNINGS and not is_told_again:  # those come by `_warnings_to`
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Go on: a full disk is told by what the stage itself writes."""


class _Format(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s%(source)s%(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        record = copy(record)
        if _is_prefects(record, "Finished in state Completed"):
            record.msg, record.args = "done", ()
        is_plain = record.name == STAGE_LOG.name and record.levelno == logging.INFO
        record.level = "" if is_plain else f"{record.levelname.lower()}: "
        # Prefect says whose record it is.
        names = [getattr(record, f"{each}_run_name", None) for each in ("task", "flow")]
        subject = next(filter(None, names), record.name)
        record.source = "" if record.name == STAGE_LOG.name else f"{subject}: "
        return super().format(record)


def _is_prefects(record: logging.LogRecord, begin: str) -> bool:
    return record.name.startswith("prefect.") and record.getMessage().startswith(begin)


@contextmanager
def _warnings_to(handler: logging.Handler) -> Iterator[None]:
    """Give a handler the warnings of Python, beside whoever shows them."""
    show = warnings.showwarning

    def note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = f"{category.__name__}: {message} ({filename}:{lineno})"
        handler.handle(logging.LogRecord("warnings", logging.WARNING, "", 0, text, None, None))
        show(message, category, filename, lineno, file, line)

    warnings.showwarning = note
    try:
        yield
    finally:
        warnings.showwarning = show
