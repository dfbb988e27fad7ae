"""The flow, on a real server: what a run leaves behind, and what the next one needs not do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

import warehouse
from flows.cli import main
from foodvision.errors import FoodVisionError, PlanError, WarehouseError
from foodvision.home import Home
from foodvision.models.saved import load_saved
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from foodvision.store import Store
from tasks.explaining import explain_plan
from tasks.gallery import Gallery
from tasks.journal import journals, read_journal
from tasks.loading import rebuild
from tasks.ranking import rank_cells
from tasks.reporting import Reporter
from tests.flows.conftest import drawing
from tests.running import make_photos, plan_text
from warehouse import statements

if TYPE_CHECKING:
    from flows.outcome import RunOutcome
    from flows.server import ServerHandle

GRID = """
grid:
  model:
    tiny: {arch: tiny_vgg, hidden: 4}
    mlp: {arch: mlp, hidden: 8}
  epochs: [1, 2]
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("it's here") / "photos")


def run_plan(text: str, home: Home, **more: Any) -> RunOutcome:
    from flows.grid import run_plan as run

    return run(text, home=home, progress=SILENT, **more)


@pytest.fixture(scope="module")
def first(
    photos: Path, server: ServerHandle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, RunOutcome]:
    home = Home(tmp_path_factory.mktemp("a home"))
    with drawing():
        return home, run_plan(plan_text(photos, GRID), home)


def rows(home: Home, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = warehouse.query(home.warehouse, sql).to_pylist()
    return found


def test_every_cell_is_ranked_and_saved(first: tuple[Home, RunOutcome]) -> None:
    home, outcome = first
    assert not outcome.failures
    assert [row["rank"] for row in outcome.leaderboard] == [1, 2, 3, 4]
    accuracies = [row["test_accuracy"] for row in outcome.leaderboard]
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(row["model_path"] for row in outcome.leaderboard)
    assert len(rows(home, "select * from cell_runs where status = 'completed'")) == 4
    longest = rows(home, "select label from trainings order by position")
    assert [row["label"] for row in longest] == ["tiny · 2 epochs", "mlp · 2 epochs"]


def test_counted_work_equals_predicted_work(first: tuple[Home, RunOutcome]) -> None:
    _, outcome = first
    assert outcome.counted == outcome.predicted
    assert outcome.counted.epochs == 4
    assert outcome.naive.epochs == 6


def test_seconds_of_a_run_are_what_the_next_one_expects(
    first: tuple[Home, RunOutcome], photos: Path
) -> None:
    home, outcome = first
    assert outcome.predicted_seconds is None  # nothing had run yet
    assert 0 < outcome.stage_seconds < outcome.wall_seconds
    plan = load_plan(plan_text(photos, GRID, seed=8))
    forecast = explain_plan(plan, home).forecast
    assert forecast.unknown == 0
    assert 0 < forecast.known < 2 * outcome.stage_seconds
    assert 0 < (forecast.around or 0) < outcome.wall_seconds


def test_curves_predictions_and_classes_are_loaded(first: tuple[Home, RunOutcome]) -> None:
    home, _ = first
    assert rows(home, "select count(*) as n from epochs") == [{"n": 6}]
    assert rows(home, "select count(*) as n from predictions") == [{"n": 4 * 12}]
    assert rows(home, "select count(*) as n from class_metrics") == [{"n": 4 * 3}]
    assert rows(home, "select count(*) as n from images") == [{"n": 24 + 12}]
    wrong = "select * from predictions where is_correct != (true_class = predicted_class)"
    assert rows(home, wrong) == []


def test_accuracy_of_the_leaderboard_is_that_of_its_predictions(
    first: tuple[Home, RunOutcome],
) -> None:
    home, _ = first
    found = rows(
        home,
        "select any_value(c.test_accuracy) as told, avg(p.is_correct::int) as counted "
        "from cell_runs c join predictions p using (result_key) group by result_key",
    )
    assert len(found) == 4
    for row in found:
        assert row["told"] == pytest.approx(row["counted"], abs=1e-12)


def test_metrics_are_those_of_the_predictions(first: tuple[Home, RunOutcome]) -> None:
    home, outcome = first
    assert rows(home, "select distinct split, top_k, temperature from metrics") == [
        {"split": "test", "top_k": 2, "temperature": None}
    ]
    bins = rows(
        home,
        "select result_key, sum(images * abs(confidence - accuracy)) / sum(images) as error "
        "from reliability where not is_calibrated group by result_key",
    )
    errors = {row["result_key"]: row["error"] for row in bins}
    assert len(errors) == 4
    for row in outcome.leaderboard:
        assert row["test_calibration_error"] == pytest.approx(errors[row["result_key"]], abs=1e-6)
        assert row["test_top_k_accuracy"] >= row["test_accuracy"]


def test_shared_seconds_are_paid_once(first: tuple[Home, RunOutcome]) -> None:
    home, _ = first
    (paid,) = rows(home, "select sum(seconds_paid) as seconds from cell_runs")
    (spent,) = rows(home, "select sum(seconds) as seconds from stages")
    assert paid["seconds"] == pytest.approx(spent["seconds"])
    for row in rows(home, "select seconds_alone from cell_runs"):
        assert row["seconds_alone"] > 0


def test_saved_model_gives_the_stored_logits(first: tuple[Home, RunOutcome], photos: Path) -> None:
    from torchvision.transforms import v2

    home, outcome = first
    best = outcome.leaderboard[0]
    module, card = load_saved(home.root / best["model_path"])
    assert card["classes"] == ["pizza", "steak", "sushi"]
    assert card["metrics"]["test_accuracy"] == best["test_accuracy"]
    stored = rows(
        home,
        f"select path, logits from predictions where result_key = '{best['result_key']}' "
        "order by position",
    )
    change = v2.Compose([v2.Resize((16, 16)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    images = torch.stack([change(Image.open(photos / row["path"])) for row in stored])
    with torch.inference_mode():
        logits = module(images)
    torch.testing.assert_close(logits, torch.tensor([row["logits"] for row in stored]))


def test_pictures_and_tensorboard_files_are_there(first: tuple[Home, RunOutcome]) -> None:
    home, outcome = first
    assert set(outcome.pictures) == {
        "ranking",
        "training times",
        "learning curves",
        "confusion matrix",
        "reliability",
        "predictions",
    }
    for path in outcome.pictures.values():
        with Image.open(path) as picture:
            assert (picture.format, picture.width > 400) == ("PNG", True)
    folders = sorted(
        path.parent.relative_to(home.runs).as_posix().partition("/")[2]
        for path in home.runs.rglob("result.json")
    )
    assert folders == [f"small/{m}/{e}" for m in ("mlp", "tiny") for e in ("1 epoch", "2 epochs")]
    graphs = sorted(path.name for path in home.runs.glob("*/small/graph *"))
    assert graphs == ["graph mlp", "graph tiny_vgg"]


def test_every_run_writes_a_report(first: tuple[Home, RunOutcome]) -> None:
    home, outcome = first
    assert outcome.report == home.reports / "small" / "report.html"
    text = outcome.report.read_text(encoding="utf-8")
    assert all(row["label"] in text for row in outcome.leaderboard)
    assert f"Trained one by one, the cells are {outcome.naive.epochs} epochs" in text


def test_flow_run_shows_artifacts_and_named_tasks(first: tuple[Home, RunOutcome]) -> None:
    from uuid import UUID

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        FlowRunFilter,
        FlowRunFilterId,
    )

    _, outcome = first
    run_id = UUID(outcome.run_id)
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
        )
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
    names = {task.name for task in tasks}
    assert "fetch photos" in names
    assert "train mlp, epoch 2, mlp, 2 epochs" in names
    assert {"small-work", "small-leaderboard", "small-best"} <= {a.key for a in artifacts}
    (link,) = (a for a in artifacts if a.key == "small-report")
    assert link.data == f"[report.html]({outcome.report.as_uri()})"  # of another home's server
    (board,) = (a for a in artifacts if a.key == "small-leaderboard")
    assert [row["rank"] for row in json.loads(board.data)] == [1, 2, 3, 4]


def test_unchanged_plan_runs_nothing_and_never_imports_torch(
    first: tuple[Home, RunOutcome], photos: Path, server: ServerHandle, tmp_path: Path
) -> None:
    home, _ = first
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan_text(photos, GRID), encoding="utf-8")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from flows.grid import run_plan\n"
        "from foodvision.home import Home\n"
        "from foodvision.progress import SILENT\n"
        "done = run_plan(sys.argv[1], home=Home(Path(sys.argv[2])), progress=SILENT)\n"
        "print(max(vars(done.counted).values()), done.hits, 'torch' in sys.modules)\n"
    )
    written = (home.reports / "small" / "report.html").stat().st_mtime_ns
    ran = subprocess.run(
        [sys.executable, "-c", code, str(plan), str(home.root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["0", "8", "False"]
    last = read_journal(list(journals(home.journals))[-1])
    assert [event["event"] for event in last].count("stage") == 0
    both = "select stages_found as found, stages_computed as made from savings order by started_at"
    assert rows(home, both) == [{"found": 0, "made": 5}, {"found": 8, "made": 0}]
    assert (home.reports / "small" / "report.html").stat().st_mtime_ns == written


def test_other_settings_of_a_day_stand_beside_the_first(
    first: tuple[Home, RunOutcome], photos: Path, tmp_path: Path
) -> None:
    home, _ = first
    before = Home(shutil.copytree(home.root, tmp_path / "home"))
    plan = load_plan(plan_text(photos, GRID))
    changed = ["base.batch_size=3", "grid.epochs=[1]"]
    outcome = run_plan(plan_text(photos, GRID), before, overrides=changed)
    marks = sorted(before.runs.glob("*/small/mlp/*/result.json"))
    assert [path.parent.name.rpartition(" · ")[0] for path in marks] == ["", "1 epoch", ""]
    latest = before.reports / "small"
    assert outcome.report == latest / "report.html"
    shown = {path: path.stat().st_mtime_ns for path in _shown(before, latest)}
    board = rank_cells(plan, expand(plan), before)
    store = Store(before.store)
    pictures = Gallery(plan, before, store).show(board)
    assert {path.parent for path in pictures.values()} == {latest / plan.plan_id[:8]}
    assert Reporter(plan, before, store).write(board).parent == latest / plan.plan_id[:8]
    assert {path: path.stat().st_mtime_ns for path in _shown(before, latest)} == shown


def _shown(home: Home, latest: Path) -> list[Path]:
    return [*latest.glob("*.png"), *latest.glob("*.html"), *home.runs.glob("*/small/best model/*")]


def test_renamed_plan_and_labels_find_their_results(
    first: tuple[Home, RunOutcome], photos: Path
) -> None:
    home, _ = first
    text = plan_text(photos, GRID).replace("tiny:", "renamed:").replace("name: small", "name: new")
    outcome = run_plan(text, home)
    assert outcome.counted.epochs == 0
    labels = {row["label"] for row in outcome.leaderboard}
    assert "renamed · 2 epochs" in labels


def test_failing_cell_takes_down_nothing_else(
    photos: Path,
    server: ServerHandle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from foodvision.stages import training

    honest = training.train_epochs

    def failing(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(part, torch.nn.Conv2d) for part in module.modules()):
            raise ZeroDivisionError("planted")
        return honest(module, *args, **kwargs)

    monkeypatch.setattr(training, "train_epochs", failing)
    home = Home(tmp_path / "home")
    outcome = run_plan(plan_text(photos, GRID), home)
    assert set(outcome.failures) == {"mlp · 1 epoch", "mlp · 2 epochs"}
    assert "ZeroDivisionError: planted" in outcome.failures["mlp · 1 epoch"]
    ranked = {row["label"]: row["rank"] for row in outcome.leaderboard}
    assert ranked["mlp · 1 epoch"] is None
    assert ranked["tiny · 2 epochs"] in (1, 2)
    assert rows(home, "select status from runs") == [{"status": "failed"}]
    _check_logs_of_failure(home, outcome, monkeypatch, capsys)
    monkeypatch.undo()
    mended = run_plan(plan_text(photos, GRID), home)
    assert not mended.failures
    assert mended.counted.epochs == 2


def _check_logs_of_failure(
    home: Home,
    outcome: RunOutcome,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Why a cell failed is in a file that the run, the warehouse, the report and `logs` name."""
    one, two = (outcome.failed_logs[f"mlp · {epochs}"] for epochs in ("1 epoch", "2 epochs"))
    assert one == two  # the second epoch was not tried, because the first failed
    told = one.read_text()
    assert "train mlp, epoch 1" in told.splitlines()[0]
    assert "Traceback" in told
    assert "ZeroDivisionError: planted" in told
    in_home = one.relative_to(home.root).as_posix()
    logs = rows(home, "select log_path from cell_runs where status = 'failed'")
    assert logs == [{"log_path": in_home}] * 2
    (run,) = rows(home, "select log_path from runs")
    run_log = (home.root / run["log_path"]).read_text()
    assert "train mlp, epoch 1, photos, 2 cells failed: ZeroDivisionError" in run_log
    kept = rows(home, "select log_path from stages where error is null and not is_hit")
    texts = [(home.root / row["log_path"]).read_text() for row in kept]
    assert sum("epoch 2: train loss" in text for text in texts) == 1  # of tiny
    assert f'<a href="../../{in_home}">its log</a>' in outcome.report.read_text()
    monkeypatch.setenv("FOODVISION_HOME", str(home.root))
    assert main(["logs", "small"]) == 0
    said = capsys.readouterr().out
    assert f"--- {one}" in said
    assert said.count("ZeroDivisionError: planted") >= 2
    assert main(["logs", "small", "tiny · 2 epochs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["status"] for row in listed} == {"done"}
    assert {"pixels", "train"} == {row["kind"] for row in listed}
    *_, second = listed
    assert (second["stage"], second["cells"]) == ("train tiny_vgg, epoch 2", ["tiny · 2 epochs"])
    assert "train tiny_vgg, epoch 1  tiny (2 cells)" in said
    assert "train tiny_vgg, epoch 2  tiny · 2 epochs" in said
    for name in ("tiny · 2 epochs", "2 tiny"):
        assert main(["logs", "small", name]) == 0
        assert "epoch 1: train loss" in capsys.readouterr().out
    assert f"  {second['key'][:8]}\n" in said  # what to type for one stage alone
    assert main(["logs", "small", second["key"][:8]]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"\n--- {second['log']}\n")
    assert "epoch 2: train loss" in told
    assert "epoch 1: train loss" not in told
    for name, hint in (
        ("tinny 2 epochs", "'tinny 2 epochs'; did you mean 'tiny · 2 epochs'?"),
        ("2 epochs", "'2 epochs'; it may mean 'tiny · 2 epochs', 'mlp · 2 epochs': write more"),
    ):
        assert main(["logs", "small", name]) == 2
        assert f"none of the plan small is called {hint}" in capsys.readouterr().err
    assert main(["logs", "small", "--failed"]) == 0


def test_warehouse_rebuilt_from_store_and_journals_is_the_same(
    first: tuple[Home, RunOutcome],
) -> None:
    home, _ = first
    tables = [row["name"] for row in rows(home, "select table_name as name from duckdb_tables()")]
    tables = [name for name in tables if name != "schema_versions"]
    assert "predictions" in tables

    def everything() -> dict[str, list[str]]:
        return {
            name: sorted(str(row) for row in rows(home, f'select * from "{name}"'))
            for name in tables
        }

    before = everything()
    home.warehouse.unlink()
    assert rebuild(home) >= 1
    after = everything()
    for name in tables:
        assert after[name] == before[name], name


def test_rebuild_after_a_loss_keeps_what_is_left(photos: Path, tmp_path: Path) -> None:
    from foodvision.store import Store

    home = Home(tmp_path / "home")
    first = run_plan(plan_text(photos, GRID), home)
    other = run_plan(plan_text(photos, GRID), home, overrides=["base.seed=8"])
    store = Store(home.store)
    for entry in list(store.entries("score")):
        if entry.key in _score_keys(home, first.run_id):
            store.remove("score", entry.key)
    (home.journals / "19990101T000000-odd.jsonl").write_text('{"event": "started"}\n')
    assert rebuild(home) == 2
    told = rows(home, "select run_id, status, error from cell_runs")
    lost = [row for row in told if row["run_id"] == first.run_id]
    assert {row["status"] for row in lost} == {"pending"}
    assert all("no longer kept" in row["error"] for row in lost)
    assert {r["status"] for r in told if r["run_id"] == other.run_id} == {"completed"}


def _score_keys(home: Home, run_id: str) -> set[str]:
    (path,) = home.journals.glob(f"*-{run_id}.jsonl")
    (compiled,) = (e for e in read_journal(path) if e["event"] == "compiled")
    return {cell["scores"]["test"]["key"] for cell in compiled["cells"]}


def test_run_that_died_before_loading_is_loaded_by_the_next(photos: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    first = run_plan(plan_text(photos, GRID), home)
    home.warehouse.unlink()
    run_plan(plan_text(photos, GRID), home, overrides=["base.seed=8"])
    loaded = {row["run_id"] for row in rows(home, "select run_id from runs")}
    assert first.run_id in loaded
    assert len(loaded) == 2


def test_renamed_classes_are_told_by_their_own_names(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    told: list[str] = []
    monkeypatch.setattr("flows.run.free_bytes", lambda _: 1)
    monkeypatch.setattr("flows.run.logger.warning", lambda text, *more: told.append(text % more))
    renamed = make_photos(tmp_path / "renamed")
    for split in ("train", "test"):
        for old, new in (("pizza", "1 ピザ"), ("steak", "2 ステーキ"), ("sushi", "3 寿司")):
            (renamed / split / old).rename(renamed / split / new)
    run_plan(plan_text(photos), home)
    short = [text for text in told if "must have room on the disk" in text]
    assert [str(home.root) in text for text in short] == [True]  # said, and gone on
    again = run_plan(plan_text(renamed), home)
    assert again.counted.epochs == 0
    (best,) = again.leaderboard
    names = rows(
        home,
        f"select distinct true_class from predictions where result_key = '{best['result_key']}'",
    )
    assert {row["true_class"] for row in names} == {"1 ピザ", "2 ステーキ", "3 寿司"}


def _tags(outcome: RunOutcome) -> list[str]:
    """Return what Prefect shows beside a flow run."""
    from uuid import UUID

    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return list(client.read_flow_run(UUID(outcome.run_id)).tags)


def test_save_best_keeps_one_model(
    first: tuple[Home, RunOutcome], photos: Path, tmp_path: Path
) -> None:
    home, _ = first
    text = plan_text(photos, GRID).replace("name: small", "name: thrifty")
    long = f"description={'x' * 100}"
    no_board = "record.tensorboard=false"
    outcome = run_plan(text, home, overrides=["save=best", long, no_board])
    assert _tags(outcome) == ["save=best", f"{long[:79]}…", no_board]
    assert list(home.runs.glob("*/small"))
    assert not list(home.runs.glob("*/thrifty"))
    there = sorted((home.models / "thrifty").glob("*.pth"))
    saved = [path for path in there if not path.is_symlink()]
    assert [str(saved[0])] == [
        row["model_path"] for row in outcome.leaderboard if row["model_path"]
    ]
    assert outcome.leaderboard[0]["model_path"] == str(saved[0])
    assert len(saved) == 1
    assert {path.resolve() for path in there} == {*saved}  # by its other names


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("epochs: 3", "epochs: 0"), PlanError, "must be at least 1, got 0"),
        (("tiny_vgg", "tiny_vgb"), FoodVisionError, "tiny_vgg"),
        (("batch_size: 5", "batch_size: 25"), PlanError, "at most the number of training images"),
    ],
    ids=["bad plan", "unknown architecture", "batch too large"],
)
def test_bad_input_is_told_in_a_sentence(
    change: tuple[str, str],
    error: type[Exception],
    message: str,
    photos: Path,
    server: ServerHandle,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        run_plan(plan_text(photos).replace(*change), Home(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"layer9.weight": torch.zeros(2)}, "weights must fit resnet18 in all but the head"),
        (b"no weights at all", "weights.pth"),
    ],
    ids=["another architecture", "no weights"],
)
def test_bad_weights_are_told_before_anything_is_computed(
    content: object, message: str, photos: Path, server: ServerHandle, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        weights.write_bytes(content)
    else:
        torch.save(content, weights)
    model = f"{{arch: resnet18, weights: {json.dumps(str(weights))}, freeze: backbone}}"
    home = Home(tmp_path / "home")
    outcome = run_plan(plan_text(photos, model=model).replace("size: 16", "size: 32"), home)
    (error,) = outcome.failures.values()
    assert message in error
    (path,) = journals(home.journals)
    assert "stage" not in [event["event"] for event in read_journal(path)]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no DuckDB file", "DuckDB cannot read it"), (None, "a newer FoodVision wrote it")],
    ids=["damaged", "newer"],
)
def test_a_warehouse_that_cannot_be_loaded_is_told_before_anything_is_computed(
    content: bytes | None,
    message: str,
    photos: Path,
    server: ServerHandle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    if content:
        home.warehouse.write_bytes(content)
    else:
        future = statements.Statement("9999_future", "create table future (x integer)")
        with monkeypatch.context() as patch:
            known = statements.migrations()
            patch.setattr(statements, "migrations", lambda: (*known, future))
            warehouse.load(home.warehouse, {})
    with pytest.raises(WarehouseError, match=message):
        run_plan(plan_text(photos), home)
    assert not home.store.exists()


def test_lineage_leads_from_the_best_model_to_its_images(
    first: tuple[Home, RunOutcome], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, outcome = first
    best = outcome.leaderboard[0]

    def told(name: str) -> str:
        assert main(["lineage", name, "--home", str(home.root)]) == 0
        return capsys.readouterr().out

    text = told("small:best")
    assert told(best["model_path"]) == text
    assert told(best["result_key"][:8]) == told(best["label"]) == told("best")  # of the latest run
    assert max(len(line) for line in text.splitlines()[1:]) <= 80 + len(str(photos))
    assert main(["lineage", "small:best", "--json", "--images", "--home", str(home.root)]) == 0
    graph = json.loads(capsys.readouterr().out)
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert graph["nodes"][0]["path"] == best["model_path"]
    reached = {graph["nodes"][0]["id"]}
    for _ in nodes:
        reached |= {edge["to"] for edge in graph["edges"] if edge["from"] in reached}
    assert reached == set(nodes)
    kinds = [node["kind"] for node in nodes.values()]
    assert {"model", "result", "run", "score", "state", "rows", "images", "dataset"} == set(kinds)
    (tested,) = (node for node in nodes.values() if node.get("part") == "test" and "images" in node)
    found = rows(
        home, "select path, image_sha256 from images where split = 'test' order by image_sha256"
    )
    listed = sorted((image["path"], image["sha256"]) for image in tested["images"])
    assert listed == sorted((row["path"], row["image_sha256"]) for row in found)


def test_lineage_names_the_run_that_trained(
    first: tuple[Home, RunOutcome], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, outcome = first
    again = run_plan(plan_text(photos, GRID), home)
    assert again.counted.epochs == 0
    for _ in range(2):
        assert main(["lineage", "small:best", "--json", "--home", str(home.root)]) == 0
        nodes = json.loads(capsys.readouterr().out)["nodes"]
        (run,) = (node for node in nodes if node["kind"] == "run")
        if "told of it" not in run["title"]:
            assert run["key"] == outcome.run_id
            (journal,) = (each for each in journals(home.journals) if run["key"] in each.name)
            gone = journal.rename(journal.with_suffix(".gone"))
    gone.rename(journal)
    assert run["key"] == again.run_id


def test_names_among_the_saved_models_mean_them(
    first: tuple[Home, RunOutcome], capsys: pytest.CaptureFixture[str], photos: Path
) -> None:
    home, outcome = first
    folder, where = home.models / "small", ["--home", str(home.root)]
    saved = {row["label"]: Path(row["model_path"]) for row in outcome.leaderboard}
    links = {path.name: path.readlink() for path in folder.iterdir() if path.is_symlink()}
    names = {"best", "latest", *(path.stem[:-9] for path in saved.values())}
    assert links.keys() == {f"{name}{suffix}" for name in names for suffix in (".pth", ".json")}
    assert links["best.pth"] == Path(next(iter(saved.values())).name)
    assert links["latest.pth"] == Path(saved["mlp · 2 epochs"].name)
    assert load_saved(folder / "best.pth")[1]["label"] == outcome.leaderboard[0]["label"]
    assert main(["lineage", str(folder / "mlp_1-epoch.pth"), "--json", *where]) == 0
    found = json.loads(capsys.readouterr().out)["nodes"]
    assert found[1]["title"].startswith("mlp · 1 epoch")
    photo = str(next(photos.rglob("*.png")))
    told = {}
    keys = {row["label"]: row["result_key"][:12] for row in outcome.leaderboard}
    one_epoch, two_epochs = keys["mlp · 1 epoch"], keys["mlp · 2 epochs"]
    for name in (one_epoch, f"{two_epochs}@epoch-1", str(folder / "latest.pth"), two_epochs):
        assert main(["predict", photo, "--model", name, "--json", *where]) == 0
        (told[name],) = json.loads(capsys.readouterr().out)
    one, epoch, latest, two = told.values()
    assert one["probabilities"] == epoch["probabilities"]  # the same state
    stem = saved["mlp · 2 epochs"].stem  # the same result may be another plan's best, too
    assert Path(epoch["model"]).name == f"{stem}-epoch-1.pth"
    assert latest["probabilities"] == two["probabilities"]
    assert two["probabilities"] != one["probabilities"]
    card = json.loads(Path(epoch["model"]).with_suffix(".json").read_text())
    first_card = json.loads(saved["mlp · 1 epoch"].with_suffix(".json").read_text())
    assert card["epoch"] == 1
    assert card["sha256"] == first_card["sha256"]
    assert card["metrics"] == first_card["metrics"]
    assert main(["predict", photo, "--model", f"{two_epochs}@epoch-1", *where]) == 0
    assert "What mlp · 2 epochs after epoch 1, of plan small says" in capsys.readouterr().out
    assert main(["predict", photo, "--model", f"{two_epochs}@epoch-3", *where]) == 2
    assert "there is one of epoch 1, 2, not of 3" in capsys.readouterr().err
    assert main(["lineage", f"{two_epochs}@epoch-1", *where]) == 0
    text = capsys.readouterr().out
    score = f"test accuracy {first_card['metrics']['test_accuracy']:.4f}"
    assert f": mlp · 2 epochs after epoch 1, {score}\n" in text.splitlines(keepends=True)[0]
    assert "result" not in text
    assert ".pth" not in text


def test_a_copy_of_a_home_lists_and_finds_its_own_models(
    first: tuple[Home, RunOutcome],
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    home, outcome = first
    copy = tmp_path / "寿司 copy"
    shutil.copytree(home.root, copy, symlinks=True)
    where = ["--home", str(copy)]
    assert main(["models", "ls", "--json", *where]) == 0
    listed = [row for row in json.loads(capsys.readouterr().out) if row["plan"] == "small"]
    for row, ranked in zip(listed, outcome.leaderboard, strict=True):  # by the plan's rule
        assert (row["label"], row["rank"]) == (ranked["label"], ranked["rank"])
        path = Path(row["model_path"])
        assert path == copy / Path(ranked["model_path"]).relative_to(home.root)
        assert (path.parent / row["file_name"]).resolve() == path
    assert "best" in listed[0]["names"]
    assert [row["label"] for row in listed if "latest" in row["names"]] == ["mlp · 2 epochs"]
    assert main(["models", "ls", *where]) == 0
    heading = f"small, ranked by test.accuracy, in {copy / 'models' / 'small'}"
    assert heading in capsys.readouterr().out.splitlines()
    best = listed[0]["model_path"]
    for name in ("small:best", best):
        assert main(["lineage", name, *where]) == 0
        assert capsys.readouterr().out.splitlines()[0] == best
    photo = str(next(photos.rglob("*.png")))
    assert main(["predict", photo, "--model", "small:best", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)[0]["model"] == best
    _says_what_was_removed(where, capsys)


def _says_what_was_removed(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """See to it that what `store gc` took is told by its name, with how to get it again."""
    assert main(["store", "gc", "--older-than", "0", *where]) == 0
    for name, what in (("small:best", "a score"), ("small:best@epoch-1", "a state")):
        assert main(["lineage", name, *where]) == 2
        said = capsys.readouterr().err
        assert f"and {what} of the plan small is no longer among them" in said
        assert "Running the plan computes it again" in said
        assert "manifest" not in said


@pytest.mark.parametrize(
    ("command", "wrong", "hint"),
    [
        ("predict photo.png --model", "small:bset", "did you mean 'small:best'?"),
        ("predict photo.png --model", "best@5", "did you mean 'best@epoch-5'?"),
        ("predict photo.png --plan", "smal", "did you mean 'small'?"),
        ("lineage", "small:mlp 3 epochs", "did you mean 'small:mlp · 2 epochs'?"),
        ("lineage", "mlp", "it may mean 'mlp · "),
        ("lineage", "nothing like it", "small:best, small:latest, "),
        ("rank", "smal", "did you mean 'small'?"),
        ("best", "smal", "did you mean 'small'?"),
        ("report", "smal", "did you mean 'small'?"),
        ("logs", "smal", "did you mean 'small'?"),
        ("compare small", "smal", "did you mean 'small'?"),
        ("rank", "pizza", "known: "),
    ],
)
def test_a_wrong_name_is_told_with_what_was_meant(
    command: str,
    wrong: str,
    hint: str,
    first: tuple[Home, RunOutcome],
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, _ = first
    assert main([*command.split(), wrong, "--home", str(home.root)]) == 2
    said = capsys.readouterr().err
    assert f"{wrong!r}" in said
    assert hint in said


def test_lineage_of_an_epoch_and_as_pictures(
    first: tuple[Home, RunOutcome], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home, _ = first
    where = ["--home", str(home.root)]
    assert main(["lineage", "mlp · 2 epochs", "--epoch", "1", "--json", *where]) == 0
    graph = json.loads(capsys.readouterr().out)
    states = [node["title"] for node in graph["nodes"] if node["kind"] == "state"]
    assert states == ["epoch 1"]
    assert graph["nodes"][0]["kind"] == "epoch"
    assert not {"model", "result"} & {node["kind"] for node in graph["nodes"]}
    assert main(["lineage", "mlp · 2 epochs", "--format", "mermaid", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "flowchart TD"
    assert sum("-->" in line for line in lines) >= 8
    assert main(["lineage", "mlp · 2 epochs", "--format", "dot", *where]) == 0
    assert capsys.readouterr().out.startswith("digraph lineage {")
    drawn = tmp_path / "new" / "lineage.svg"
    assert main(["lineage", "mlp · 2 epochs", "--svg", str(drawn), *where]) == 0
    assert capsys.readouterr().out == f"picture: {drawn}\n"
    assert ">epoch 2<" in drawn.read_text()
    assert main(["lineage", "mlp · 2 epochs", "--epoch", "9", *where]) == 2
    assert "Its last one is 2" in capsys.readouterr().err
    assert main(["lineage", "mpl", *where]) == 2
    assert "no result is called 'mpl'" in capsys.readouterr().err
