"""While a run goes on: what it has found so far, in the warehouse and on the flow run's page."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from foodvision.errors import WarehouseError
from tasks.loading import RunningLoad
from tasks.ranking import rank_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import Any

    from flows.artifacts import LeaderboardArtifact
    from foodvision.home import Home
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from tasks.journal import Journal

logger = logging.getLogger("foodvision.run")

_EVERY_SECONDS = 10.0
_SHARE = 0.03
_FIRST_SECONDS = 0.3  # what the first time is expected to take
# Where workers compute meanwhile, nobody waits: what is told early is not left for the end.
_BESIDE_SECONDS = 2.0
_BESIDE_SHARE = 0.25


class Pace:
    """When something that takes time may be done again: now and then, and never much of the time.

    Args:
        every_seconds: at least so long after the last time, or after the beginning.
        share: of all the time since the beginning that may be spent, in (0, 1].
        clock: seconds that only go up.
    """

    def __init__(
        self,
        *,
        every_seconds: float = _EVERY_SECONDS,
        share: float = _SHARE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_seconds = every_seconds
        self._share = share
        self._clock = clock
        self._began_at = self._last_at = clock()
        self._spent_seconds = 0.0
        self._expected_seconds = _FIRST_SECONDS

    @classmethod
    def beside_workers(cls) -> Pace:
        """Return the pace of a process whose work others do."""
        return cls(every_seconds=_BESIDE_SECONDS, share=_BESIDE_SHARE)

    def is_due(self) -> bool:
        """Say whether it may be done now, if it takes as long as the last time."""
        now = self._clock()
        if now - self._last_at < self._every_seconds:
            return False
        return self._spent_seconds + self._expected_seconds <= self._share * (now - self._began_at)

    @contextmanager
    def spending(self) -> Iterator[Callable[[float], None]]:
        """Measure what is done inside the `with` block.

        It gives a function that takes off seconds of work that has to be done sooner or later, and
        is only brought forward.
        """
        began_at, needed_seconds = self._clock(), 0.0

        def take_off(seconds: float) -> None:
            nonlocal needed_seconds
            needed_seconds += seconds

        try:
            yield take_off
        finally:
            self._last_at = self._clock()
            self._expected_seconds = self._last_at - began_at - needed_seconds
            self._spent_seconds += self._expected_seconds


class Live:
    """Tells of a run's cells as they finish: many at once, so that it costs next to nothing.

    Args:
        plan: that runs.
        cells: of the plan.
        home: of the run.
        journal: of the run.
        board: shows the leaderboard on the flow run's page.

    Attributes:
        pace: how often.
    """

    def __init__(
        self,
        plan: Plan,
        cells: Sequence[Cell],
        home: Home,
        journal: Journal,
        *,
        board: LeaderboardArtifact,
    ) -> None:
        self.pace = Pace()
        self._plan = plan
        self._cells = cells
        self._home = home
        self._journal = journal
        self._board = board
        self._load = RunningLoad(journal.path, home)
        self._noted: set[str] = set()
        self._waiting: set[str] = set()

    def settled(
        self,
        cell_ids: Collection[str],
        outcomes: Callable[[Collection[str]], Sequence[Mapping[str, Any]]],
    ) -> None:
        """Take note of cells that have finished, and tell of all that have where it is time to.

        Args:
            cell_ids: of the cells; may be empty.
            outcomes: gives `cell_id`, `status`, `error` and `log` of cells, when they are told of.
        """
        self._waiting.update(cell_ids)
        if self._waiting and self.pace.is_due():
            with self.pace.spending() as take_off:
                new = self._waiting - self._noted
                if new:
                    self._journal.write("settled", cells=outcomes(new))
                    self._noted |= new
                self._tell(take_off)

    def _tell(self, take_off: Callable[[float], None]) -> None:
        """Load the cells that wait, and show the leaderboard; what fails is tried again later."""
        try:
            take_off(self._load.load(self._waiting))
            leaderboard = rank_cells(self._plan, self._cells, self._home)
        except WarehouseError as error:  # at the end of the run it is loaded, or said, for good
            logger.debug("The warehouse cannot be loaded just now: %s", error)
            return
        self._waiting.clear()
        self._board.show(leaderboard)
