"""A pool of worker processes, each on a device, alive for as long as a run."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Self

from foodvision.progress import SILENT
from tasks.commands import python_command
from tasks.logs import stage_log, write_failure
from tasks.outcomes import Attempt
from tasks.worker import Advanced, Began, Closed, Do, Done, Hold, Logged, Open, Settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from foodvision.progress import Bar, Progress
    from tasks.outcomes import Doer, Job
    from tasks.runners import Workplace

_END_SECONDS = 5.0
_AHEAD = 32  # jobs that a worker is asked for at a time: small ones take a second together
_TOLD_LINES = 20
_MOST_FAILED_STARTS = 2
_STOPPED = "the run was stopped before it was done. Run the plan again: only what is missing runs."


class Pool:
    """Does as many jobs at a time as it has workers; a `Runner`, and a context that ends them.

    The processes start at once and import torch side by side; each is asked one thing at a time.
    """

    def __init__(
        self, workplace: Workplace, devices: Sequence[str], progress: Progress = SILENT
    ) -> None:
        """Start the processes.

        Args:
            workplace: what jobs are done with.
            devices: of every worker, torch's name.
            progress: whoever watches.
        """
        self._seats = [_Seat(workplace, device, progress) for device in devices]
        self._free = list(self._seats)
        self._changed = threading.Condition()
        for seat in self._seats:
            seat.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; what they were at is dropped."""
        for seat in self._seats:
            seat.close()
        deadline = time.monotonic() + _END_SECONDS
        for seat in self._seats:
            seat.wait(deadline)

    @property
    def pids(self) -> tuple[int, ...]:
        """Numbers of the processes that run."""
        return tuple(seat.worker.process.pid for seat in self._seats if seat.worker)

    @property
    def is_apart(self) -> bool:
        """True."""
        return True

    def workers(self, devices: Sequence[str]) -> int:
        """Return how many workers are on one of these devices."""
        return sum(seat.device in devices for seat in self._seats)

    @contextmanager
    def taking(self, jobs: Sequence[Job]) -> Iterator[Doer]:
        """Take a worker for jobs that have the same devices; waits where all are taken."""
        with self._taken(jobs[0].devices) as seat:
            seat.hold(jobs)
            try:
                yield seat.do
            finally:
                seat.settle()

    @contextmanager
    def _taken(self, devices: Sequence[str]) -> Iterator[_Seat]:
        seat = self._take(devices)
        try:
            yield seat
        finally:
            with self._changed:
                self._free.append(seat)
                self._changed.notify_all()

    def _take(self, devices: Sequence[str]) -> _Seat:
        with self._changed:
            while True:
                for seat in self._free:
                    if seat.device in devices:
                        self._free.remove(seat)
                        return seat
                self._changed.wait()


class _GoneError(Exception):
    """The process at the other end is no longer there."""


@dataclass
class _Seat:
    """A place for one worker after the other: one that died is replaced when it is needed."""

    workplace: Workplace
    device: str
    progress: Progress
    worker: _Worker | None = None
    is_closed: bool = False
    _failed_starts: int = 0
    _jobs: tuple[Job, ...] = ()
    _told: _Worker | None = None
    _asked: deque[str] = field(default_factory=deque)

    def start(self) -> None:
        self.worker = _Worker(self.workplace, self.device)

    def close(self) -> None:
        self.is_closed = True
        if self.worker:
            self.worker.end()

    def wait(self, deadline: float) -> None:
        if self.worker:
            self.worker.wait(deadline)

    def hold(self, jobs: Sequence[Job]) -> None:
        self._jobs, self._told = tuple(jobs), None

    def do(self, job: Job, log: Path | None = None) -> Attempt:
        """Have a held job done; a worker that dies of it is an outcome, too."""
        started = time.perf_counter()
        try:
            worker = self._ready()
            if self._told is not worker:
                self._asked.clear()
                worker.send(Hold(self._jobs))
                self._told = worker
            self._ask(worker, job, log)
            tried: Attempt = self._answer(worker, job.key).value
        except _GoneError as gone:
            error = _STOPPED if self.is_closed else str(gone)
            last_words = self.worker.last_words if self.worker else None
            if log is not None:
                write_failure(log, f"{error}\n{last_words or ''}")
            return Attempt(
                seconds=time.perf_counter() - started,
                device=self.device,
                error=error,
                details=last_words,
            )
        return tried

    def _ask(self, worker: _Worker, job: Job, log: Path | None) -> None:
        """Ask for a job, and for those behind it that need none that is not answered yet."""
        first = self._jobs.index(job)
        for each in self._jobs[first : first + _AHEAD]:
            if each.key in self._asked:
                continue
            if each is not job and not set(self._asked).isdisjoint(each.needs):
                break
            own = None if log is None else stage_log(log.parent, each.kind, each.key)
            worker.send(Do(each.key, own))
            self._asked.append(each.key)

    def _answer(self, worker: _Worker, key: str | None = None) -> Done:
        """Wait for the answer to a job; those before it, or all, are of jobs nobody wants now."""
        done = Done()
        while self._asked:
            done = worker.hear(self.progress)
            if self._asked.popleft() == key:
                break
        return done

    def settle(self) -> None:
        """Have what the held jobs made flushed; the system does it for a worker that has died.

        Raises:
            StoreError: the disk did not take it.
        """
        if self._told is None or self._told.is_gone or self.is_closed:
            return
        try:
            self._answer(self._told)
            done = self._told.ask(Settle(), self.progress)
        except _GoneError:
            return
        if done.error:
            raise done.error

    def _ready(self) -> _Worker:
        """Return a worker that has opened its site, a new one where the last has died."""
        while not self.is_closed and self._failed_starts < _MOST_FAILED_STARTS:
            if self.worker is None or self.worker.is_gone:
                self.start()
            worker = self.worker
            if worker is None or worker.is_open:
                break
            try:
                worker.open(self.progress)
                self._failed_starts = 0
            except _GoneError:
                self._failed_starts += 1
        if self.worker is None or self.worker.is_gone or self.is_closed:
            raise _GoneError(self.worker.epitaph() if self.worker else _STOPPED)
        return self.worker


@dataclass
class _Worker:
    """One process, and the two pipes to it.

    Attributes:
        workplace: what jobs are done with.
        device: torch's name.
        is_open: whether it can be asked.
        is_gone: whether it was found dead.
        last_words: the end of its error stream, once it is dead.
    """

    workplace: Workplace
    device: str
    is_open: bool = False
    is_gone: bool = False
    last_words: str = ""
    _bars: dict[int, Bar] = field(default_factory=dict)
    _end_lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        command = python_command("tasks.worker", "main")
        self.process = subprocess.Popen(
            [command[0], "-X", "faulthandler", *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        ends = (self.process.stdin, self.process.stdout)
        handles = [os.dup(end.fileno()) for end in ends if end]
        for end in ends:
            if end:
                end.close()
        self._requests = Connection(handles[0], readable=False)
        self._replies = Connection(handles[1], writable=False)
        with suppress(_GoneError):  # whoever waits for it to open is told
            self.send(Open(self.workplace, self.device))

    def open(self, progress: Progress) -> None:
        """Wait until it has opened its site."""
        self.hear(progress)
        self.is_open = True

    def ask(self, request: Settle, progress: Progress) -> Done:
        """Send a request and wait for its end, telling whoever watches what comes between."""
        self.send(request)
        return self.hear(progress)

    def send(self, request: Any) -> None:
        message = pickle.dumps(request)
        try:
            self._requests.send_bytes(message)
        except OSError as error:
            raise self._gone() from error

    def end(self) -> None:
        """Let it see that nobody will ask any more."""
        with suppress(OSError):
            self._requests.close()

    def wait(self, deadline: float) -> None:
        """Wait for its end, and bring it about where that takes too long."""
        with self._end_lock:
            try:
                self.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if not self._errors.closed:
                self._errors.seek(0)
                lines = self._errors.read().decode(errors="replace").splitlines()
                self.last_words = "\n".join(lines[-_TOLD_LINES:])
                self._errors.close()

    def hear(self, progress: Progress) -> Done:
        """Wait for the end of the request that was sent first and has not ended."""
        while True:
            try:
                reply = pickle.loads(self._replies.recv_bytes())
            except (EOFError, OSError) as error:
                raise self._gone() from error
            if isinstance(reply, Done):
                return reply
            self._mirror(reply, progress)

    def _mirror(self, reply: Any, progress: Progress) -> None:
        if isinstance(reply, Began):
            bar = progress.begin(reply.label, total=reply.total, unit=reply.unit)
            self._bars[reply.number] = bar
        elif isinstance(reply, Advanced):
            self._bars[reply.number].advance(reply.amount)
        elif isinstance(reply, Closed):
            self._bars.pop(reply.number).close()
        elif isinstance(reply, Logged):
            logging.getLogger(reply.logger).log(reply.level, "%s", reply.text)

    def _gone(self) -> _GoneError:
        self.is_gone = True
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()
        self.end()
        self.wait(time.monotonic() + _END_SECONDS)
        return _GoneError(self.epitaph())

    def epitaph(self) -> str:
        """Say in a sentence how it ended."""
        code = self.process.returncode
        who = f"the worker process {self.process.pid} on {self.device}"
        advice = "Run the plan again: only what is missing is computed."
        if code == -signal.SIGKILL:
            return (
                f"{who} was killed. The system does that when memory runs out: then use fewer "
                f"workers, or a smaller micro_batch. {advice}"
            )
        if code < 0:
            return f"{who} ended by {signal.Signals(-code).name}. {advice}"
        said = [line.strip() for line in self.last_words.splitlines() if line.strip()]
        return f"{who} ended with code {code} ({said[-1] if said else 'no word'}). {advice}"
