"""The HTML report of a plan: written when there is something new to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.errors import WarehouseError
from foodvision.files import holds, write_json
from foodvision.hashing import digest
from foodvision.plan.expand import expand
from foodvision.report.html.rendering import look_digest, write_report
from tasks.alerts import AlertBook
from tasks.ranking import other_results
from tasks.report_folders import plan_folder, settings_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.schema import Plan
    from foodvision.store import Store

_MARK = "report.json"
_FILE = "report.html"
# What a report says of a cell that another run may change; what a result says never changes.
_CHANGING = (
    "rank", "label", "result_key", "status", "error", "log_path", "seconds_alone",
    "model_bytes", "latency_ms",
)  # fmt: skip


def report_path(home: Home, plan_name: str) -> Path:
    """Return where the report of a plan's latest run lies, if it is there."""
    return plan_folder(home, plan_name) / _FILE


@dataclass(frozen=True)
class Reporter:
    """The report of one plan.

    Attributes:
        plan: the plan.
        home: whose `reports` hold the file and whose warehouse what it says.
        store: where the images lie.
    """

    plan: Plan
    home: Home
    store: Store

    @property
    def path(self) -> Path:
        """Return where the report lies, if it is there."""
        return settings_folder(self.home, self.plan) / _FILE

    def is_current(self, leaderboard: Sequence[Mapping[str, Any]]) -> bool:
        """Say whether the file is there and shows this plan with this leaderboard already."""
        mark = {"digest": self._digest(leaderboard)}
        path = self.path
        return path.is_file() and holds(path.with_name(_MARK), mark)

    def write(self, leaderboard: Sequence[Mapping[str, Any]], *, path: Path | None = None) -> Path:
        """Gather and write the report; return its path.

        Args:
            leaderboard: rows as `rank_cells` returns them.
            path: where to; by default beside the plan's pictures.

        Raises:
            WarehouseError: the plan has never run here, or the warehouse cannot be read.
            OSError: the folder cannot be written.
        """
        if not leaderboard:
            raise WarehouseError(
                f"A report shows what runs found, and no cell of the plan {self.plan.name} has run "
                "here yet."
                + (
                    other_results(self.plan, expand(self.plan), self.home)
                    or " Run it: `foodvision run PLAN`."
                )
            )
        from tasks.report_contents import Gatherer

        own = self.path
        folder = (path or own).absolute().parent
        report = Gatherer(self.plan, self.home, self.store, leaderboard, folder).gather()
        if path is not None:
            return write_report(report, path)
        write_report(report, own)
        write_json(own.with_name(_MARK), {"digest": self._digest(leaderboard)})
        return own

    def _digest(self, leaderboard: Sequence[Mapping[str, Any]]) -> str:
        rows = [{name: row[name] for name in _CHANGING} for row in leaderboard]
        told = [
            [each.alert.alert_id, each.status]
            for each in AlertBook(self.home).read().values()
            if each.alert.plan_name == self.plan.name
        ]
        return digest([self.plan.to_json(), rows, told, look_digest()])
