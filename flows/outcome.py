"""What a run came to, for those who asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from foodvision.plan.work import Tally


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
