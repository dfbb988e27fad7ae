"""What a flow run shows in Prefect's pages: what it will do, the leaderboard, the pictures."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.settings import PREFECT_API_URL

from flows.server import find_server
from flows.server_process import REPORTS_PATH
from foodvision.report.tables import markdown_table
from tasks.report_words import WORK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.work import Tally, Work

_COLUMNS = (
    "rank",
    "label",
    "test_accuracy",
    "test_loss",
    "seconds_alone",
    "seconds_paid",
    "params_trainable",
    "status",
)


def show_work(plan_name: str, work: Work, *, counted: Tally | None) -> None:
    """Show what each cell alone would cost, what the run will do, and then what it did."""
    said = "predicted, at most" if work.is_bound else "predicted"
    columns = {"each cell alone": work.naive, said: work.predicted}
    if counted is not None:
        columns["counted"] = counted
    rows = [
        [words, *(f"{getattr(tally, name):,}" for tally in columns.values())]
        for name, words in WORK.items()
    ]
    create_markdown_artifact(
        markdown_table(["work", *columns], rows, left=(0,)),
        key=f"{_slug(plan_name)}-work",
        description=f"What running {plan_name} takes",
    )


class LeaderboardArtifact:
    """The ranking as a table on the flow run's page: the cells so far, in the end all of them."""

    def __init__(self, plan_name: str, *, by: str) -> None:
        self._plan_name = plan_name
        self._by = by
        self._id: UUID | None = None

    def show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show the ranking in place of the one before; its metric stands behind the label."""
        by = self._by
        metric = {"seconds": "seconds_alone", "params": "params_total"}.get(
            by, by.replace(".", "_")
        )
        columns = dict.fromkeys((*_COLUMNS[:2], metric, *_COLUMNS[2:]))
        table = [{column: _cell(row[column]) for column in columns} for row in rows]
        unfinished = sum(row["status"] == "pending" for row in rows)
        so_far = f", {len(rows) - unfinished} of {len(rows)} so far" if unfinished else ""
        words = f"Ranking of {self._plan_name} by {by}{so_far}"
        if self._id is None:
            key = f"{_slug(self._plan_name)}-leaderboard"
            created = create_table_artifact(table=table, key=key, description=words)
            self._id = created if isinstance(created, UUID) else None
            return
        update = ArtifactUpdate(data=json.dumps(table), description=words)
        with get_client(sync_client=True) as client:
            client.update_artifact(self._id, update)


def show_pictures(plan_name: str, pictures: Mapping[str, Path]) -> None:
    """Show the best model's pictures, the files themselves inside the page."""
    parts = [f"## {plan_name}: the best model"]
    for name, path in pictures.items():
        encoded = base64.b64encode(path.read_bytes()).decode()
        parts.append(f"![{name}](data:image/png;base64,{encoded})")
    create_markdown_artifact(
        "\n\n".join(parts),
        key=f"{_slug(plan_name)}-best",
        description=f"The best model of {plan_name}",
    )


def show_report(plan_name: str, report: Path, *, home: Home) -> None:
    """Link the HTML report: from the server of its home as a page, elsewhere as a file."""
    server = find_server(home)
    is_here = server is not None and server.api_url == PREFECT_API_URL.value()
    path = quote(report.relative_to(home.reports).as_posix())
    create_link_artifact(
        link=f"{REPORTS_PATH}/{path}" if is_here else report.as_uri(),
        link_text=report.name,
        key=f"{_slug(plan_name)}-report",
        description=f"What {plan_name} found, as one HTML file: {report}",
    )


class ProgressArtifact:
    """A bar on the flow run's page: how many of its task runs are done."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._id: UUID | None = None
        if total:
            created = create_progress_artifact(progress=0.0, description="Missing stages computed")
            self._id = created if isinstance(created, UUID) else None

    def advance(self) -> None:
        """Say that one more task run is done."""
        self._done += 1
        if self._id is not None:
            update_progress_artifact(self._id, progress=100.0 * self._done / self._total)


def _cell(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _slug(name: str) -> str:
    """Return the name in the letters that Prefect allows in an artifact's key."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())
    return "-".join(filter(None, kept.split("-"))) or f"plan-{name.encode().hex()[:16]}"
