from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import warehouse
from warehouse import database, migrations, reading

from .conftest import START

if TYPE_CHECKING:
    from pathlib import Path

Rows = Callable[..., pa.Table]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Path:
    path = tmp_path_factory.mktemp("home") / "warehouse.duckdb"
    warehouse.load(
        path,
        {
            "epochs": rows(
                "epochs",
                {"epoch": 2, "train_loss": 0.5},
                {"epoch": 1, "train_loss": 1.0},
                {"result_key": "result-2", "epoch": 2, "train_loss": 3.0},
                {"result_key": "result-2", "epoch": 1, "train_loss": 2.0},
            ),
            "predictions": rows(
                "predictions",
                {"position": 1, "path": "second.jpg"},
                {"position": 0, "path": "first.jpg"},
                {"result_key": "result-2"},
            ),
            "class_metrics": rows(
                "class_metrics",
                {"class_name": "steak", "precision": 0.25},
                {"class_name": "pizza"},
                {"result_key": "result-2"},
            ),
            "metrics": rows(
                "metrics",
                {"split": "valid", "accuracy": 0.5},
                {"split": "test", "top_k": 2},
                {"result_key": "result-2"},
            ),
            "runs": rows(
                "runs",
                {"run_id": "old"},
                {"run_id": "new", "started_at": START + timedelta(hours=1), "finished_at": None},
                {"run_id": "other", "plan_name": "other"},
            ),
            "certificates": rows(
                "certificates",
                {"certificate_id": "1"},
                {
                    "certificate_id": "2",
                    "checked_at": START + timedelta(hours=1),
                    "is_equal": False,
                    "difference": "logits.test",
                },
                {"certificate_id": "3", "result_key": "result-2"},
            ),
        },
    )
    return path


def test_curves_come_in_the_order_asked_for(path: Path) -> None:
    found = reading.curves(path, ["result-2", "unknown", "result-1"])
    assert [(point.result_key, point.epoch, point.train_loss) for point in found] == [
        ("result-2", 1, 2.0),
        ("result-2", 2, 3.0),
        ("result-1", 1, 1.0),
        ("result-1", 2, 0.5),
    ]
    assert found[0].valid_loss is None


def test_curves_of_nothing_are_nothing(path: Path) -> None:
    assert reading.curves(path, []) == []


def test_predictions_come_in_the_order_of_the_split(path: Path) -> None:
    found = reading.predictions(path, "result-1")
    assert [(one.position, one.path) for one in found] == [(0, "first.jpg"), (1, "second.jpg")]
    assert found[0].is_correct


def test_metrics_come_by_split(path: Path) -> None:
    found = reading.metrics(path, "result-1")
    assert found["valid"].accuracy == 0.5
    assert found["test"].top_k == 2
    assert found.keys() == {"valid", "test"}
    assert reading.metrics(path, "unknown") == {}


def test_bins_of_reliability_come_by_probability(path: Path) -> None:
    (found,) = reading.reliability(path, "result-1")
    assert (found.images, found.confidence, found.accuracy) == (2, 0.75, 1.0)
    assert (found.lower, found.upper) == pytest.approx((11 / 15, 12 / 15))


def test_runs_come_with_what_they_cost_the_latest_first(path: Path) -> None:
    assert [run.run_id for run in reading.run_details(path, "demo", most=9)] == ["new", "old"]
    (newest,) = reading.run_details(path, "demo", most=1)
    assert (newest.run_id, newest.stages_found, newest.seconds_alone) == ("new", 0, None)
    assert (newest.cells_done, newest.epochs_alone, newest.epochs_computed) == (0, 0, 0)
    everything = reading.run_details(path, None, most=None)
    assert {run.plan_name for run in everything} > {"demo"}
    assert len(everything) == 3


def test_certificates_come_the_latest_first(path: Path) -> None:
    found = reading.certificates(path, ["result-1", "unknown"])
    assert [(each.is_equal, each.difference) for each in found] == [
        (False, "logits.test"),
        (True, None),
    ]


def test_answers_number_the_same_image_alike_in_every_result(tmp_path: Path, rows: Rows) -> None:
    one, other, twice = ("a" * 64, "b" * 64, "c" * 64)
    given = [
        ("r1", 0, "one.jpg", one, "pizza"),
        ("r1", 1, "two.jpg", twice, "pizza"),
        ("r1", 2, "two again.jpg", twice, "pizza"),
        ("r2", 0, "elsewhere/two.jpg", twice, "pizza"),
        ("r2", 1, "elsewhere/one.jpg", one, "pizza"),
        ("r2", 2, "other.jpg", other, "pizza"),
        ("r2", 3, "renamed.jpg", one, "steak"),
        ("r3", 0, "not asked for.jpg", one, "pizza"),
    ]
    names = ("result_key", "position", "path", "image_sha256", "true_class")
    table = rows("predictions", *(dict(zip(names, row, strict=True)) for row in given))
    # Classes and verdicts have to fit together.
    table = table.set_column(
        table.column_names.index("predicted_class"), "predicted_class", table["true_class"]
    )
    warehouse.load(tmp_path / "warehouse.duckdb", {"predictions": table})
    found = reading.answers(tmp_path / "warehouse.duckdb", ["r2", "unknown", "r1"]).to_pylist()
    numbers = {(row["result"], row["path"]): row["image"] for row in found}
    assert [row["result"] for row in found] == [0, 0, 0, 0, 2, 2, 2]
    assert numbers[(0, "elsewhere/one.jpg")] == numbers[(2, "one.jpg")]
    assert numbers[(0, "elsewhere/two.jpg")] == numbers[(2, "two.jpg")]
    assert len(set(numbers.values())) == 5
    assert set(numbers.values()) == set(range(5))


def test_class_metrics_come_by_name(path: Path) -> None:
    found = reading.class_metrics(path, "result-1")
    assert [(one.class_name, one.precision) for one in found] == [("pizza", 0.5), ("steak", 0.25)]


@pytest.mark.parametrize(
    ("plan_name", "expected"),
    [(None, ["new", "old", "other"]), ("demo", ["new", "old"]), ("never", [])],
    ids=["every plan", "one plan", "a plan that never ran"],
)
def test_runs_come_latest_first(path: Path, plan_name: str | None, expected: list[str]) -> None:
    found = reading.runs(path, plan_name=plan_name)
    assert [run.run_id for run in found] == expected
    assert all(run.started_at.utcoffset() == timedelta(0) for run in found)


def test_known_results_are_those_with_metrics(path: Path) -> None:
    assert reading.known_results(path) == {"result-1", "result-2"}


def test_before_the_first_run_no_result_is_known(tmp_path: Path) -> None:
    assert reading.known_results(tmp_path / "warehouse.duckdb") == frozenset()


def test_no_result_of_an_older_file_is_known_so_that_loading_upgrades_it(tmp_path: Path) -> None:
    older = tmp_path / "warehouse.duckdb"
    with database.connect(older, read_only=False) as connection:
        migrations.migrate(connection, older, to=migrations.latest_version() - 1)
    assert reading.known_results(older) == frozenset()


def test_readers_say_that_nothing_has_run(tmp_path: Path) -> None:
    acts: list[Callable[[Path], Any]] = [
        reading.runs,
        lambda path: reading.curves(path, ["x"]),
        lambda path: reading.predictions(path, "x"),
        lambda path: reading.answers(path, ["x"]),
        lambda path: reading.class_metrics(path, "x"),
    ]
    for act in acts:
        with pytest.raises(warehouse.MissingWarehouseError, match="nothing has run yet"):
            act(tmp_path / "warehouse.duckdb")
