"""What a person sees while a plan runs: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from foodvision.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from foodvision import progress

# Between two lines about the same piece of work, where there is no terminal.
_LINE_SECONDS = 5.0
_BAR_WIDTH = 18
# What Prefect says of a failed task run or flow run; the reason itself is told once, by us.
_TOLD_ALREADY = (
    "Task run failed with state",
    "Task run failed with exception",
    "Finished in state Failed",
    "Encountered exception during execution",
)
_PREFECT_HANDLERS = frozenset({"PrefectConsoleHandler", "_SafeStreamHandler"})


@contextmanager
def watching(*, quiet: bool = False, console: Console | None = None) -> Iterator[progress.Progress]:
    """Show progress on the error stream until the `with` block ends.

    Prefect's own lines are kept off the display; its warnings and errors come through above it.

    Args:
        quiet: show no progress, only warnings and errors.
        console: where to; by default the error stream.
    """
    console = console or Console(stderr=True, highlight=False)
    with _logging_to(console):
        if quiet:
            yield SILENT
        elif console.is_terminal:
            with LiveDisplay(console) as display:
                yield display
        else:
            yield PlainDisplay(console)


# -- on a terminal ----------------------------------------------------------------------------


class LiveDisplay:
    """Bars that move; each goes when its work is done, the first stays at the bottom."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=_BAR_WIDTH),
            _AmountColumn(table_column=Column(justify="right", no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
            console=console,
            expand=True,
            transient=True,
            refresh_per_second=4,
        )

    def __enter__(self) -> LiveDisplay:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, label: str, *, total: float | None, unit: str) -> progress.Bar:
        """Add a bar."""
        return _LiveBar(self._bars, self._bars.add_task(label, total=total, unit=unit))


class _LiveBar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: float) -> None:
        self._bars.advance(self._task, amount)

    def close(self) -> None:
        if self._task in self._bars.task_ids:
            self._bars.remove_task(self._task)


class _AmountColumn(ProgressColumn):
    """`3/8 epochs`, or `12.5/35.2 MB  3.1 MB/s`."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        amount = describe_amount(task.completed, task.total, unit)
        if unit == "bytes" and task.speed:
            amount += f"  {task.speed / 1e6:.1f} MB/s"
        return Text(amount, style="progress.download")


# -- elsewhere --------------------------------------------------------------------------------


class PlainDisplay:
    """Lines for a log: how far a piece of work is, every few seconds; what took long, at its end.

    Args:
        console: where the lines go.
        clock: seconds that only grow.
        every: seconds between two lines about the same work.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        every: float = _LINE_SECONDS,
    ) -> None:
        self._console = console
        self._clock = clock
        self._every = every

    def begin(self, label: str, *, total: float | None, unit: str) -> progress.Bar:
        """Begin to watch one piece of work."""
        return _PlainBar(self._say, self._clock, self._every, label, total, unit)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


class _PlainBar:
    def __init__(
        self,
        say: Callable[[str], None],
        clock: Callable[[], float],
        every: float,
        label: str,
        total: float | None,
        unit: str,
    ) -> None:
        self._say = say
        self._clock = clock
        self._every = every
        self._label = label
        self._total = total
        self._unit = unit
        self._done = 0.0
        self._began = self._said = clock()
        self._is_open = True

    def advance(self, amount: float) -> None:
        self._done += amount
        now = self._clock()
        is_whole = self._total is not None and self._done >= self._total  # then `close` says so
        if now - self._said >= self._every and not is_whole:
            self._said = now
            self._say(f"{self._label}: {self._amount()}{self._left(now)}")

    def close(self) -> None:
        seconds = self._clock() - self._began
        if self._is_open and seconds >= self._every:
            self._say(f"{self._label}: {self._amount()} in {describe_seconds(seconds)}")
        self._is_open = False

    def _amount(self) -> str:
        return describe_amount(self._done, self._total, self._unit)

    def _left(self, now: float) -> str:
        if not self._total or not 0 < self._done < self._total:
            return ""
        left = (now - self._began) * (self._total - self._done) / self._done
        return f", about {describe_seconds(left)} left"


# -- in words ---------------------------------------------------------------------------------


def describe_amount(done: float, total: float | None, unit: str) -> str:
    """Return `3/8 epochs`, `12.5/35.2 MB`, or without the total where it is not known."""
    if unit == "bytes":
        done, total, unit, digits = done / 1e6, total and total / 1e6, "MB", 1
    else:
        digits = 0
    amount = f"{done:,.{digits}f}"
    return f"{amount} {unit}" if total is None else f"{amount}/{total:,.{digits}f} {unit}"


def describe_seconds(seconds: float) -> str:
    """Return `42 s`, `3 min 05 s` or `2 h 10 min`; below ten seconds with a decimal."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


# -- logging ----------------------------------------------------------------------------------


class _Above(logging.Handler):
    """Prints warnings and errors above the bars; Prefect's server has the tracebacks."""

    def __init__(self, console: Console) -> None:
        super().__init__(level=logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(_TOLD_ALREADY):
            return
        style = "red" if record.levelno >= logging.ERROR else "yellow"
        line = Text(f"{record.levelname.lower()}: {record.getMessage()}", style=style)
        self._console.print(line, soft_wrap=True)


@contextmanager
def _logging_to(console: Console) -> Iterator[None]:
    """Have the console handlers of Prefect's loggers replaced for a while."""
    replaced = [
        (logger, handler)
        for logger in (logging.getLogger(), *_loggers())
        for handler in logger.handlers
        if type(handler).__name__ in _PREFECT_HANDLERS
    ]
    above = _Above(console)
    root = logging.getLogger()
    for logger, handler in replaced:
        logger.removeHandler(handler)
        if logger is not root and not logger.propagate:
            logger.addHandler(above)
    root.addHandler(above)
    try:
        yield
    finally:
        root.removeHandler(above)
        for logger, handler in replaced:
            logger.removeHandler(above)
            logger.addHandler(handler)


def _loggers() -> list[logging.Logger]:
    known = list(logging.root.manager.loggerDict.values())
    return [logger for logger in known if isinstance(logger, logging.Logger)]
