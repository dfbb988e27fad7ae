"""What can be seen of a run while it goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

import warehouse
from flows import live
from flows.artifacts import LeaderboardArtifact
from flows.cli import main, ranking
from flows.grid import run_plan
from foodvision.errors import WarehouseError
from foodvision.home import Home
from foodvision.progress import SILENT
from tasks.journal import journals, read_journal
from tasks.loading import RunningLoad, rebuild
from tasks.publishing import Publisher
from tests.running import make_photos, plan_text
from warehouse import reading
from warehouse.lock import only_loader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flows.server import ServerHandle

GRID = "grid: {epochs: [1, 2], optimizer.lr: [0.01, 0.001]}\n"


@pytest.mark.parametrize(
    ("ticks", "takes", "done"),
    [
        pytest.param([1, 9.9], 0.1, [], id="not in the first ten seconds"),
        pytest.param([10], 0.1, [10], id="then"),
        pytest.param([10, 19, 21], 0.1, [10, 21], id="every ten seconds"),
        pytest.param([10, 30, 60, 99, 101], 1.5, [10, 101], id="less often what takes long"),
        pytest.param([10, 20, 30, 40], 0.0, [10, 20, 30, 40], id="what costs nothing"),
    ],
)
def test_pace(ticks: list[float], takes: float, done: list[float]) -> None:
    now = 0.0
    pace = live.Pace(clock=lambda: now)
    told = []
    for tick in ticks:
        now = max(now, tick)
        if pace.is_due():
            told.append(tick)
            with pace.spending():
                now += takes
    assert told == done


@pytest.mark.parametrize("takes", [0.01, 0.3, 2.0, 30.0])
def test_pace_never_spends_more_than_its_share(takes: float) -> None:
    now = spent = 0.0
    pace = live.Pace(clock=lambda: now)
    times = 0
    while now < 3_000:
        now += 0.5
        if pace.is_due():
            times += 1
            spent += takes
            with pace.spending():
                now += takes
    assert times > 0
    assert spent <= 0.03 * now + (takes if times == 1 else 0)


def test_work_that_is_only_brought_forward_costs_nothing() -> None:
    now = 0.0
    pace = live.Pace(clock=lambda: now)
    for tick in (10, 60, 110):
        now = tick
        assert pace.is_due()
        with pace.spending() as take_off:
            now += 40.0
            take_off(39.9)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("it's live") / "photos", train=4, test=2)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of every cell as soon as it has finished, whatever that costs."""
    monkeypatch.setattr(live.Pace, "is_due", lambda _: True)


def _look_whenever(monkeypatch: pytest.MonkeyPatch, look: Callable[[], Any]) -> list[Any]:
    """Return a list that gets what `look` gives, whenever the leaderboard has been shown."""
    seen: list[Any] = []
    honest = LeaderboardArtifact.show

    def show(self: LeaderboardArtifact, rows: Any) -> None:
        honest(self, rows)
        seen.append(look())

    monkeypatch.setattr(LeaderboardArtifact, "show", show)
    return seen


def _boards(run_id: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the leaderboards on a flow run's page: what stands above each, and its rows."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run_id)]))
        )
    return [
        (str(each.description), json.loads(each.data))
        for each in found
        if each.key == "small-leaderboard"
    ]


def _everything(home: Home) -> dict[str, list[dict[str, Any]]]:
    names = warehouse.query(
        home.warehouse,
        "select table_name from duckdb_tables() where database_name = 'warehouse' order by all",
    ).column("table_name")
    return {
        name: warehouse.query(home.warehouse, f"from {name} order by all").to_pylist()
        for name in names.to_pylist()
        if name != "schema_versions"
    }


def test_finished_cells_are_ranked_while_the_run_goes_on(
    photos: Path,
    server: ServerHandle,
    home: Home,
    at_once: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan_text(photos, GRID), encoding="utf-8")

    def look() -> tuple[str, list[dict[str, Any]], str, list[dict[str, Any]], int]:
        capsys.readouterr()
        assert main(["rank", str(plan)]) == 0
        shown = capsys.readouterr().out
        assert main(["rank", str(plan), "--json"]) == 0
        said = capsys.readouterr()
        runs = warehouse.query(home.warehouse, "select run_id, status from runs").to_pylist()
        tracked = len(list(home.runs.rglob("result.json")))
        return shown, json.loads(said.out), said.err, runs, tracked

    seen = _look_whenever(monkeypatch, look)
    outcome = run_plan(str(plan), home=home, progress=SILENT)
    *during, last = seen
    assert len(during) >= 2
    for shown, rows, note, runs, tracked in during:
        to_come = sum(row["status"] == "pending" for row in rows)
        assert tracked == 4 - to_come  # TensorBoard shows what is ranked
        assert len(rows) == 4
        assert [row["status"] for row in runs] == ["running"]
        assert f"): {4 - to_come} of 4 cells have finished so far" in note
        assert shown.splitlines()[-1] == note.strip()
        assert "pending" not in shown
        assert sum(row["rank"] is not None for row in rows) == 4 - to_come
    counts = [sum(row["rank"] is not None for row in rows) for _, rows, *_ in during]
    assert counts == sorted(counts)
    assert counts[0] < 4
    assert "is running" not in last[0] + last[2]
    assert [row["status"] for row in last[3]] == ["completed"]
    [(words, board)] = _boards(outcome.run_id)
    assert words == "Ranking of small by test.accuracy"
    assert [row["rank"] for row in board] == [1, 2, 3, 4]


def test_what_could_not_be_published_at_once_is_published_in_the_end(
    photos: Path, server: ServerHandle, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, failing = Publisher.publish, iter([True])

    def publish(self: Publisher, cells: Any) -> None:
        if next(failing, False):
            raise OSError("just now, the disk is busy")
        honest(self, cells)

    monkeypatch.setattr(Publisher, "publish", publish)
    outcome = run_plan(plan_text(photos, epochs=1), home=home, progress=SILENT)
    assert not outcome.failures
    assert len(list(home.runs.rglob("result.json"))) == 1


def test_what_is_made_of_cells_is_no_cell_to_come() -> None:
    run = reading.Run(
        *("run-1", "id", "small", datetime(2026, 3, 1, 9, tzinfo=UTC), None, "running"),
        *(3, 0, None, "cpu"),
    )
    found = [("completed", "trained"), ("completed", "trained"), ("pending", "trained")]
    rows = [
        {"run_id": "run-1", "status": status, "kind": kind}
        for status, kind in [*found, ("pending", "mean")]
    ]
    assert ranking._running_notes([run], rows) == [
        "small is running (since 2026-03-01 09:00 UTC): 2 of 3 cells have finished so far"
    ]


def test_what_was_loaded_bit_by_bit_is_what_is_loaded_at_once(
    photos: Path, server: ServerHandle, home: Home, at_once: None
) -> None:
    outcome = run_plan(plan_text(photos, GRID), home=home, progress=SILENT)
    assert outcome.counted == outcome.predicted
    before = _everything(home)
    assert len(before["epochs"]) == 6
    assert rebuild(home) == 1
    assert _everything(home) == before


def test_a_killed_run_keeps_what_it_has_told(
    photos: Path,
    server: ServerHandle,
    home: Home,
    at_once: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_plan(plan_text(photos, GRID), home=home, progress=SILENT)
    (path,) = journals(home.journals)
    kept, settled = [], 0
    for event in read_journal(path):
        settled += event["event"] == "settled"
        if event["event"] in ("cell", "finished") or settled > 1:
            break
        kept.append(json.dumps(event))
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert rebuild(home) == 1
    told = "select status, count(*) as n from cell_runs group by 1 order by 1"
    found = {row["status"]: row["n"] for row in warehouse.query(home.warehouse, told).to_pylist()}
    assert found["completed"] >= 1
    assert found["pending"] == 4 - found["completed"]
    assert main(["rank", "small"]) == 0
    shown = capsys.readouterr().out
    assert "is running" not in shown
    waiting = next(line for line in shown.splitlines() if line.startswith("pending: "))
    assert found["pending"] == 1 or waiting == f"pending: {found['pending']} cells: no result"


def test_a_locked_warehouse_does_not_hold_a_run_up(
    photos: Path, server: ServerHandle, home: Home, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def refuse(*_: object) -> None:
        attempts.append(1)
        raise WarehouseError("planted")

    monkeypatch.setattr(live.RunningLoad, "load", refuse)
    outcome = run_plan(plan_text(photos, GRID), home=home, progress=SILENT)
    assert len(attempts) >= 2
    assert [row["rank"] for row in outcome.leaderboard] == [1, 2, 3, 4]
    told = [event for path in journals(home.journals) for event in read_journal(path)]
    noted = [c["cell_id"] for e in told if e["event"] == "settled" for c in e["cells"]]
    assert len(noted) == len(set(noted)) <= 4


def test_loading_meanwhile_gives_way_to_another_loader(home: Home, tmp_path: Path) -> None:
    warehouse.load(home.warehouse, {})
    journal = tmp_path / "journal.jsonl"
    journal.touch()
    with (
        only_loader(home.warehouse, timeout_seconds=1),
        pytest.raises(WarehouseError, match=r"process \d+ on .* has held the lock"),
    ):
        RunningLoad(journal, home).load([])
