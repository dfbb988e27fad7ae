"""Jobs for workers to do in tests: functions of a module, so that other processes can find them."""

from __future__ import annotations

import logging
import os
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from foodvision.errors import TrainingError
from foodvision.plan.work import Tally
from tasks.outcomes import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from foodvision.stages.site import Site


def job(key: str, work: Callable[..., Tally], *given: Any, needs: tuple[str, ...] = ()) -> Job:
    return Job("train", key, f"train {key}", (), needs, ("cpu",), partial(work, *given))


def count(epochs: int, site: Site) -> Tally:
    return Tally(epochs=epochs)


def watched(site: Site) -> Tally:
    os.write(1, b"what a library prints is no reply\n")
    bar = site.progress.begin("watched", total=3, unit="epochs")
    bar.advance(2)
    bar.advance(1)
    bar.close()
    logging.getLogger("foodvision.somewhere").warning("a %s word", "friendly")
    warnings.warn("a word of a library", stacklevel=1)
    return Tally()


def fail(site: Site) -> Tally:
    raise TrainingError("planted. Do not plant.")


def crash(site: Site) -> Tally:
    raise ZeroDivisionError("planted")


def die(number: int, site: Site) -> Tally:
    site.progress.begin("never ends", total=None, unit="epochs")
    os.kill(os.getpid(), number)
    return Tally()


def meet(here: Path, there: Path, site: Site) -> Tally:
    """Say that this worker is here, and wait for the other one."""
    here.write_text(str(os.getpid()))
    deadline = time.monotonic() + 60
    while not there.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody came to {there}")
        time.sleep(0.01)
    return Tally(epochs=1)
