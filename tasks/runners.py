"""Where jobs are done: in this process, or in processes of their own, one or more per device.

A job gives the same bits wherever it is done: its key names the kind of device and the number of
threads, and everything random in it comes from the seed.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from foodvision.errors import StoreError, TrainingError
from foodvision.progress import SILENT
from tasks.outcomes import attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.progress import Progress
    from foodvision.stages.site import Site
    from tasks.outcomes import Doer, Job, Ledger

logger = logging.getLogger("foodvision.runners")

WORKERS_VARIABLE = "FOODVISION_WORKERS"

# To publish so many cells takes longer than the start of a worker, beside which it can be done.
MANY_CELLS = 250


@dataclass(frozen=True)
class Workplace:
    """All that a process must know to do jobs; it can be sent to one.

    Attributes:
        home: everything that is kept.
        base: the folder that relative paths of the plan start from.
    """

    home: Home
    base: Path

    def site(self, device: str, progress: Progress) -> Site:
        """Return a site of this process on a device (torch's name)."""
        import torch

        from foodvision.stages.site import Site
        from foodvision.store import Store

        store = Store(self.home.store)
        return Site(store, self.home, self.base, torch.device(device), progress)


class Runner(Protocol):
    """Does jobs, some of them at the same time."""

    @property
    def is_apart(self) -> bool:
        """Whether other processes do the jobs, so that this one is free for something else."""

    def workers(self, devices: Sequence[str]) -> int:
        """Return how many jobs can be done on these devices at the same time."""

    def taking(self, jobs: Sequence[Job]) -> AbstractContextManager[Doer]:
        """Take a device for jobs that have the same ones; waits where all of them are taken.

        What they make is flushed to the disk at the latest when the device is given back.

        Raises:
            StoreError: the disk did not take what the jobs made; some of it is not kept.
        """


class InProcess:
    """Does one job at a time, in the process and the thread that ask for it."""

    def __init__(self, workplace: Workplace, progress: Progress = SILENT) -> None:
        self._workplace = workplace
        self._progress = progress
        self._sites: dict[str, Site] = {}

    @property
    def is_apart(self) -> bool:
        """False."""
        return False

    def workers(self, devices: Sequence[str]) -> int:  # noqa: ARG002 - as in the protocol
        """Return 1."""
        return 1

    @contextmanager
    def taking(self, jobs: Sequence[Job]) -> Iterator[Doer]:
        """Take the first of the devices."""
        site = self._site(jobs[0].devices[0])
        with site.store.flushing_together():
            yield partial(attempt, site=site)

    def _site(self, device: str) -> Site:
        if device not in self._sites:
            self._sites[device] = self._workplace.site(device, self._progress)
        return self._sites[device]


def do_jobs(jobs: Sequence[Job], ledger: Ledger, runner: Runner) -> None:
    """Have jobs that have the same devices done one after the other, and write down the outcomes.

    Args:
        jobs: in an order that they can be done in.
        ledger: takes the outcomes.
        runner: does them.
    """
    try:
        with runner.taking(jobs) as do, ledger.journal.flushing_together():
            for job in jobs:
                ledger.attempt(job, do)
    except StoreError as error:
        ledger.revoke(jobs, str(error))


@contextmanager
def open_runner(
    workplace: Workplace,
    devices: Iterable[Sequence[str]],
    *,
    workers: int | None,
    cells: int = 0,
    progress: Progress = SILENT,
) -> Iterator[Runner]:
    """Give a runner for jobs on these devices; its processes end with the `with` block.

    Args:
        workplace: what the jobs are done with.
        devices: for every kind of job, torch's names of the devices that may do it.
        workers: processes per kind of device, at least one per device; 1: none but this one.
            `None`: one per device where there are several of a kind or many cells, else none but
            this one.
        cells: that wait for the jobs. Where they are many, and cores more than one, a worker lets
            this process publish those that have finished while the next are computed.
        progress: whoever watches.
    """
    seats = seats_for(devices, workers)
    is_one_of_each = len({seat.partition(":")[0] for seat in seats}) == len(seats)
    if workers == 1 or (is_one_of_each and (cells < MANY_CELLS or available_cores() == 1)):
        yield InProcess(workplace, progress)
        return
    from tasks.pool import Pool

    with Pool(workplace, seats, progress) as pool:
        yield pool


def seats_for(devices: Iterable[Sequence[str]], workers: int | None) -> list[str]:
    """Return the device of every worker process."""
    kinds: dict[str, dict[str, None]] = {}
    for names in devices:
        for name in names:
            kinds.setdefault(name.partition(":")[0], {})[name] = None
    seats: list[str] = []
    for found in kinds.values():
        names = list(found)
        count = max(len(names), workers or 0)
        seats += [names[number % len(names)] for number in range(count)]
    return seats


def wanted_workers(given: int | None) -> int | None:
    """Return the number of workers that was asked for, else what the environment says.

    Raises:
        TrainingError: it is no number of at least 1.
    """
    text = os.environ.get(WORKERS_VARIABLE, "") if given is None else str(given)
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise TrainingError(
            f"workers must be a whole number of at least 1, got {text!r}. Give --workers 2, set "
            f"{WORKERS_VARIABLE}, or leave both out."
        )
    return int(text)


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def warn_of_crowd(workers: int, threads: int) -> None:
    """Say so where processes on the CPU ask for more cores than there are."""
    cores = available_cores()
    if workers > 1 and workers * threads > cores:
        logger.warning(
            "%d workers with %d threads each want %d cores, found %d: they get in each other's "
            "way. Use fewer workers, or fewer threads (base.threads, which names other results).",
            workers,
            threads,
            workers * threads,
            cores,
        )
