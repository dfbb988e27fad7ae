"""Computing what a run has decided to do, and telling of its cells as they finish."""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flows.artifacts import ProgressArtifact
from flows.live import Pace
from foodvision.errors import FoodVisionError
from foodvision.plan.labels import span_label
from tasks.jobs import plan_tasks
from tasks.prefect_tasks import start_compute
from tasks.publishing import training_status
from tasks.runners import Workplace, open_runner, warn_of_crowd
from tasks.schedule import run_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from flows.alarms import Alarms
    from flows.live import Live
    from flows.run_journal import RunJournal
    from flows.settling import Settled
    from foodvision.plan.graph import Graph, Phase, Span
    from foodvision.plan.work import Work
    from foodvision.progress import Progress
    from tasks.facts import LibraryFacts
    from tasks.jobs import TaskGroup
    from tasks.outcomes import Ledger
    from tasks.publishing import Publisher
    from tasks.runners import Runner

logger = logging.getLogger("foodvision.run")

_NEEDED_LATER = (
    "foodvision.report.pictures",
    "foodvision.report.tensorboard",
    "tasks.report_contents",
)
_NO_OUTCOME = (
    "its task run ended without an outcome. Run the plan again: only what is missing runs."
)


class Computing:
    """Does the jobs of one run, as many at a time as there are workers."""

    def __init__(
        self,
        publisher: Publisher,
        *,
        journal: RunJournal,
        ledger: Ledger,
        live: Live,
        alarms: Alarms,
        workers: int | None,
        progress: Progress,
    ) -> None:
        """Prepare.

        Args:
            publisher: of the plan's results.
            journal: of the run.
            ledger: takes what becomes of jobs.
            live: tells of cells as they finish.
            alarms: look at them then.
            workers: processes per kind of device; see `open_runner`.
            progress: whoever watches.
        """
        self._publisher = publisher
        self._journal = journal
        self._ledger = ledger
        self._live = live
        self._alarms = alarms
        self._workers = workers
        self._progress = progress

    def compute(self, settled: Settled) -> bool:
        """Do what is missing, as far as it was not tried; return whether anything was tried."""
        graph, work, devices = settled.graph, settled.work, settled.facts.device_names
        if all(self._ledger.knows(key) for key in work.keys):
            return False
        phases = _running(graph, work)
        phases += [job.compiled.voices[0].compiled.phase for job in work.combining]
        asked = [devices(phase.settings) for phase in phases]
        cells = sum(bool(keys) for keys in work.waiting.values())
        with self._runner(asked, cells=cells) as runner:
            if runner.is_apart:
                self._live.pace = Pace.beside_workers()
                for module in _NEEDED_LATER:  # the workers' own imports take longer
                    import_module(module)
            warn_of_crowd(runner.workers(("cpu",)), max(p.settings.threads for p in phases))
            most = max(runner.workers(devices(phase.settings)) for phase in phases)
            record = self._publisher.plan.record
            groups = plan_tasks(graph, work, devices=devices, workers=most, record=record)
            self._do(groups, graph, work, runner)
        return True

    def fit_memory(self, settled: Settled) -> bool:
        """Halve the micro-batch of what did not fit; return whether anything is to be tried again.

        The stage then has another key, so that whatever was computed for the old one stays true.
        """
        training, shortages = settled.work.training, self._ledger.shortages
        short = [job for job in training if job.span.key in shortages]
        halved = [self._halve(job.span, settled.facts) for job in short]
        return any(halved)

    def ready(self, graph: Graph, work: Work) -> set[str]:
        """Return the ids of the cells whose jobs have all ended."""
        settled = self._ledger.finished | self._ledger.failures.keys()
        return {
            compiled.cell.cell_id
            for compiled in graph.cells
            if settled.issuperset(work.waiting[compiled.cell.cell_id]) and not compiled.open_watch
        }

    def outcomes(self, graph: Graph, work: Work, cell_ids: Collection[str]) -> list[dict[str, Any]]:
        """Return id, status, error and its log, of cells whose jobs have all ended."""
        found = []
        for compiled in graph.cells:
            cell_id = compiled.cell.cell_id
            if cell_id in cell_ids:
                error = self._ledger.failure(work.waiting[cell_id])
                store = self._publisher.store
                status = training_status(store, compiled) if error is None else "failed"
                log = self._ledger.failure_log(work.waiting[cell_id])
                found.append({"cell_id": cell_id, "status": status, "error": error, "log": log})
        return found

    def _runner(
        self, devices: Sequence[Sequence[str]], *, cells: int
    ) -> AbstractContextManager[Runner]:
        place = Workplace(self._publisher.home, self._publisher.plan.folder)
        return open_runner(
            place, devices, workers=self._workers, cells=cells, progress=self._progress
        )

    def _do(self, groups: Sequence[TaskGroup], graph: Graph, work: Work, runner: Runner) -> None:
        bar = self._progress.begin("cells", total=len(graph.cells), unit="cells")
        artifact = ProgressArtifact(len(groups))
        done: set[str] = set()

        def ended(group: TaskGroup) -> None:
            for job in group.jobs:
                self._ledger.give_up(job, _NO_OUTCOME)
            artifact.advance()
            ready = self.ready(graph, work) - done
            done.update(ready)
            bar.advance(len(ready))
            self._publish(ready, graph, work)
            self._live.settled(ready, partial(self.outcomes, graph, work))
            self._look(group, ready, graph, work)

        # Where this thread is free, one more than there are workers: it waits for the first that
        # is, while this thread is busy with a group that has ended.
        run_groups(
            groups,
            workers=lambda group: runner.workers(group.devices) + runner.is_apart,
            start=partial(start_compute, ledger=self._ledger, runner=runner),
            ended=ended,
        )
        bar.close()

    def _look(self, group: TaskGroup, ready: Collection[str], graph: Graph, work: Work) -> None:
        """Let alerts look at what a group of jobs has told of cells."""
        trained = (job for job in group.jobs if job.kind in ("train", "score"))
        touched = {cell_id for job in trained for cell_id in job.cells}
        self._alarms.look(
            (compiled, compiled.cell.cell_id in ready)
            for compiled in graph.cells
            if compiled.cell.cell_id in touched
            and self._ledger.failure(work.waiting[compiled.cell.cell_id]) is None
        )

    def _publish(self, cell_ids: Collection[str], graph: Graph, work: Work) -> None:
        """Publish cells whose jobs have all ended well; what fails is tried again at the end."""
        ready = [
            compiled
            for compiled in graph.cells
            if compiled.cell.cell_id in cell_ids
            and self._ledger.failure(work.waiting[compiled.cell.cell_id]) is None
        ]
        try:
            self._publisher.publish(self._publisher.missing(ready))
        except (FoodVisionError, OSError) as error:
            logger.debug("What has finished cannot be published just now: %s", error)

    def _halve(self, span: Span, facts: LibraryFacts) -> bool:
        settings = span.phase.settings
        limit = facts.memory.halve(settings, facts.device(settings))
        if limit is None:
            return False
        why = self._ledger.failures[span.key]
        self._journal.write("decision", what="micro_batch", value=limit, key=span.key, why=why)
        logger.warning(
            "%s: from now on with micro_batch: %d, until %s is deleted",
            span_label(span),
            limit,
            facts.memory.path,
        )
        return True


def _running(graph: Graph, work: Work) -> list[Phase]:
    """Return the phases whose models run: to train, to score, to look in a view, to be measured."""
    waiting = [
        phase
        for compiled in graph.cells
        if work.waiting[compiled.cell.cell_id]
        for phase in compiled.chain.phases
    ]
    looking = [job.score.compiled.phase for job in work.views]
    return waiting + looking + [job.stage.phase for job in work.measuring]
