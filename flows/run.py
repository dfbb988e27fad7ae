"""One run of a plan: from cells to a ranked table, step by step."""

from __future__ import annotations

import json
import logging
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.alarms import Alarms
from flows.artifacts import (
    LeaderboardArtifact,
    ProgressArtifact,
    show_pictures,
    show_report,
    show_work,
)
from flows.crashes import living_runs
from flows.live import Live, Pace
from foodvision.errors import FoodVisionError, StoreError
from foodvision.files import free_bytes
from foodvision.plan.alerts import mask_addresses, mask_webhooks
from foodvision.plan.composites import Composite, composites
from foodvision.plan.expand import Cell, expand
from foodvision.plan.footprint import footprint
from foodvision.plan.graph import CompiledCell, Graph, Phase, Span, compile_cells
from foodvision.plan.labels import span_label
from foodvision.plan.lint import lint
from foodvision.plan.phases import phase_steps
from foodvision.plan.work import Tally, Work, plan_work
from foodvision.store import Store
from tasks.accounting import find_defect
from tasks.environment import describe_environment
from tasks.facts import LibraryFacts
from tasks.finished import StoreFinished
from tasks.gallery import Gallery
from tasks.jobs import plan_tasks
from tasks.journal import Journal, read_journal
from tasks.loading import load_cells, load_run
from tasks.logs import RUN_LOG, keeping, logs_of, path_in_home, write_failure
from tasks.model_names import link_names
from tasks.monitoring import monitored
from tasks.outcomes import Ledger
from tasks.paces import PaceBook
from tasks.plan_data import fetch_data, known_data
from tasks.prefect_tasks import do_step, report_hits, start_compute
from tasks.publishing import Publisher, training_status
from tasks.ranking import rank_cells
from tasks.reach import REACH_LOCK
from tasks.records import cell_outcomes, system_samples
from tasks.reporting import Reporter
from tasks.runners import Workplace, check_weights, open_runner, warn_of_crowd
from tasks.schedule import run_groups
from tasks.soundness import set_damaged_aside

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from foodvision.data.datasets import Dataset
    from foodvision.home import Home
    from foodvision.plan.composite_stages import CompiledComposite
    from foodvision.plan.facts import ImageSet
    from foodvision.plan.schema import Plan
    from foodvision.progress import Progress
    from tasks.jobs import Devices, TaskGroup
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
_UNDECIDED = (
    "its stop rule could not decide: what it looks at is not in the store. Run the plan again: "
    "only what is missing runs."
)


@dataclass(frozen=True)
class RunOutcome:
    """What a run came to.

    Attributes:
        run_id: the flow run's id.
        plan_name: name of the plan.
        ranked_by: the metric that decides the ranking.
        cells: number of cells.
        cells_failed: number of cells that failed.
        failures: label and error of each cell, and of what is made of cells, that failed.
        failed_logs: label of these, and the log that tells why, where one does.
        naive: work that each cell alone would have been.
        predicted: work that the compiler predicted.
        counted: work that was done.
        is_bound: whether `predicted` is at most that much, because stop rules decided.
        hits: number of stages found in the store.
        found: number of missing stages that another run made in the meantime.
        waited_seconds: that workers waited for other runs, one after the other.
        predicted_seconds: that the missing stages were expected to take, one after the other, from
            what earlier runs measured here; `None`: not of all of them was something known.
        stage_seconds: that they took.
        wall_seconds: of the whole run.
        leaderboard: rows of the ranking, best first.
        pictures: paths by name.
        report: the HTML report.
        alerts: number of alerts that were found.
        undelivered: of these and of those that earlier runs left, how many somebody was to be told
            of and was not.
        undelivered_before: of these, how many earlier runs left.
    """

    run_id: str
    plan_name: str
    ranked_by: str
    cells: int
    cells_failed: int
    failures: Mapping[str, str]
    failed_logs: Mapping[str, Path]
    naive: Tally
    predicted: Tally
    counted: Tally
    is_bound: bool
    hits: int
    found: int
    waited_seconds: float
    predicted_seconds: float | None
    stage_seconds: float
    wall_seconds: float
    leaderboard: Sequence[Mapping[str, Any]]
    pictures: Mapping[str, Path]
    report: Path
    alerts: int = 0
    undelivered: int = 0
    undelivered_before: int = 0

    @property
    def cells_in_words(self) -> str:
        """Say how many cells completed, and how many diverged: `1 of 2 cells completed, ...`."""
        diverged = sum(
            row["kind"] == "trained" and row["status"] == "diverged" for row in self.leaderboard
        )
        completed = self.cells - self.cells_failed - diverged
        rest = f", {diverged} diverged" if diverged else ""
        return f"{completed} of {self.cells} cells completed{rest}"


class Run:
    """Executes a plan once; every step is a Prefect task run or a few lines here."""

    def __init__(
        self,
        plan: Plan,
        home: Home,
        *,
        run_id: str,
        overrides: Sequence[str],
        workers: int | None,
        progress: Progress,
    ) -> None:
        """Prepare a run.

        Args:
            plan: the plan.
            home: where everything is kept.
            run_id: the flow run's id.
            overrides: of the plan's values, for the record.
            workers: processes per kind of device; see `open_runner`.
            progress: whoever watches.
        """
        self.plan = plan
        self.home = home
        self.run_id = run_id
        self.cells = expand(plan)
        self.composites = composites(plan, self.cells)
        self.store = Store(home.store)
        self._overrides = overrides
        self._workers = workers
        self._progress = progress
        self._started = time.perf_counter()
        self._predicted_seconds: float | None = None
        self._settled: tuple[Graph, Work] | None = None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self._journal_path = home.journals / f"{stamp}-{run_id}.jsonl"
        self.journal = Journal(self._journal_path)
        self._logs = logs_of(home, self._journal_path)
        self.ledger = Ledger(self.journal, self._logs)
        self._failed_logs: dict[str, str] = {}
        self._publisher = Publisher(plan, home, self.store)
        self._board = LeaderboardArtifact(plan.name, by=plan.rank.by.value)
        self._live = Live(plan, self.cells, home, self.journal, board=self._board)
        self._reporter = Reporter(plan, home, self.store)
        self._alarms = Alarms(plan, home, run_id)

    def execute(self, *, refresh: bool) -> RunOutcome:
        """Run the plan.

        Args:
            refresh: ask the sources again whether their data changed.
        """
        self._open_journal()
        self.store.remove_leftovers()
        self._alarms.begin(partial(living_runs, self.home))
        try:
            with keeping(self._logs / RUN_LOG, with_stages=False):
                outcome = self._execute(refresh=refresh)
        except BaseException as error:
            write_failure(self._logs / RUN_LOG, traceback.format_exc())
            self._die(error)
            raise
        return outcome

    def _die(self, error: BaseException) -> None:
        """Write down what the run came to before it died, and tell what will have no result.

        An interrupted run fails no cell: whoever interrupts it knows.
        """
        failures = self._fail_cells(error) if isinstance(error, Exception) else {}
        self._close_journal("failed")
        self._alarms.fail(self._failed(failures))
        if failures:
            try:
                load_run(self._journal_path, self.home)
            except (FoodVisionError, OSError) as problem:  # the next run loads it
                logger.debug("The warehouse cannot be loaded just now: %s", problem)
        self._alarms.close()

    def _fail_cells(self, error: Exception) -> dict[str, str]:
        """Note what the run has of each cell; return label and error of all that have no result."""
        known = cell_outcomes(read_journal(self._journal_path))
        if self._settled:
            graph, work = self._settled
            with suppress(StoreError):
                ended = self._outcomes(graph, work, self._ready(graph, work) - known.keys())
                self.journal.write("settled", cells=ended)
            known = cell_outcomes(read_journal(self._journal_path))
        is_told = isinstance(error, FoodVisionError)
        why = str(error) if is_told else f"{type(error).__name__}: {error}"
        log = path_in_home(self._logs / RUN_LOG)
        failures = {}
        rows: list[Cell | Composite] = [*self.cells, *self.composites]
        for row in rows:
            if row.cell_id not in known:
                self._note_cell(row, status="failed", error=why, log=log)
                failures[row.label] = why
            elif known[row.cell_id]["status"] == "failed":
                failures[row.label] = known[row.cell_id]["error"]
        return failures

    def _track_system(self) -> None:
        """Show in TensorBoard what the machine did, where the run took long enough to be seen."""
        events = read_journal(self._journal_path)
        samples = system_samples(events)
        if not (samples and self.plan.record.tensorboard):
            return
        from foodvision.report.tensorboard import system_folder, write_system

        day = datetime.now(UTC).date()
        folder = system_folder(self.home.runs, day, self.plan.name, self.run_id)
        write_system(folder, samples)

    def _fulfil(self, *, refresh: bool) -> tuple[Graph, Work, dict[str, str]]:
        """Do all that is missing; return what it was, and what failed."""
        datasets = self._fetch(refresh=refresh)
        self._warn(datasets)
        graph, work, facts = self._settle(datasets)
        self._look_ahead(graph, work)
        first = work
        show_work(self.plan.name, first, counted=None)
        if work.hits:
            report_hits(len(work.hits))
        has_tried = self._compute(graph, work, devices=facts.device_names)
        while self._fit_memory(work, facts) or (graph.is_open and has_tried):
            graph, work, facts = self._settle(datasets, first)
            has_tried = self._compute(graph, work, devices=facts.device_names)
        failures = self._finish_cells(graph, work)
        self._account(first)
        return graph, first, failures

    def _note_system(self, sample: Mapping[str, Any]) -> None:
        self.journal.write("system", **sample)

    def _execute(self, *, refresh: bool) -> RunOutcome:
        with monitored(self.home.root, self._note_system):  # until its journal is read
            graph, first, failures = self._fulfil(refresh=refresh)
        self._close_journal("failed" if failures else "completed")
        self._track_system()
        leaderboard = self._load()
        if self.plan.save == "best":
            leaderboard = self._save_best(graph, leaderboard)
        self._link_models(leaderboard)
        self._board.show(leaderboard)
        self._alarms.judge(leaderboard, self._failed(failures), graph)
        pictures = self._draw(leaderboard)
        self._alarms.close()
        report = self._report(leaderboard)
        show_work(self.plan.name, first, counted=self.ledger.counted)
        self._learn(first)
        return RunOutcome(
            run_id=self.run_id,
            plan_name=self.plan.name,
            ranked_by=self.plan.rank.by.value,
            cells=len(self.cells),
            cells_failed=sum(cell.label in failures for cell in self.cells),
            failures=failures,
            failed_logs={label: self.home.root / log for label, log in self._failed_logs.items()},
            naive=first.naive,
            predicted=first.predicted,
            counted=self.ledger.counted,
            is_bound=first.is_bound,
            hits=len(first.hits),
            found=len(self.ledger.found),
            waited_seconds=self.ledger.waited_seconds,
            predicted_seconds=self._predicted_seconds,
            stage_seconds=self.ledger.seconds,
            wall_seconds=time.perf_counter() - self._started,
            leaderboard=leaderboard,
            pictures=pictures,
            report=report,
            alerts=self._alarms.count,
            undelivered=self._alarms.undelivered,
            undelivered_before=self._alarms.undelivered_before,
        )

    def _failed(self, failures: Mapping[str, str]) -> list[tuple[Cell | Composite, str]]:
        rows: list[Cell | Composite] = [*self.cells, *self.composites]
        return [(row, failures[row.label]) for row in rows if row.label in failures]

    def _settle(
        self, datasets: Mapping[str, Dataset], first: Work | None = None
    ) -> tuple[Graph, Work, LibraryFacts]:
        """Decide what is to be done, and write it down before the store can lose any of it.

        Args:
            datasets: of the plan, by name.
            first: what was to be done when the run began; `None`: it begins now.
        """
        while True:
            facts = LibraryFacts(home=self.home, base=self.plan.folder, datasets=datasets)
            facts.ask_ahead(
                step.settings for cell in self.cells for step in phase_steps(cell.settings)
            )
            with self.store.lock(REACH_LOCK):
                finished = StoreFinished(self.store)
                graph = compile_cells(self.cells, facts, self.composites, finished)
                work = plan_work(
                    graph,
                    finished,
                    features_bytes=self.plan.limits.features_bytes,
                    latency=self.plan.evaluate.latency,
                )
                if not set_damaged_aside(work, self.store, self.home):
                    self._note_compiled(graph, work, first or work, devices=facts.device_names)
                    self._settled = graph, work
                    return graph, work, facts
            datasets = self._fetch(refresh=False)

    def _look_ahead(self, graph: Graph, work: Work) -> None:
        """Predict the time, and warn where what will be written is more than there is room for."""
        forecast = PaceBook(self.home).forecast(work, cells=len(self.cells))
        self._predicted_seconds = None if forecast.unknown else forecast.known
        need = footprint(graph, work, self.plan.save).total
        free = free_bytes(self.home.root)
        if free is not None and need > free:
            logger.warning(
                "%s: a run must have room on the disk for what it writes, here about %s bytes; %s "
                "has %s free. Make room (`foodvision store gc --unreached`), or set "
                "FOODVISION_HOME to a larger disk",
                *(self.plan.name, f"{need:,}", self.home.root, f"{free:,}"),
            )

    def _learn(self, work: Work) -> None:
        """Keep what the stages took, and the run beside them, for the next ones to expect."""
        if work.is_empty:
            return
        book = PaceBook(self.home)
        found, measured = self.ledger.found, self.ledger.measured
        book.learn(work, {key: taken for key, taken in measured.items() if key not in found})
        around = time.perf_counter() - self._started - self.ledger.seconds
        if around > 0:  # not where several workers were at it
            book.learn_around(cells=len(self.cells), seconds=around)

    # -- data ---------------------------------------------------------------------------------

    def _fetch(self, *, refresh: bool) -> dict[str, Dataset]:
        """Return the data sets that cells use; what is known and unchanged is not asked for."""
        names = dict.fromkeys(
            name
            for cell in self.cells
            for name in (cell.settings.data.name, cell.settings.test.name)
        )
        return {name: self._fetch_one(name, refresh=refresh) for name in names}

    def _fetch_one(self, name: str, *, refresh: bool) -> Dataset:
        started = time.perf_counter()
        dataset = None if refresh else known_data(self.plan, name, self.home)
        is_hit = dataset is not None
        if dataset is None:
            fetch = partial(
                fetch_data, self.plan, name, self.home, progress=self._progress, refresh=refresh
            )
            dataset = do_step(f"fetch {name}", fetch)
        entry = self.store.get("dataset", dataset.key)
        self.journal.write(
            "dataset",
            name=name,
            key=dataset.key,
            source=self.plan.data[name].source,
            is_hit=is_hit,
            seconds=time.perf_counter() - started,
            bytes=entry.size_bytes,
        )
        return dataset

    # -- stages -------------------------------------------------------------------------------

    def _compute(self, graph: Graph, work: Work, *, devices: Devices) -> bool:
        """Do what is missing, as far as it was not tried; return whether anything was tried."""
        if all(self.ledger.knows(key) for key in work.keys):
            return False
        running = _running(graph, work)
        phases = running + [job.compiled.voices[0].compiled.phase for job in work.combining]
        asked = [devices(phase.settings) for phase in phases]
        cells = sum(bool(keys) for keys in work.waiting.values())
        with self._runner(asked, cells=cells) as runner:
            if runner.is_apart:
                self._live.pace = Pace.beside_workers()
                for module in _NEEDED_LATER:  # the workers' own imports take longer
                    import_module(module)
            warn_of_crowd(runner.workers(("cpu",)), max(p.settings.threads for p in phases))
            check_weights(running, runner, devices)
            most = max(runner.workers(devices(phase.settings)) for phase in phases)
            groups = plan_tasks(graph, work, devices=devices, workers=most, record=self.plan.record)
            self._do(groups, graph, work, runner)
        return True

    def _runner(
        self, devices: Sequence[Sequence[str]], *, cells: int
    ) -> AbstractContextManager[Runner]:
        place = Workplace(self.home, self.plan.folder)
        return open_runner(
            place, devices, workers=self._workers, cells=cells, progress=self._progress
        )

    def _do(self, groups: Sequence[TaskGroup], graph: Graph, work: Work, runner: Runner) -> None:
        bar = self._progress.begin("cells", total=len(graph.cells), unit="cells")
        artifact = ProgressArtifact(len(groups))
        done: set[str] = set()

        def ended(group: TaskGroup) -> None:
            for job in group.jobs:
                self.ledger.give_up(job, _NO_OUTCOME)
            artifact.advance()
            ready = self._ready(graph, work) - done
            done.update(ready)
            bar.advance(len(ready))
            self._publish(ready, graph, work)
            self._live.settled(ready, partial(self._outcomes, graph, work))
            self._look(group, ready, graph, work)

        # Where this thread is free, one more than there are workers: it waits for the first that
        # is, while this thread is busy with a group that has ended.
        run_groups(
            groups,
            workers=lambda group: runner.workers(group.devices) + runner.is_apart,
            start=partial(start_compute, ledger=self.ledger, runner=runner),
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
            and self.ledger.failure(work.waiting[compiled.cell.cell_id]) is None
        )

    def _ready(self, graph: Graph, work: Work) -> set[str]:
        settled = self.ledger.finished | self.ledger.failures.keys()
        return {
            compiled.cell.cell_id
            for compiled in graph.cells
            if settled.issuperset(work.waiting[compiled.cell.cell_id]) and not compiled.open_watch
        }

    def _publish(self, cell_ids: Collection[str], graph: Graph, work: Work) -> None:
        """Publish cells whose jobs have all ended well; what fails is tried again at the end."""
        ready = [
            compiled
            for compiled in graph.cells
            if compiled.cell.cell_id in cell_ids
            and self.ledger.failure(work.waiting[compiled.cell.cell_id]) is None
        ]
        try:
            self._publisher.publish(self._publisher.missing(ready))
        except (FoodVisionError, OSError) as error:
            logger.debug("What has finished cannot be published just now: %s", error)

    def _outcomes(
        self, graph: Graph, work: Work, cell_ids: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return id, status, error and its log, of cells whose jobs have all ended."""
        found = []
        for compiled in graph.cells:
            cell_id = compiled.cell.cell_id
            if cell_id in cell_ids:
                error = self.ledger.failure(work.waiting[cell_id])
                status = training_status(self.store, compiled) if error is None else "failed"
                log = self.ledger.failure_log(work.waiting[cell_id])
                found.append({"cell_id": cell_id, "status": status, "error": error, "log": log})
        return found

    def _fit_memory(self, work: Work, facts: LibraryFacts) -> bool:
        """Halve the micro-batch of what did not fit; return whether anything is to be tried again.

        The stage then has another key, so that whatever was computed for the old one stays true.
        """
        short = [job for job in work.training if job.span.key in self.ledger.shortages]
        halved = [self._halve(job.span, facts) for job in short]
        return any(halved)

    def _halve(self, span: Span, facts: LibraryFacts) -> bool:
        settings = span.phase.settings
        limit = facts.memory.halve(settings, facts.device(settings))
        if limit is None:
            return False
        why = self.ledger.failures[span.key]
        self.journal.write("decision", what="micro_batch", value=limit, key=span.key, why=why)
        logger.warning(
            "%s: from now on with micro_batch: %d, until %s is deleted",
            span_label(span),
            limit,
            facts.memory.path,
        )
        return True

    # -- cells --------------------------------------------------------------------------------

    def _finish_cells(self, graph: Graph, work: Work) -> dict[str, str]:
        """Save what the plan asks to be saved; return label and error of the cells that failed."""
        failures: dict[str, str] = {}
        self._failed_logs = _told_logs(graph, work, self.ledger)
        whole: list[CompiledCell] = []
        for compiled in graph.cells:
            error = self.ledger.failure(work.waiting[compiled.cell.cell_id])
            if error is None and compiled.open_watch:
                error = _UNDECIDED
            if error is None:
                whole.append(compiled)
            else:
                failures[compiled.cell.label] = error
        unpublished = self._publisher.missing(whole)
        if unpublished:
            publish = partial(self._publisher.publish, unpublished)
            do_step(f"save {len(unpublished)} cells", publish)
        with self.journal.flushing_together():
            self._note_cells(graph, failures)
            self._finish_composites(graph, work, failures)
        return failures

    def _note_cells(self, graph: Graph, failures: Mapping[str, str]) -> None:
        for compiled in graph.cells:
            error = failures.get(compiled.cell.label)
            if error is not None:
                log = self._failed_logs.get(compiled.cell.label)
                self._note_cell(compiled.cell, status="failed", error=error, log=log)
                continue
            self._note_cell(
                compiled.cell,
                status=self._publisher.status(compiled),
                model_path=self._publisher.saved_path(compiled),
            )

    def _finish_composites(self, graph: Graph, work: Work, failures: dict[str, str]) -> None:
        for compiled in graph.composites:
            composite = compiled.composite
            error = self.ledger.failure(work.waiting[composite.cell_id])
            if error is None and any(voice.compiled.open_watch for voice in compiled.voices):
                error = _UNDECIDED
            if error is not None:
                failures[composite.label] = error
                log = self._failed_logs.get(composite.label)
                self._note_cell(composite, status="failed", error=error, log=log)
                continue
            path = self._publisher.composites.publish(compiled)
            status = self._publisher.composites.status(compiled)
            self._note_cell(composite, status=status, model_path=path)

    def _load(self) -> list[dict[str, Any]]:
        do_step("load the warehouse", partial(load_run, self._journal_path, self.home))
        return rank_cells(self.plan, self.cells, self.home)

    def _save_best(self, graph: Graph, leaderboard: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Save the winner's model if it is not saved yet; return the leaderboard that says so."""
        publisher = self._publisher
        best = leaderboard[0]["cell_id"] if leaderboard[0]["rank"] else None
        for compiled in graph.cells:
            if compiled.cell.cell_id == best and publisher.saved_path(compiled) is None:
                path = do_step("save the best model", partial(publisher.save, compiled))
                status = publisher.status(compiled)
                self._note_cell(compiled.cell, status=status, model_path=path)
                load_cells(self._journal_path, self.home, {best})
                return rank_cells(self.plan, self.cells, self.home)
        for composite in graph.composites:
            if composite.composite.cell_id == best and self._save_members(composite):
                return self._load()
        return leaderboard

    def _link_models(self, leaderboard: Sequence[Mapping[str, Any]]) -> None:
        """Let readable names among the saved models mean what this run found."""
        saved = {row["label"]: row["model_path"] for row in leaderboard if row["model_path"]}
        models = {label: Path(path) for label, path in saved.items()}
        told = cell_outcomes(read_journal(self._journal_path))
        finished = [row for row in told.values() if row["status"] == "completed"]
        latest = max(finished, key=lambda row: row["at"], default={"model_path": None})
        first = leaderboard[0]
        link_names(
            self.home.models / self.plan.name,
            models,
            best=models.get(first["label"]) if first["rank"] else None,
            latest=Path(latest["model_path"]) if latest["model_path"] else None,
        )

    def _save_members(self, compiled: CompiledComposite) -> bool:
        """Save the members of the winner, and its card; return whether anything changed."""
        publisher = self._publisher
        members = [member for member, _ in publisher.composites.members(compiled)]
        unsaved = [member for member in members if publisher.saved_path(member) is None]
        for member in unsaved:
            path = do_step("save a member of the best", partial(publisher.save, member))
            self._note_cell(member.cell, status=publisher.status(member), model_path=path)
        if unsaved:
            self._note_cell(
                compiled.composite,
                status=publisher.composites.status(compiled),
                model_path=publisher.composites.publish(compiled),
            )
        return bool(unsaved)

    def _draw(self, leaderboard: Sequence[Mapping[str, Any]]) -> Mapping[str, Path]:
        if not any(row["rank"] for row in leaderboard):
            return {}
        gallery = Gallery(self.plan, self.home, self.store)
        pictures = gallery.drawn(leaderboard)
        if pictures is None:
            pictures = do_step("draw the best model", partial(gallery.draw, leaderboard))
        show_pictures(self.plan.name, pictures)
        return pictures

    def _report(self, leaderboard: Sequence[Mapping[str, Any]]) -> Path:
        """Write the report if it does not show this leaderboard already."""
        reporter = self._reporter
        if not reporter.is_current(leaderboard):
            do_step("write the report", partial(reporter.write, leaderboard))
        show_report(self.plan.name, reporter.path, home=self.home)
        return reporter.path

    def _account(self, work: Work) -> None:
        """Say so where counted work is not what was predicted, and nothing explains it."""
        counted = self.ledger.counted
        if counted == work.predicted:
            return
        defect = find_defect(work, counted, read_journal(self._journal_path))
        if defect is not None:
            self.journal.write("defect", message=defect)
            logger.warning("%s: %s", self.plan.name, defect)

    # -- journal ------------------------------------------------------------------------------

    def _open_journal(self) -> None:
        self.journal.write(
            "started",
            run_id=self.run_id,
            plan_id=self.plan.plan_id,
            plan_name=self.plan.name,
            description=self.plan.description,
            plan_json=json.dumps(self.plan.to_json(), ensure_ascii=False),
            source_path=str(self.plan.source_path) if self.plan.source_path else None,
            set=[mask_addresses(each, self.plan.alerts) for each in self._overrides],
            cells=len(self.cells),
            environment=describe_environment(self.plan.folder, self._mask),
            log=path_in_home(self._logs / RUN_LOG),
            plan_cells=[_describe_cell(cell) for cell in self.cells],
            plan_composites=[_describe_composite(composite) for composite in self.composites],
        )

    def _mask(self, text: str) -> str:
        """Take the addresses of this plan and of others out of what differs from the commit."""
        return mask_webhooks(mask_addresses(text, self.plan.alerts))

    def _note_compiled(self, graph: Graph, work: Work, first: Work, *, devices: Devices) -> None:
        names = dict.fromkeys(name for cell in self.cells for name in devices(cell.settings))
        self.journal.write(
            "compiled",
            device=", ".join(names),
            naive=asdict(first.naive),
            predicted=asdict(first.predicted),
            hits=[list(hit) for hit in work.hits],
            cells=[_describe_compiled(compiled) for compiled in graph.cells],
            composites=[_describe_compiled_composite(each) for each in graph.composites],
        )

    def _note_cell(
        self,
        cell: Cell | Composite,
        *,
        status: str,
        error: str | None = None,
        log: str | None = None,
        model_path: Path | None = None,
    ) -> None:
        self.journal.write(
            "cell",
            cell_id=cell.cell_id,
            status=status,
            error=error,
            log=log,
            model_path=str(model_path) if model_path else None,
        )

    def _close_journal(self, status: str) -> None:
        self.journal.write(
            "finished",
            status=status,
            counted=asdict(self.ledger.counted),
            predicted_seconds=self._predicted_seconds,
            stage_seconds=self.ledger.seconds,
            wall_seconds=time.perf_counter() - self._started,
        )

    def _warn(self, datasets: Mapping[str, Dataset]) -> None:
        images = {
            (name, split): digests
            for name, dataset in datasets.items()
            for split, digests in _digests_by_split(dataset).items()
        }
        for warning in lint(self.plan, self.cells, images):
            logger.warning("%s", warning)


def _told_logs(graph: Graph, work: Work, ledger: Ledger) -> dict[str, str]:
    """Return the log that tells why a cell, or what is made of cells, failed; by label."""
    asked = [each.cell for each in graph.cells] + [each.composite for each in graph.composites]
    logs = {each.label: ledger.failure_log(work.waiting[each.cell_id]) for each in asked}
    return {label: log for label, log in logs.items() if log}


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


def _digests_by_split(dataset: Dataset) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {"train": [], "test": []}
    columns = (dataset.table.column(name).to_pylist() for name in ("split", "sha256"))
    for split, sha256 in zip(*columns, strict=True):
        splits[split].append(sha256)
    return splits


def _describe_cell(cell: Cell) -> dict[str, Any]:
    return {
        "cell_id": cell.cell_id,
        "label": cell.label,
        "position": cell.position,
        "axes": dict(cell.axes),
        "settings": cell.settings.model_dump(mode="json") | _describe_bounds(cell),
    }


def _describe_bounds(cell: Cell) -> dict[str, Any]:
    """Say what ends a cell's training because an alert of its plan says so."""
    return {"bounds": [bound.name for bound in cell.bounds]} if cell.bounds else {}


def _describe_composite(composite: Composite) -> dict[str, Any]:
    return {
        "cell_id": composite.cell_id,
        "kind": composite.kind,
        "label": composite.label,
        "position": composite.position,
        "candidates": [cell.cell_id for cell in composite.candidates],
        "views": [view.to_json() for view in composite.views],
        "settings": dict(composite.settings),
    }


def _describe_compiled_composite(compiled: CompiledComposite) -> dict[str, Any]:
    features: dict[str, set[str]] = {}
    for view in compiled.view_scores():
        if view.recipe.kind == "features":
            features.setdefault(view.recipe.key, set()).update(view.images.images)
    return {
        "cell_id": compiled.composite.cell_id,
        "key": compiled.key,
        "result_key": compiled.result_key,
        "voices": [voice.compiled.cell.cell_id for voice in compiled.voices],
        "parts": {part: _describe_images(images) for part, images in compiled.image_sets.items()},
        "recipes": [
            {"kind": "features", "key": key, "images": len(images)}
            for key, images in features.items()
        ],
    }


def _describe_images(images: ImageSet) -> dict[str, Any]:
    return {
        "on": images.digest,
        "dataset": images.dataset,
        "part": images.part,
        "share": dict(images.share),
    }


def _describe_compiled(compiled: CompiledCell) -> dict[str, Any]:
    images = {image for images in compiled.image_sets.values() for image in images.images}
    images.update(compiled.chain.train.images)
    architecture = compiled.phase.architecture
    return {
        "cell_id": compiled.cell.cell_id,
        "final": compiled.final,
        **_describe_stops(compiled),
        "result_key": compiled.result_key,
        "scores": {
            part: {"key": compiled.score_keys[part], **_describe_images(images)}
            for part, images in compiled.image_sets.items()
        },
        "recipes": [
            {"kind": recipe.kind, "key": recipe.key, "images": len(images)}
            for recipe in dict.fromkeys(phase.recipe for phase in compiled.chain.phases)
        ],
        "params_total": architecture.params_total,
        "params_trainable": architecture.params_trainable,
        "model_bytes": architecture.model_bytes,
        "latency_key": compiled.latency.key,
    }


def _describe_stops(compiled: CompiledCell) -> dict[str, Any]:
    """Say what stop rules decided: where the curve ends, and what was trained and given up."""
    decided = [watch.decision for watch in compiled.watches if watch.decision]
    if not decided:
        return {}
    rule = compiled.phase.settings.stop
    restored = compiled.decision if rule and rule.restore == "best" else None
    return {
        "best_epoch": restored and restored.epoch,
        "curve": {"held": compiled.curve_key, "last_epoch": compiled.curve_end},
        "given_up": [
            {"held": each.held, "after": each.epoch, "last_epoch": each.last_epoch}
            for each in decided
            if each is not compiled.decision and each.last_epoch > each.epoch
        ],
    }
