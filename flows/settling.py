"""Deciding what a run has to do: its data is fetched, its cells are compiled, the store is asked.

Cells that lack something (a data set that cannot be fetched, weights that are not there) fail, and
the others are compiled. A run decides again where it has learned something since: what a stop rule
looked at, that a micro-batch does not fit a device.
"""

from __future__ import annotations

import logging
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from foodvision.errors import DataError, FoodVisionError
from foodvision.files import lacks_room
from foodvision.plan.graph import compile_cells
from foodvision.plan.labels import listed
from foodvision.plan.left_out import causes
from foodvision.plan.lint import lint
from foodvision.plan.phases import phase_steps
from foodvision.plan.work import plan_work
from foodvision.store import Store
from tasks.facts import LibraryFacts
from tasks.finished import StoreFinished
from tasks.logs import write_failure
from tasks.plan_data import PlanData, fetch_data, known_data, used_names
from tasks.prefect_tasks import do_step
from tasks.reach import REACH_LOCK
from tasks.soundness import set_damaged_aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flows.run_journal import RunJournal
    from foodvision.data.datasets import Dataset
    from foodvision.home import Home
    from foodvision.plan.composites import Composite
    from foodvision.plan.expand import Cell
    from foodvision.plan.graph import Graph
    from foodvision.plan.left_out import LeftOut
    from foodvision.plan.schema import Plan
    from foodvision.plan.work import Work
    from foodvision.progress import Progress

_Row = TypeVar("_Row", "Cell", "Composite")

logger = logging.getLogger("foodvision.run")


@dataclass(frozen=True)
class Settled:
    """What a run has decided to do.

    Attributes:
        graph: the compiled plan.
        work: what is missing of it.
        facts: that it was compiled with.
    """

    graph: Graph
    work: Work
    facts: LibraryFacts


class Settling:
    """Fetches the data of one run, and decides what is to be done.

    Attributes:
        last: what was decided last.
        left_out: cells, and what is made of them, that the run cannot do because they lack
            something; by id.
    """

    def __init__(
        self,
        plan: Plan,
        home: Home,
        cells: Sequence[Cell],
        composites: Sequence[Composite],
        *,
        journal: RunJournal,
        progress: Progress,
        log: str | None = None,
    ) -> None:
        """Prepare.

        Args:
            plan: of the run.
            home: of the run.
            cells: of the plan.
            composites: of the plan.
            journal: of the run.
            progress: whoever watches.
            log: file in the home that keeps what the run says.
        """
        self.last: Settled | None = None
        self.left_out: dict[str, LeftOut] = {}
        self._plan = plan
        self._home = home
        self._cells = cells
        self._composites = composites
        self._journal = journal
        self._progress = progress
        self._log = log
        self._store = Store(home.store)
        self._data = PlanData()

    def fetch(self, *, refresh: bool) -> None:
        """Fetch the data sets that cells use; what is known and unchanged is not asked for.

        Args:
            refresh: ask the sources again whether their data changed.
        """
        fetch = partial(self._fetch_one, refresh=refresh)
        self._data = PlanData.gather(used_names(self._wanted(self._cells)), fetch)

    def warn(self) -> None:
        """Say what is odd about the plan, now that its images are known."""
        images = {
            (name, split): digests
            for name, dataset in self._data.found.items()
            for split, digests in _digests_by_split(dataset).items()
        }
        for warning in lint(self._plan, self._cells, images):
            logger.warning("%s", warning)

    def settle(self, first: Work | None = None) -> Settled:
        """Decide what is to be done, and write it down before the store can lose any of it.

        Args:
            first: what was to be done when the run began; `None`: it begins now.
        """
        while True:
            data, cells = self._data, self._wanted(self._cells)
            facts = LibraryFacts(
                home=self._home, base=self._plan.folder, datasets=data.found, absent=data.absent
            )
            facts.ask_ahead(step.settings for cell in cells for step in phase_steps(cell.settings))
            with self._store.lock(REACH_LOCK):
                finished = StoreFinished(self._store)
                graph = compile_cells(cells, facts, self._wanted(self._composites), finished)
                work = plan_work(
                    graph,
                    finished,
                    features_bytes=self._plan.limits.features_bytes,
                    latency=self._plan.evaluate.latency,
                )
                if not set_damaged_aside(work, self._store, self._home):
                    self.last = Settled(graph, work, facts)
                    self._note(self.last, first or work)
                    break
            self.fetch(refresh=False)
        self._fail(graph.left_out)
        return self.last

    def _wanted(self, rows: Iterable[_Row]) -> list[_Row]:
        """Return the rows that are not known to lack something."""
        return [row for row in rows if row.cell_id not in self.left_out]

    def _fail(self, left_out: Sequence[LeftOut]) -> None:
        """Write down what fails because it lacks something; tell each cause once."""
        with self._journal.flushing_together():
            for each in left_out:
                why = str(each.error)
                self._journal.row(each.row, status="failed", error=why, log=self._log)
        self.left_out |= {each.row.cell_id: each for each in left_out}
        rows = len(self._cells) + len(self._composites)
        for why, labels in causes(left_out).items():
            names = listed(labels, most=3)
            counts = f"{len(labels):,} of {rows:,}"
            logger.error("%s: %s rows fail (%s): %s", self._plan.name, counts, names, why)

    def _note(self, settled: Settled, first: Work) -> None:
        names = settled.facts.device_names
        cells = [compiled.cell for compiled in settled.graph.cells]
        self._journal.compiled(
            settled.graph,
            settled.work,
            naive=first.naive,
            predicted=first.predicted,
            devices=[*dict.fromkeys(n for cell in cells for n in names(cell.settings))],
        )

    def _fetch_one(self, name: str, *, refresh: bool) -> Dataset:
        started = time.perf_counter()
        with self._telling_unforeseen():
            dataset = None if refresh else known_data(self._plan, name, self._home)
        is_hit = dataset is not None
        if dataset is None:
            dataset = do_step(f"fetch {name}", partial(self._ask_source, name, refresh=refresh))
        entry = self._store.get("dataset", dataset.key)
        self._journal.write(
            "dataset",
            name=name,
            key=dataset.key,
            source=self._plan.data[name].source,
            is_hit=is_hit,
            seconds=time.perf_counter() - started,
            bytes=entry.size_bytes,
        )
        return dataset

    def _ask_source(self, name: str, *, refresh: bool) -> Dataset:
        with self._telling_unforeseen():
            return fetch_data(
                self._plan, name, self._home, progress=self._progress, refresh=refresh
            )

    @contextmanager
    def _telling_unforeseen(self) -> Iterator[None]:
        """Let what nobody foresaw about one data set cost no cell that does not need it.

        Its traceback goes into the log of the run.

        Raises:
            DataError: tells what it was.
        """
        try:
            yield
        except FoodVisionError:
            raise
        except Exception as error:
            if lacks_room(error):  # concerns all
                raise
            if self._log:
                write_failure(self._home.root / self._log, traceback.format_exc())
            raise DataError(
                "must be fetched without an error that nobody foresaw, found "
                f"{type(error).__name__}: {error}. The log of the run has its traceback."
            ) from error


def _digests_by_split(dataset: Dataset) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {"train": [], "test": []}
    columns = (dataset.table.column(name).to_pylist() for name in ("split", "sha256"))
    for split, sha256 in zip(*columns, strict=True):
        splits[split].append(sha256)
    return splits
