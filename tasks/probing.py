"""Try a little of what is to run, so that its time can be told: in a process of its own.

Whoever asks need not import torch. What is tried lies in a store of its own and is gone afterwards;
only the seconds stay.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from foodvision.errors import TrainingError
from foodvision.hashing import digest
from foodvision.home import Home
from foodvision.plan.expand import Cell
from foodvision.plan.graph import compile_cells
from foodvision.plan.input_schema import DataChoice
from foodvision.plan.load import load_plan
from foodvision.plan.pace import training_pace
from foodvision.plan.training_schema import ConstantSchedule
from foodvision.plan.work import plan_work
from foodvision.store import Store
from tasks.commands import python_command
from tasks.compiling import compile_plan
from tasks.finished import StoreFinished
from tasks.jobs import plan_tasks
from tasks.journal import Journal
from tasks.outcomes import Ledger
from tasks.paces import PaceBook
from tasks.runners import InProcess, Workplace
from tasks.verifying import empty_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.graph import Graph
    from foodvision.plan.schema import Plan
    from foodvision.plan.work import TrainJob, Work
    from foodvision.progress import Progress
    from tasks.compiling import CompiledPlan

# Batches of training, and images of rows for each. The first try pays for what a process pays once
# (libraries, models), and is not measured; two sizes tell what a stage takes beside its images.
_SIZES = (1, 2, 4)
_ROWS = 64
_SCORED = 8


def probe(plan: Plan, home: Home, *, progress: Progress) -> None:
    """Try a little of each missing stage of which nothing is known, and keep what it took.

    Args:
        plan: whose stages.
        home: where it would run.
        progress: whoever watches.

    Raises:
        TrainingError: it failed.
    """
    request = {"plan": plan.to_json(), "folder": str(plan.folder), "home": str(home.root)}
    command = python_command("tasks.probing", "main")
    with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+") as complaints:
        json.dump(request, asked)
        asked.seek(0)
        with subprocess.Popen(
            command, stdin=asked, stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as child:
            _watch(child.stdout or (), progress)
        complaints.seek(0)
        said = complaints.read().strip().splitlines()
    if child.returncode:
        last = next(iter(said[-1:]), "it said nothing")
        raise TrainingError(
            f"{plan.name}: a probe trains a few batches to measure them, and could not: {last}. "
            "Leave --probe out; running the plan tells more."
        )


def _watch(lines: Iterable[str], progress: Progress) -> None:
    """Show how far the child is: it says first how many tries there are, then each one's end."""
    numbers = (int(line) for line in lines if line.strip().isdigit())
    total = next(numbers, None)
    bar = progress.begin("try a little", total=total, unit="tries")
    for _ in numbers:
        bar.advance(1)
    bar.close()


def main() -> None:
    """Do what standard input asks for; say how many tries there are, and each one's end."""
    request = json.load(sys.stdin)
    plan = load_plan(request["plan"], folder=Path(request["folder"]))
    for step in _probe(plan, Home(Path(request["home"]))):
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()


def _probe(plan: Plan, home: Home) -> Iterator[int]:
    """Do the tries; yield how many there are, then the number of each that has ended."""
    compiled = compile_plan(plan, home)
    limit = plan.limits.features_bytes
    work = plan_work(compiled.graph, StoreFinished(Store(home.store)), features_bytes=limit)
    known = PaceBook(home).forecast(work, cells=len(compiled.graph.cells)).stages
    unknown = {key for key, seconds in known.items() if seconds is None}
    trainings = _different(work, unknown)
    yield len(_SIZES) * (1 + len(trainings))
    ended = count(1)
    with empty_store(home, _dataset_keys(compiled.graph)) as place:
        trial = _Trial(compiled, place)
        for batches in _SIZES:
            trial.rows(work, unknown, share=batches / _SIZES[-1])
            yield next(ended)
            for job in trainings:
                trial.train(job, work, batches=batches)
                yield next(ended)
            trial.book = PaceBook(home)


def _different(work: Work, unknown: set[str]) -> list[TrainJob]:
    """Return one training of each unknown pace."""
    found: dict[str, TrainJob] = {}
    for job in work.training:
        if job.span.key in unknown:
            found.setdefault(digest(dict(training_pace(job, work).exact)), job)
    return list(found.values())


def _dataset_keys(graph: Graph) -> list[str]:
    sets = [
        images
        for compiled in graph.cells
        for images in (compiled.chain.train, *compiled.image_sets.values())
    ]
    return sorted({images.dataset for images in sets})


class _Trial:
    """Does small pieces of a plan's work in an empty store.

    Attributes:
        book: gets what they take; `None`: nobody does.
    """

    def __init__(self, compiled: CompiledPlan, place: Home) -> None:
        self.book: PaceBook | None = None
        self._compiled = compiled
        self._place = place
        self._runner = InProcess(Workplace(place, compiled.plan.folder))

    def rows(self, work: Work, unknown: set[str], *, share: float) -> None:
        """Put some of the missing images through the recipes of which nothing is known."""
        jobs = [
            replace(job, missing=job.missing[: math.ceil(min(_ROWS, len(job.missing)) * share)])
            for job in work.rows
            if job.recipe.key in unknown and not job.live
        ]
        small = replace(work, rows=tuple(jobs), training=(), scoring=(), views=(), combining=())
        self._do(self._compiled.graph, replace(small, measuring=()))

    def train(self, job: TrainJob, work: Work, *, batches: int) -> None:
        """Train one epoch of a few batches."""
        live = {rows.recipe for rows in work.rows if rows.live}
        settings = _small(job, batches)
        cell = Cell("probe", "probe", "probe", {}, settings, 0)
        facts = self._compiled.facts
        graph = compile_cells([cell], facts)
        limit = 0 if job.span.phase.recipe in live else None
        finished = StoreFinished(Store(self._place.store))
        self._do(graph, plan_work(graph, finished, features_bytes=limit))

    def _do(self, graph: Graph, work: Work) -> None:
        ledger = Ledger(Journal(self._place.journals / "probe.jsonl"))
        for group in plan_tasks(graph, work, devices=self._compiled.facts.device_names):
            with self._runner.taking(group.jobs) as do:
                for job in group.jobs:
                    ledger.attempt(job, do)
        for error in ledger.failures.values():
            raise TrainingError(error)
        if self.book:
            self.book.learn(work, ledger.measured)


def _small(job: TrainJob, batches: int) -> CellSettings:
    """Return the settings of a phase, on a few batches of its data."""
    phase = job.span.phase
    settings, classes = phase.settings, phase.classes
    wanted = max(settings.batch_size * batches, classes)
    images = min(wanted, len(phase.train.images))
    scored = min([max(_SCORED, classes), *(len(images.images) for images in job.scored)])
    return settings.model_copy(
        update={
            "data": DataChoice(name=settings.data.name, count=images),
            "test": DataChoice(name=settings.test.name, count=scored),
            "valid": 0.0,
            "epochs": 1,
            "phases": (),
            "stop": None,
            "schedule": ConstantSchedule(),
            "accumulate": min(settings.accumulate, batches),
        }
    )
