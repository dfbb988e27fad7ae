"""Jobs, what became of each, and what a failure takes with it."""

from __future__ import annotations

import logging
import resource
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

from foodvision.errors import FoodVisionError, MemoryShortageError
from foodvision.home import path_in_home
from foodvision.plan.work import Tally
from foodvision.progress import STAGE_LOG
from tasks.logs import keeping, stage_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from foodvision.stages.site import Site
    from tasks.journal import Journal

logger = logging.getLogger(__name__)

_NOT_TRIED = "not tried, because what it needs failed: "


@dataclass(frozen=True)
class Job:
    """One piece of work of a run; it can be sent to another process.

    Attributes:
        kind: pixels, features, train or score.
        key: of the stage that it makes.
        label: for people.
        cells: ids of the cells that wait for it.
        needs: keys of jobs that must have succeeded before.
        devices: torch's names of those that may do it; which one acts on no bit.
        work: does it at a site, and returns the counted work.
    """

    kind: str
    key: str
    label: str
    cells: tuple[str, ...]
    needs: tuple[str, ...]
    devices: tuple[str, ...]
    work: Callable[[Site], Tally] = field(repr=False)


@dataclass(frozen=True)
class Attempt:
    """What became of trying a job.

    Attributes:
        tally: counted work.
        seconds: that it took.
        device: where it was tried; `None`: it was not.
        peak_memory_bytes: the most that the process has held so far.
        error: why it failed, in a sentence; `None`: it did not.
        lacks_memory: whether it failed because the device's memory is too small for it.
        details: what a developer wants to see of the failure.
        inexact: operators that ran without a deterministic version: equal keys then give equal
            results within a tolerance only.
        is_found: another run had made its stage when its turn came.
        waited_seconds: for other processes; not among `seconds`.
    """

    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    device: str | None = None
    peak_memory_bytes: int = 0
    error: str | None = None
    lacks_memory: bool = False
    details: str | None = None
    inexact: tuple[str, ...] = ()
    is_found: bool = False
    waited_seconds: float = 0.0


class Doer(Protocol):
    """Does jobs, or has them done."""

    def __call__(self, job: Job, log: Path | None = None) -> Attempt:
        """Do a job, and keep what is said meanwhile in `log`."""


def attempt(job: Job, log: Path | None = None, *, site: Site) -> Attempt:
    """Do a job here; whatever goes wrong is written down, never raised.

    Args:
        job: to do.
        log: keeps what is said meanwhile; `None`: nothing does.
        site: where to do it.
    """
    with keeping(log):
        STAGE_LOG.info("%s: begins on %s (%s %s)", job.label, site.device, job.kind, job.key)
        tried = _attempt(job, site)
        done = {name: count for name, count in asdict(tried.tally).items() if count}
        told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in done.items())
        ended = "failed" if tried.error else "found" if tried.is_found else "done"
        STAGE_LOG.info("%s after %.3f s%s", ended, tried.seconds, f": {told}" if told else "")
    return tried


def _attempt(job: Job, site: Site) -> Attempt:
    started = time.perf_counter()
    tally, error, details, lacks_memory = Tally(), None, None, False
    try:
        tally = job.work(site)
    except FoodVisionError as problem:
        error = str(problem)
        lacks_memory = isinstance(problem, MemoryShortageError)
        STAGE_LOG.exception("%s", error)
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        STAGE_LOG.exception("%s", error)
        details = traceback.format_exc()
    seconds = time.perf_counter() - started
    if lacks_memory:
        site.release_memory()
    is_found, waited = site.is_found, site.waited_seconds
    site.is_found, site.waited_seconds = False, 0.0
    return Attempt(
        tally=tally,
        seconds=max(seconds - waited, 0.0),
        device=str(site.device),
        peak_memory_bytes=peak_memory_bytes(),
        error=error,
        lacks_memory=lacks_memory,
        details=details,
        inexact=_take_inexact(site),
        is_found=is_found,
        waited_seconds=waited,
    )


def _take_inexact(site: Site) -> tuple[str, ...]:
    operators = tuple(site.inexact)
    site.inexact.clear()
    return operators


@dataclass
class Ledger:
    """Collects outcomes, from any thread, and writes each to the journal as it comes.

    Attributes:
        journal: of the run.
        logs: folder for a log of every job that is tried; `None`: none is kept.
        counted: work of all jobs together.
        failures: error by key.
        failed_logs: of each that failed, the log that tells most: its own, or that of what it
            needed; as records name it.
        finished: keys of the jobs that succeeded.
        shortages: keys of the failed jobs whose device has too little memory.
        measured: counted work and seconds of each job that succeeded, by key.
        found: keys of the jobs whose stage another run had made when their turn came.
        waited_seconds: that jobs waited for other processes, together.
    """

    journal: Journal
    logs: Path | None = None
    counted: Tally = field(default_factory=Tally)
    failures: dict[str, str] = field(default_factory=dict)
    failed_logs: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    shortages: set[str] = field(default_factory=set)
    measured: dict[str, tuple[Tally, float]] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    waited_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def attempt(self, job: Job, do: Doer) -> None:
        """Have a job done, or write down why not; a failing job never stops the others.

        One whose outcome is known is not tried again.
        """
        if self.knows(job.key):
            return
        reason = self._missing_need(job)
        self._note(job, do(job, self._log_of(job)) if reason is None else Attempt(error=reason))

    def give_up(self, job: Job, reason: str) -> None:
        """Write down that a job failed, unless its outcome is known."""
        if not self.knows(job.key):
            self._note(job, Attempt(error=reason))

    def revoke(self, jobs: Iterable[Job], reason: str) -> None:
        """Write down that jobs failed after all, which had ended well."""
        for job in jobs:
            if job.key in self.finished:
                self.finished.discard(job.key)
                self._note(job, Attempt(error=reason))

    def knows(self, key: str) -> bool:
        """Say whether the outcome of a job is known."""
        return key in self.finished or key in self.failures

    @property
    def seconds(self) -> float:
        """Return the seconds of all jobs that succeeded, one after the other."""
        return sum(seconds for _, seconds in self.measured.values())

    def failure(self, keys: Iterable[str]) -> str | None:
        """Return why one of these jobs failed, `None` if none did."""
        return next((self.failures[key] for key in keys if key in self.failures), None)

    def failure_log(self, keys: Iterable[str]) -> str | None:
        """Return the log that tells why one of these jobs failed, `None` if none does."""
        return next((self.failed_logs[key] for key in keys if key in self.failed_logs), None)

    def _log_of(self, job: Job) -> Path | None:
        return None if self.logs is None else stage_log(self.logs, job.kind, job.key)

    def _kept_log(self, job: Job) -> str | None:
        path = self._log_of(job)
        return path_in_home(path) if path is not None and path.exists() else None

    def _missing_need(self, job: Job) -> str | None:
        reason = self.failure(job.needs)
        if reason is None or reason.startswith(_NOT_TRIED):
            return reason
        return f"{_NOT_TRIED}{reason}"

    def _note(self, job: Job, tried: Attempt) -> None:
        log = self._kept_log(job)
        with self._lock:
            if tried.error is None:
                self.counted += tried.tally
                self.finished.add(job.key)
                self.measured[job.key] = (tried.tally, tried.seconds)
            else:
                self.failures[job.key] = tried.error
                if told := log or self.failure_log(job.needs):
                    self.failed_logs[job.key] = told
            if tried.lacks_memory:
                self.shortages.add(job.key)
            if tried.is_found:
                self.found.add(job.key)
            self.waited_seconds += tried.waited_seconds
        if tried.error is not None:
            logger.error("%s failed: %s", job.label, tried.error)
        if tried.is_found:
            logger.info(
                "%s: another run did it; waited for it: %.1f s", job.label, tried.waited_seconds
            )
        if tried.inexact:
            logger.warning(
                "%s: %s has no deterministic version on %s, so that its results are equal to those "
                "of another run within a tolerance, not to the bit",
                job.label,
                ", ".join(tried.inexact),
                tried.device,
            )
        self.journal.write(
            "stage",
            kind=job.kind,
            key=job.key,
            label=job.label,
            is_hit=False,
            seconds=tried.seconds,
            device=tried.device,
            tally=asdict(tried.tally),
            peak_memory_bytes=tried.peak_memory_bytes or peak_memory_bytes(),
            error=tried.error,
            traceback=tried.details,
            inexact=list(tried.inexact),
            is_found=tried.is_found,
            waited_seconds=tried.waited_seconds,
            log=log,
            cells=list(job.cells),
        )


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
