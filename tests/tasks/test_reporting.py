from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import warehouse
from foodvision.errors import WarehouseError
from foodvision.home import Home
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from foodvision.store import Store
from tasks.alerts import AlertBook, Finding, find_alerts
from tasks.loading import load_alerts
from tasks.report_contents import Gatherer
from tasks.reporting import Reporter
from tasks.tables import SCHEMAS
from tests.reporting import EIGHT, ONE, reporter_of, write_board

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.report.html.contents import Report

    Made = tuple[Reporter, list[dict[str, Any]]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = Home(tmp_path_factory.mktemp("made") / "home")
    return reporter_of(home, EIGHT, wrong_labels=frozenset({3, 50, 90}))


@pytest.fixture
def eight(made: Made, home: Home) -> Made:
    """A board of eight cells in a home of its own: a reporter, and the leaderboard."""
    reporter, leaderboard = made
    shutil.copytree(reporter.home.root, home.root)
    return Reporter(reporter.plan, home, Store(home.store)), copy.deepcopy(leaderboard)


def _gather(reporter: Reporter, leaderboard: list[dict[str, Any]]) -> Report:
    return Gatherer(
        reporter.plan, reporter.home, reporter.store, leaderboard, reporter.path.parent
    ).gather()


def test_gpus_of_the_latest_run_are_told(eight: Made) -> None:
    reporter, leaderboard = eight
    at = datetime(2026, 3, 1, 9, 0, 5, tzinfo=UTC)
    gpu = {"run_id": "run-1", "gpu": 0, "gpu_name": "H200", "memory_bytes": 12_300_000_000}
    looks = [
        gpu | {"sampled_at": at, "busy_percent": 80.0, "temperature_celsius": 61.0},
        gpu | {"sampled_at": at + timedelta(seconds=5), "busy_percent": 6.0},
    ]
    rows = pa.Table.from_pylist(looks, schema=SCHEMAS["gpu_metrics"])
    assert "GPU 0" not in _gather(reporter, leaderboard).environment
    warehouse.load(reporter.home.warehouse, {"gpu_metrics": rows})
    told = _gather(reporter, leaderboard).environment["GPU 0"]
    assert told == "H200, busy 43 % on average, at most 12.3 GB, 61 °C"


def test_it_says_what_is_known_of_eight_cells(eight: Made) -> None:
    reporter, leaderboard = eight
    report = _gather(reporter, leaderboard)
    assert [entry.rank for entry in report.entries] == list(range(1, 9))
    assert report.entries[0].verdict == "winner"
    assert report.axes == {
        "model.hidden": ["8", "32"], "epochs": ["3", "6"], "optimizer.lr": ["0.001", "0.003"]
    }  # fmt: skip
    assert [value.value for value in report.effects[0].values] == ["8", "32"]
    assert len(report.interactions) == 3
    assert [len(curve.epochs) for curve in report.curves].count(6) == 4
    (first, *_) = report.confusions
    assert len(first.classes) == 10
    assert report.winner is not None
    assert sum(map(sum, first.counts)) == report.winner.images == 451
    assert sum(first.counts[at][at] for at in range(10)) == 451 - report.winner.wrong
    mistakes = [tile for tile in report.winner.predictions.shown if not tile.is_right]
    sure = [float(re.findall(r"\d\.\d+", tile.remark)[0]) for tile in mistakes]
    assert sure == sorted(sure, reverse=True)
    assert len(mistakes) == min(report.winner.wrong, 36)
    assert report.suspects.total == 3
    assert all(tile.image is not None for tile in report.hard.shown)
    for tile in (*report.hard.shown, *report.suspects.shown):  # 3 epochs are a part of 6
        assert re.match(r"\d of 4 models ", tile.remark)
    assert [line.digest for line in report.data] == [report.data[0].digest]
    assert "model.hidden" in report.plan_text
    words = " ".join(report.summary)
    assert f"{leaderboard[0]['label']} ranks first of 8, by test accuracy." in words
    assert "What mattered most: model.hidden" in words
    assert "3 labels look wrong" in words


def test_a_plan_in_one_line_of_json_is_told_line_by_line(home: Home, tmp_path: Path) -> None:
    plan, path = load_plan(EIGHT), tmp_path / "plan.yaml"
    path.write_text(json.dumps(plan.to_json()), encoding="utf-8")
    text = Gatherer(load_plan(path), home, Store(home.store), [], tmp_path)._plan_text()
    assert len(text.splitlines()) > 10
    assert load_plan(text).plan_id == plan.plan_id


def test_seeds_are_one_line_with_their_spread(home: Home) -> None:
    reporter, leaderboard = reporter_of(home, f"{EIGHT}seeds: 3\n")
    report = _gather(reporter, leaderboard)
    assert len(report.entries) == 8
    assert all(len(entry.seeds) == 3 for entry in report.entries)
    figure = report.entries[0].figures["test_accuracy"]
    assert figure.mean == pytest.approx(leaderboard[0]["mean"])
    assert figure.std == pytest.approx(leaderboard[0]["std"])
    assert len(report.curves) == 24
    assert {curve.entry for curve in report.curves} == set(range(8))


def test_stops_and_latencies_are_told_where_there_are_any(home: Home) -> None:
    reporter, leaderboard = reporter_of(home, f"{EIGHT}seeds: 2\n")
    assert {entry.stopped for entry in _gather(reporter, leaderboard).entries} == {None}
    first, second, third, *others = leaderboard
    stopped = [
        first | {"epochs": 6, "epochs_trained": 4, "best_epoch": 2, "latency_ms": 1.5},
        second | {"epochs": 6, "epochs_trained": 5, "best_epoch": None},
        third | {"epochs": 6, "epochs_trained": 6, "best_epoch": None},
    ]
    report = _gather(reporter, [*stopped, *others])
    assert report.entries[0].stopped == "4 to 5 of 6 epochs, the state of epoch 2"
    assert report.entries[1].stopped is None
    assert report.columns[-1].key == "latency_ms"
    assert report.entries[0].figures["latency_ms"].mean == 1.5


def test_cells_that_wait_for_their_turn_are_no_problem(home: Home) -> None:
    labels = [cell.label for cell in expand(load_plan(EIGHT))]
    text = write_board(home, EIGHT, statuses={labels[3]: "pending"}).read_text(encoding="utf-8")
    assert 'id="problems"' not in text
    assert "1 cell not done yet." in text


@pytest.mark.parametrize("by", ["seconds", "params", "valid.loss"])
def test_whatever_decides_there_is_a_report(home: Home, by: str) -> None:
    path = write_board(home, f"{EIGHT}rank: {{by: {by}}}\n")
    assert "Leaderboard" in path.read_text(encoding="utf-8")


def test_one_cell(home: Home) -> None:
    text = write_board(home, ONE).read_text(encoding="utf-8")
    assert "the only configuration with a result" in text
    assert 'id="axes"' not in text
    assert 'id="predictions"' in text


def test_no_cell_has_a_result(home: Home) -> None:
    labels = [cell.label for cell in expand(load_plan(EIGHT))]
    text = write_board(home, EIGHT, statuses=dict.fromkeys(labels, "failed")).read_text("utf-8")
    assert "No cell has a result yet." in text
    assert "8 cells failed." in text
    assert text.count("out of memory: &lt;b&gt;1&lt;/b&gt; &amp; more") == 8
    assert 'id="winner"' not in text


def test_cells_without_a_result_are_named(home: Home) -> None:
    labels = [cell.label for cell in expand(load_plan(EIGHT))]
    statuses = {labels[3]: "failed", labels[5]: "diverged"}
    text = write_board(home, EIGHT, statuses=statuses).read_text(encoding="utf-8")
    problems = text.partition('id="problems"')[2].partition("</section>")[0]
    assert all(label in problems for label in statuses)
    assert "1 cell failed. 1 cell diverged." in text


def test_a_plan_that_never_ran(home: Home) -> None:
    with pytest.raises(WarehouseError, match="no cell of the plan one has run here yet"):
        Reporter(load_plan(ONE), home, Store(home.store)).write([])


def test_images_that_have_left_the_store_are_done_without(eight: Made) -> None:
    reporter, leaderboard = eight
    shutil.rmtree(reporter.home.store)
    text = reporter.write(leaderboard).read_text(encoding="utf-8")
    assert "no longer in the store" in text


def test_it_is_current_until_something_changes(
    eight: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter, leaderboard = eight
    assert not reporter.is_current(leaderboard)
    reporter.write(leaderboard)
    assert reporter.is_current(leaderboard)
    assert not reporter.is_current(leaderboard[:-1])
    slower = [{**leaderboard[0], "seconds_alone": 99.0}, *leaderboard[1:]]
    assert not reporter.is_current(slower)
    assert not reporter.is_current([row | {"latency_ms": 2.5} for row in leaderboard])
    edited = replace(reporter, plan=load_plan(EIGHT, ["description=another"]))
    assert not edited.is_current(leaderboard)
    monkeypatch.setattr("tasks.reporting.look_digest", lambda: "another look")
    assert not reporter.is_current(leaderboard)
    monkeypatch.undo()
    reporter.path.unlink()
    assert not reporter.is_current(leaderboard)


def test_writing_elsewhere_leaves_the_usual_place_alone(eight: Made, tmp_path: Path) -> None:
    reporter, leaderboard = eight
    path = reporter.write(leaderboard, path=tmp_path / "new" / "a report.html")
    assert path.is_file()
    assert not reporter.path.exists()


def test_certificates_and_the_environment_are_told(eight: Made) -> None:
    import pyarrow as pa

    import warehouse
    from tasks.tables import SCHEMAS
    from tests.boards import START

    reporter, leaderboard = eight
    row = {
        "certificate_id": "1", "result_key": leaderboard[0]["result_key"], "cell_id": "c",
        "plan_name": "eight", "checked_at": START, "is_equal": True, "compared_json": "[]",
        "difference": None, "environment_json": "{}", "seconds": 3.0,
    }  # fmt: skip
    table = pa.Table.from_pylist([row], schema=SCHEMAS["certificates"])
    warehouse.load(reporter.home.warehouse, {"certificates": table})
    report = _gather(reporter, leaderboard)
    assert [line.label for line in report.certificates] == [leaderboard[0]["label"]]
    assert report.environment["torch"] == report.packages["torch"] == "2.14.1"
    assert report.environment["host"] == "somewhere"
    assert "equal to the bit" in reporter.write(leaderboard).read_text(encoding="utf-8")


def test_alerts_are_told_and_addresses_are_not(home: Home, tmp_path: Path) -> None:
    secret = "https://hooks.example.org/services/quite-secret"
    rules = [
        {"when": "train.loss > 3", "stop": True, "notify": ["log", {"webhook": secret}]},
        {"when": "test.accuracy < 0.5"},
    ]
    text = f"{EIGHT}alerts: {json.dumps(rules)}  # {secret}\n"
    reporter, leaderboard = reporter_of(home, EIGHT)
    file = tmp_path / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    reporter = Reporter(load_plan(file), home, reporter.store)
    page = reporter.write(leaderboard).read_text(encoding="utf-8")
    assert "There was no reason to." in page
    assert reporter.is_current(leaderboard)

    found = [
        Finding("c", "one", metrics={"test.accuracy": 0.25}, status="completed", about="a"),
        Finding("d", "two", curves={"train.loss": [4.0]}, curves_about={"train.loss": "a"}),
    ]
    book = AlertBook(home)
    for alert in book.raise_new(find_alerts(reporter.plan, found, "run")):
        book.note_told(alert.alert_id, error=None if alert.channel == "log" else "it answers 500")
    assert not reporter.is_current(leaderboard)
    load_alerts(home)
    report = _gather(reporter, leaderboard)
    assert report.rules == [
        "train.loss > 3, on epochs, ends the cell: log, webhook https://hooks.example.org/…db3f036b",
        "test.accuracy < 0.5: log",
    ]
    assert {line.label: line.words for line in report.alerts} == {
        "one": "test.accuracy is 0.25, below 0.5",
        "two": "train.loss is 4 after epoch 1, above 3; its training ends there",
    }
    (two,) = (line for line in report.alerts if line.label == "two")
    assert [(each.channel[:7], each.state) for each in two.told] == [
        ("log", "delivered"),
        ("webhook", "pending"),
    ]
    page = reporter.write(leaderboard).read_text(encoding="utf-8")
    assert "it answers 500" in page
    assert "quite-secret" not in page
    assert "alerts: [{" in report.plan_text  # as the file has it, but for the address


def test_the_commit_is_named_and_what_differs_is_not_shown(eight: Made) -> None:
    import duckdb

    reporter, leaderboard = eight
    git = {
        "commit": "c0ffee",
        "branch": "main",
        "is_dirty": True,
        "diff": "-secret",
        "untracked": 2,
    }
    text = json.dumps({"memory_bytes": 2e9, "pid": 7, "git": git, "packages": {"torch": "2"}})
    with duckdb.connect(reporter.home.warehouse) as connection:
        connection.execute("update runs set environment_json = ?", [text])
    told = "c0ffee on main (with uncommitted changes, 2 untracked files)"
    assert _gather(reporter, leaderboard).environment["git commit"] == told
    page = reporter.write(leaderboard).read_text(encoding="utf-8")
    assert told in page
    assert "-secret" not in page


def test_a_report_needs_no_torch_and_no_pictures(eight: Made, tmp_path: Path) -> None:
    reporter, leaderboard = eight
    board = tmp_path / "board.json"
    board.write_text(json.dumps(leaderboard), encoding="utf-8")
    code = f"""
import json, sys
from pathlib import Path
from foodvision.home import Home
from foodvision.plan.load import load_plan
from foodvision.store import Store
from foodvision.store import Store
from tasks.reporting import Reporter
home = Home(Path({str(reporter.home.root)!r}))
plan = load_plan({EIGHT!r})
board = json.loads(Path({str(board)!r}).read_text("utf-8"))
print(Reporter(plan, home, Store(home.store)).write(board))
print(sorted({{"torch", "matplotlib", "prefect"}} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [str(reporter.path), "[]"]
