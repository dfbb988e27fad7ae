"""A worker: a process that does the jobs of another one, and says how far it is.

It reads requests from its standard input and writes replies to its standard output, both pickled
by the same version of this code. What libraries print goes to its error stream. It ends when the
input does: with the work in hand dropped where the process that asked is gone, however it went.
"""

from __future__ import annotations

import itertools
import logging
import os
import pickle
import queue
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from foodvision import leases
from foodvision.errors import FoodVisionError
from tasks.outcomes import attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from foodvision.progress import Bar
    from foodvision.stages.site import Site
    from tasks.outcomes import Job
    from tasks.runners import Workplace

_TELL_SECONDS = 0.1  # between two steps of a bar

# -- requests -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Open:
    """The first request: begin to work on a device (torch's name)."""

    workplace: Workplace
    device: str


@dataclass(frozen=True)
class Hold:
    """Jobs that may be asked for next; those of before are forgotten."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Do:
    """Do one of the held jobs, and keep in a log what is said meanwhile."""

    key: str
    log: Path | None = None


@dataclass(frozen=True)
class Settle:
    """Flush what the held jobs made."""


# -- replies ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Began:
    """A piece of work is on its way; `number` names it from now on."""

    number: int
    label: str
    total: float | None
    unit: str


@dataclass(frozen=True)
class Advanced:
    """So many more units of a piece of work are done."""

    number: int
    amount: float


@dataclass(frozen=True)
class Closed:
    """Nothing more will come of a piece of work."""

    number: int


@dataclass(frozen=True)
class Logged:
    """Something was logged."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class Done:
    """A request was met, or refused with an error."""

    value: Any = None
    error: FoodVisionError | None = None


# -- the process --------------------------------------------------------------------------------


def main() -> None:
    """Do what is asked until nobody can ask any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    outbox = _Outbox(Connection(os.dup(1), readable=False))
    inbox = _Inbox(Connection(os.dup(0), writable=False))
    os.dup2(2, 1)  # what libraries print is no reply
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _log_to(outbox)
    requests = iter(inbox)
    opened: Open = next(requests)
    site = _open(opened, outbox)
    outbox.send(Done())
    bench = _Bench(site)
    for request in requests:
        if isinstance(request, Hold):
            bench.hold(request.jobs)
        else:
            outbox.send(bench.meet(request))
    leases.give_up()
    os._exit(0)  # to take torch apart takes seconds


def _open(opened: Open, outbox: _Outbox) -> Site:
    import torch

    for module in ("rows", "training"):
        import_module(f"foodvision.stages.{module}")  # its seconds are no stage's
    device = torch.device(opened.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return opened.workplace.site(opened.device, _Mirror(outbox))


class _Bench:
    """The site, the jobs that are held, and what they made and was not flushed yet."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._held: dict[str, Job] = {}
        self._unflushed = ExitStack()

    def hold(self, jobs: Iterable[Job]) -> None:
        self._held = {job.key: job for job in jobs}
        self._unflushed.enter_context(self._site.store.flushing_together())

    def meet(self, request: Do | Settle) -> Done:
        if isinstance(request, Do):
            return Done(attempt(self._held[request.key], request.log, site=self._site))
        try:
            self._unflushed.close()
        except FoodVisionError as error:
            return Done(error=error)
        return Done()


class _Inbox:
    """Requests, one after the other; a thread waits for them so that the end is noticed at once."""

    def __init__(self, source: Connection) -> None:
        self._source = source
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unmet = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def __iter__(self) -> Iterator[Any]:
        while (message := self._waiting.get()) is not None:
            yield pickle.loads(message)
            with self._lock:
                self._unmet -= 1

    def _read(self) -> None:
        while True:
            try:
                message = self._source.recv_bytes()
            except (EOFError, OSError):
                break
            with self._lock:
                self._unmet += 1
            self._waiting.put(message)
        with self._lock:
            if self._unmet:  # whoever asked is gone: what is half done is dropped, as by a kill
                os._exit(1)
        self._waiting.put(None)


class _Outbox:
    """Replies; any thread may send them."""

    def __init__(self, sink: Connection) -> None:
        self._sink = sink
        self._lock = threading.Lock()

    def send(self, reply: Any) -> None:
        message = pickle.dumps(reply)
        try:
            with self._lock:
                self._sink.send_bytes(message)
        except OSError:  # nobody listens any more
            os._exit(1)


class _Mirror:
    """Tells the process that asked how far a piece of work is."""

    def __init__(self, outbox: _Outbox) -> None:
        self._outbox = outbox
        self._numbers = itertools.count()

    def begin(self, label: str, *, total: float | None, unit: str) -> Bar:
        number = next(self._numbers)
        self._outbox.send(Began(number, label, total, unit))
        return _MirroredBar(self._outbox, number)


class _MirroredBar:
    """Tells now and then: whoever listens may have other things to do."""

    def __init__(self, outbox: _Outbox, number: int) -> None:
        self._outbox = outbox
        self._number = number
        self._untold = 0.0
        self._told_at = time.monotonic()

    def advance(self, amount: float) -> None:
        self._untold += amount
        if time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._tell()

    def close(self) -> None:
        if self._untold:
            self._tell()
        self._outbox.send(Closed(self._number))

    def _tell(self) -> None:
        self._outbox.send(Advanced(self._number, self._untold))
        self._untold = 0.0
        self._told_at = time.monotonic()


class _Handler(logging.Handler):
    def __init__(self, outbox: _Outbox) -> None:
        super().__init__(level=logging.WARNING)
        self._outbox = outbox

    def emit(self, record: logging.LogRecord) -> None:
        self._outbox.send(Logged(record.name, record.levelno, record.getMessage()))


def _log_to(outbox: _Outbox) -> None:
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_Handler(outbox))
