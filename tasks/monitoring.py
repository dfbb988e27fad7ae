"""What the machine does while a run goes on, looked at now and then by a thread of its own."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import psutil

from tasks.gpus import GpuSample, open_gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Sample:
    """One look at the machine, and at a process with its children.

    Attributes:
        seconds: since the first look was prepared.
        cpu_percent: how busy all cores were since the last look, in [0, 100].
        run_cpu_percent: of one core, what the processes took since the last look.
        memory_bytes: in use on the machine.
        run_memory_bytes: held by the processes.
        read_bytes: from disks, by the processes so far; `None`: the system does not tell.
        written_bytes: to disks, likewise.
        free_disk_bytes: of the disk of a folder.
        gpu_percent: mean over GPUs, in [0, 100]; `None`: there are none, or they do not tell.
        gpu_memory_bytes: in use on all of them; `None` likewise.
        gpus: each of them.
    """

    seconds: float
    cpu_percent: float
    run_cpu_percent: float
    memory_bytes: int
    run_memory_bytes: int
    read_bytes: int | None
    written_bytes: int | None
    free_disk_bytes: int
    gpu_percent: float | None
    gpu_memory_bytes: int | None
    gpus: tuple[GpuSample, ...]


class Sampler:
    """Looks at the machine, and at this process and its children."""

    def __init__(self, folder: Path) -> None:
        """Prepare; percentages count from here on.

        Args:
            folder: on the disk whose free bytes count.
        """
        self._folder = folder
        self._started = self._looked_at = time.monotonic()
        self._own = psutil.Process()
        self._cpu_seconds: dict[int, float] = {}
        self._gpus = open_gpus()
        psutil.cpu_percent()
        self._take_cpu_seconds()

    def look(self) -> Sample:
        """Return what is to be seen now."""
        now = time.monotonic()
        used = self._take_cpu_seconds()
        passed = max(now - self._looked_at, 1e-3)
        self._looked_at = now
        memory, transfers = 0, [0, 0]
        told = True
        for process in self._processes():
            with suppress(psutil.Error):
                memory += process.memory_info().rss
                told = told and _add_transfers(process, transfers)
        gpus = tuple(look() for look in self._gpus)
        return Sample(
            seconds=now - self._started,
            cpu_percent=psutil.cpu_percent(),
            run_cpu_percent=100 * used / passed,
            memory_bytes=psutil.virtual_memory().used,
            run_memory_bytes=memory,
            read_bytes=transfers[0] if told else None,
            written_bytes=transfers[1] if told else None,
            free_disk_bytes=shutil.disk_usage(self._folder).free,
            gpu_percent=_over(fmean, [gpu.busy_percent for gpu in gpus]),
            gpu_memory_bytes=_over(sum, [gpu.memory_bytes for gpu in gpus]),
            gpus=gpus,
        )

    def _processes(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return [self._own, *self._own.children(recursive=True)]
        return [self._own]

    def _take_cpu_seconds(self) -> float:
        """Return the processor's seconds that the processes took since they were last asked."""
        found: dict[int, float] = {}
        for process in self._processes():
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        used = sum(seconds - self._cpu_seconds.get(pid, 0.0) for pid, seconds in found.items())
        self._cpu_seconds = found
        return max(0.0, used)


@contextmanager
def monitored(
    folder: Path, note: Callable[[dict[str, Any]], None], *, every_seconds: float = EVERY_SECONDS
) -> Iterator[None]:
    """Look at the machine now and then, as long as the block runs.

    Args:
        folder: see `Sampler`.
        note: gets every sample, in a thread of its own.
        every_seconds: between two looks; the first comes after as long.
    """
    ended = threading.Event()

    def watch() -> None:
        sampler = Sampler(folder)
        while not ended.wait(every_seconds):
            with suppress(OSError):  # a home that is gone, or full: the run itself will say so
                note(asdict(sampler.look()))

    thread = threading.Thread(target=watch, name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _add_transfers(process: psutil.Process, transfers: list[int]) -> bool:
    """Add the bytes that a process has read and written; say whether the system tells them."""
    try:
        counters = process.io_counters()
    except (AttributeError, NotImplementedError, psutil.AccessDenied):
        return False
    transfers[0] += counters.read_bytes
    transfers[1] += counters.write_bytes
    return True


def _over(combine: Callable[[Sequence[Any]], Any], values: Sequence[Any]) -> Any:
    """Combine the values that all GPUs tell; `None` where one does not, or there are none."""
    return combine(values) if values and None not in values else None
