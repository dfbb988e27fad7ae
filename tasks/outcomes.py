"""What became of each job of a run, and what a failure takes with it."""

from __future__ import annotations

import logging
import resource
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from foodvision.errors import FoodVisionError
from foodvision.plan.work import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.journal import Journal

logger = logging.getLogger(__name__)

_NOT_TRIED = "not tried, because what it needs failed: "


@dataclass(frozen=True)
class Job:
    """One piece of work of a run.

    Attributes:
        kind: pixels, features, train or score.
        key: of the stage that it makes.
        label: for people.
        cells: ids of the cells that wait for it.
        needs: keys of jobs that must have succeeded before.
        work: does it, and returns the counted work.
    """

    kind: str
    key: str
    label: str
    cells: tuple[str, ...]
    needs: tuple[str, ...]
    work: Callable[[], Tally] = field(repr=False)


@dataclass
class Ledger:
    """Collects outcomes and writes each to the journal as it comes."""

    journal: Journal
    counted: Tally = field(default_factory=Tally)
    failures: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)

    def attempt(self, job: Job) -> None:
        """Do a job, or write down why not; a failing job never stops the others."""
        started = time.perf_counter()
        tally, error, details = Tally(), self._missing_need(job), None
        if error is None:
            try:
                tally = job.work()
            except FoodVisionError as problem:
                error = str(problem)
            except Exception as problem:
                error = f"{type(problem).__name__}: {problem}"
                details = traceback.format_exc()
        self._note(job, tally, time.perf_counter() - started, error, details)

    def failure(self, keys: Iterable[str]) -> str | None:
        """Return why one of these jobs failed, `None` if none did."""
        return next((self.failures[key] for key in keys if key in self.failures), None)

    def _missing_need(self, job: Job) -> str | None:
        reason = self.failure(job.needs)
        if reason is None or reason.startswith(_NOT_TRIED):
            return reason
        return f"{_NOT_TRIED}{reason}"

    def _note(
        self, job: Job, tally: Tally, seconds: float, error: str | None, details: str | None
    ) -> None:
        if error is None:
            self.counted += tally
            self.finished.add(job.key)
        else:
            self.failures[job.key] = error
            logger.error("%s failed: %s", job.label, error)
        self.journal.write(
            "stage",
            kind=job.kind,
            key=job.key,
            label=job.label,
            is_hit=False,
            seconds=seconds,
            tally=asdict(tally),
            peak_memory_bytes=peak_memory_bytes(),
            error=error,
            traceback=details,
            cells=list(job.cells),
        )


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
