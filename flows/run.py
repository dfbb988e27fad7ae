"""One run of a plan: from cells to a ranked table, step by step."""

from __future__ import annotations

import logging
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from flows.alarms import Alarms
from flows.artifacts import LeaderboardArtifact, show_pictures, show_report, show_work
from flows.computing import Computing
from flows.crashes import living_runs
from flows.finishing import Finishing
from flows.live import Live
from flows.outcome import RunOutcome
from flows.run_journal import RunJournal
from flows.settling import Settling
from foodvision.errors import FoodVisionError, StoreError, WarehouseError
from foodvision.files import free_bytes
from foodvision.home import path_in_home
from foodvision.plan.composites import composites
from foodvision.plan.expand import expand
from foodvision.plan.footprint import footprint
from foodvision.store import Store
from tasks.accounting import find_defect
from tasks.gallery import Gallery
from tasks.journal import DIED
from tasks.loading import load_cells, load_run
from tasks.logs import RUN_LOG, keeping, logs_of, write_failure
from tasks.monitoring import monitored
from tasks.outcomes import Ledger
from tasks.paces import PaceBook
from tasks.prefect_tasks import do_step, report_hits
from tasks.publishing import Publisher
from tasks.ranking import rank_cells
from tasks.records import system_samples
from tasks.reporting import Reporter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flows.settling import Settled
    from foodvision.home import Home
    from foodvision.plan.composites import Composite
    from foodvision.plan.expand import Cell
    from foodvision.plan.graph import Graph
    from foodvision.plan.schema import Plan
    from foodvision.plan.work import Work
    from foodvision.progress import Progress

logger = logging.getLogger("foodvision.run")

_STANDS = "its run died before it was looked at, and what an earlier run found stands: {why}"


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
        self._started = time.perf_counter()
        self._predicted_seconds: float | None = None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.journal = RunJournal(home.journals / f"{stamp}-{run_id}.jsonl")
        self._logs = logs_of(home, self.journal.path)
        self._log = path_in_home(self._logs / RUN_LOG)
        self.ledger = Ledger(self.journal, self._logs)
        self._board = LeaderboardArtifact(plan.name, by=plan.rank.by.value)
        self._reporter = Reporter(plan, home, self.store)
        self._alarms = Alarms(plan, home, run_id)
        self._settling = Settling(
            plan,
            home,
            self.cells,
            self.composites,
            journal=self.journal,
            log=self._log,
            progress=progress,
        )
        publisher = Publisher(plan, home, self.store)
        self._computing = Computing(
            publisher,
            journal=self.journal,
            ledger=self.ledger,
            live=Live(plan, self.cells, home, self.journal, board=self._board),
            alarms=self._alarms,
            workers=workers,
            progress=progress,
        )
        self._finishing = Finishing(publisher, journal=self.journal, ledger=self.ledger)

    def execute(self, *, refresh: bool) -> RunOutcome:
        """Run the plan.

        Args:
            refresh: ask the sources again whether their data changed.
        """
        self.journal.started(
            self.plan, self._rows, run_id=self.run_id, overrides=self._overrides, log=self._log
        )
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

    @property
    def _rows(self) -> list[Cell | Composite]:
        return [*self.cells, *self.composites]

    # -- the story ----------------------------------------------------------------------------

    def _execute(self, *, refresh: bool) -> RunOutcome:
        with monitored(self.home.root, self._note_system):  # until its journal is read
            graph, first, failures = self._fulfil(refresh=refresh)
        self._close_journal("failed" if failures else "completed")
        self._track_system()
        leaderboard = self._load()
        if self.plan.save == "best":
            leaderboard = self._save_best(graph, leaderboard)
        self._finishing.link_models(leaderboard)
        self._board.show(leaderboard)
        self._alarms.judge(leaderboard, self._failed(failures), graph)
        pictures = self._draw(leaderboard)
        self._alarms.close()
        report = self._report(leaderboard)
        show_work(self.plan.name, first, counted=self.ledger.counted)
        self._learn(first)
        logs = {each.row.label: self._log for each in self._settling.left_out.values()}
        logs |= self._finishing.failed_logs
        return RunOutcome(
            run_id=self.run_id,
            plan_name=self.plan.name,
            ranked_by=self.plan.rank.by.value,
            cells=len(self.cells),
            cells_failed=sum(cell.label in failures for cell in self.cells),
            failures=failures,
            failed_logs={label: self.home.root / log for label, log in logs.items()},
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

    def _fulfil(self, *, refresh: bool) -> tuple[Graph, Work, dict[str, str]]:
        """Do all that is missing; return what it was, and what failed."""
        self._settling.fetch(refresh=refresh)
        self._settling.warn()
        settled = self._settling.settle()
        self._look_ahead(settled)
        first = settled.work
        show_work(self.plan.name, first, counted=None)
        if first.hits:
            report_hits(len(first.hits))
        has_tried = self._computing.compute(settled)
        while self._computing.fit_memory(settled) or (settled.graph.is_open and has_tried):
            settled = self._settling.settle(first)
            has_tried = self._computing.compute(settled)
        failures = self._finishing.finish(settled)
        self._account(first)
        lacking = self._settling.left_out.values()
        return settled.graph, first, failures | {e.row.label: str(e.error) for e in lacking}

    def _look_ahead(self, settled: Settled) -> None:
        """Predict the time, and warn where what will be written is more than there is room for."""
        forecast = PaceBook(self.home).forecast(settled.work, cells=len(self.cells))
        self._predicted_seconds = None if forecast.unknown else forecast.known
        need = footprint(settled.graph, settled.work, self.plan.save).total
        free = free_bytes(self.home.root)
        if free is not None and need > free:
            logger.warning(
                "%s: a run must have room on the disk for what it writes, here about %s bytes; %s "
                "has %s free. Make room (`foodvision store gc --unreached`), or set "
                "FOODVISION_HOME to a larger disk",
                *(self.plan.name, f"{need:,}", self.home.root, f"{free:,}"),
            )

    def _account(self, work: Work) -> None:
        """Say so where counted work is not what was predicted, and nothing explains it."""
        counted = self.ledger.counted
        if counted == work.predicted:
            return
        defect = find_defect(work, counted, self.journal.read())
        if defect is not None:
            self.journal.write("defect", message=defect)
            logger.warning("%s: %s", self.plan.name, defect)

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

    # -- what it leaves behind ----------------------------------------------------------------

    def _load(self) -> list[dict[str, Any]]:
        do_step("load the warehouse", partial(load_run, self.journal.path, self.home))
        return rank_cells(self.plan, self.cells, self.home)

    def _save_best(self, graph: Graph, leaderboard: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Save the winner's model if it is not saved yet; return the leaderboard that says so."""
        if not leaderboard[0]["rank"]:
            return leaderboard
        saved = self._finishing.save_best(graph, leaderboard[0]["cell_id"])
        if not saved:
            return leaderboard
        if saved - {cell.cell_id for cell in self.cells}:
            return self._load()
        load_cells(self.journal.path, self.home, saved)
        return rank_cells(self.plan, self.cells, self.home)

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

    def _note_system(self, sample: Mapping[str, Any]) -> None:
        self.journal.write("system", **sample)

    def _track_system(self) -> None:
        """Show in TensorBoard what the machine did, where the run took long enough to be seen."""
        samples = system_samples(self.journal.read())
        if not (samples and self.plan.record.tensorboard):
            return
        from foodvision.report.tensorboard import system_folder, write_system

        day = datetime.now(UTC).date()
        folder = system_folder(self.home.runs, day, self.plan.name, self.run_id)
        write_system(folder, samples)

    def _close_journal(self, status: str) -> None:
        self.journal.finished(
            status,
            counted=self.ledger.counted,
            predicted_seconds=self._predicted_seconds,
            stage_seconds=self.ledger.seconds,
            wall_seconds=time.perf_counter() - self._started,
        )

    # -- an early end -------------------------------------------------------------------------

    def _die(self, error: BaseException) -> None:
        """Write down what the run came to before it died, and tell what will have no result.

        An interrupted run fails no cell: whoever interrupts it knows.
        """
        self.journal.write(DIED, error=type(error).__name__)
        failures = self._fail_cells(error) if isinstance(error, Exception) else {}
        self._close_journal("failed")
        self._alarms.fail(self._failed(failures))
        if failures:
            try:
                load_run(self.journal.path, self.home)
            except (FoodVisionError, OSError) as problem:  # the next run loads it
                logger.debug("The warehouse cannot be loaded just now: %s", problem)
        self._alarms.close()

    def _fail_cells(self, error: Exception) -> dict[str, str]:
        """Note what the run has of each cell; return label and error of all that it has not.

        Before anything is decided, nothing is known of what an earlier run found: that stands.
        """
        is_told = isinstance(error, FoodVisionError)
        why = str(error) if is_told else f"{type(error).__name__}: {error}"
        standing = set() if self._settling.last else self._results_so_far()
        known = self._note_ended()
        failures = {}
        for row in self._rows:
            if row.cell_id in known:
                if known[row.cell_id]["status"] == "failed":
                    failures[row.label] = known[row.cell_id]["error"]
            elif row.cell_id in standing:
                failures[row.label] = _STANDS.format(why=why)
            else:
                self.journal.row(row, status="failed", error=why, log=self._log)
                failures[row.label] = why
        return failures

    def _note_ended(self) -> dict[str, Mapping[str, Any]]:
        """Note the cells whose jobs have all ended; return the last word on each cell, by id."""
        if settled := self._settling.last:
            graph, work = settled.graph, settled.work
            known = self.journal.outcomes().keys()
            with suppress(StoreError):
                ready = self._computing.ready(graph, work) - known
                self.journal.write("settled", cells=self._computing.outcomes(graph, work, ready))
        return self.journal.outcomes()

    def _results_so_far(self) -> set[str]:
        """Return the ids of cells, and of what is made of them, that have a result."""
        with suppress(WarehouseError):
            rows = rank_cells(self.plan, self.cells, self.home)
            return {row["cell_id"] for row in rows if row["result_key"]}
        return set()

    def _failed(self, failures: Mapping[str, str]) -> list[tuple[Cell | Composite, str]]:
        return [(row, failures[row.label]) for row in self._rows if row.label in failures]
