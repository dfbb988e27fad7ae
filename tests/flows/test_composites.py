"""Views at test time, ensembles and latency through the whole flow, with one worker and two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import warehouse
from foodvision.data.images import read_image
from foodvision.errors import TrainingError
from foodvision.evaluate.answering import Answerer
from foodvision.home import Home
from foodvision.progress import SILENT
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from pathlib import Path

    from flows.outcome import RunOutcome
    from flows.server import ServerHandle

MADE = """
grid:
  model:
    tiny: {arch: tiny_vgg, hidden: 4}
    frozen: {arch: tiny_vgg, hidden: 4, freeze: backbone}
    mlp: {arch: mlp, hidden: 8}
tta:
  turned: [identity, horizontal_flip, {rotate: 10}, {shift: [2, -1]}, {five_crop: 12}]
  coloured: {views: [{brightness: 1.2}, {saturation: 0.5}], where: {model: mlp}}
ensembles:
  mean: {kind: mean}
  weighted: {kind: weighted, members: {where: {model: [tiny, mlp]}, tta: turned}}
  vote: {kind: vote, members: {top: 2, by: valid.loss}}
rank: {by: valid.accuracy, then: valid.loss}
"""
LABELS = {
    "tiny", "frozen", "mlp", "tiny · turned", "frozen · turned", "mlp · turned", "mlp · coloured",
    "mean", "weighted", "vote",
}  # fmt: skip


def run_plan(text: str, home: Home, **more: Any) -> RunOutcome:
    from flows.grid import run_plan as run

    return run(text, home=home, progress=SILENT, **more)


def rows(home: Home, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = warehouse.query(home.warehouse, sql).to_pylist()
    return found


def answers(home: Home) -> dict[str, list[list[float]]]:
    """Return the logits of every row of the leaderboard, by its label."""
    found: dict[str, list[list[float]]] = {}
    for row in rows(
        home,
        "select label, logits from leaderboard join predictions using (result_key) "
        "order by label, predictions.position",
    ):
        found.setdefault(row["label"], []).append(row["logits"])
    return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("it's here") / "photos")


@pytest.fixture(scope="module")
def text(photos: Path) -> str:
    return plan_text(photos, MADE, epochs=2, valid=0.25)


@pytest.fixture(scope="module")
def alone(
    text: str, server: ServerHandle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, RunOutcome]:
    home = Home(tmp_path_factory.mktemp("alone"))
    return home, run_plan(text, home, overrides=["evaluate.latency=true"])


def test_every_row_stands_beside_its_members(alone: tuple[Home, RunOutcome]) -> None:
    _, outcome = alone
    assert not outcome.failures
    assert {row["label"] for row in outcome.leaderboard} == LABELS
    assert [row["rank"] for row in outcome.leaderboard] == list(range(1, len(LABELS) + 1))
    assert outcome.counted == outcome.predicted


def test_two_workers_give_the_same_bits(
    alone: tuple[Home, RunOutcome], text: str, tmp_path: Path
) -> None:
    home = Home(tmp_path / "two workers")
    outcome = run_plan(text, home, workers=2)
    assert not outcome.failures
    assert outcome.counted == outcome.predicted == alone[1].counted
    assert answers(home) == answers(alone[0])


@pytest.mark.parametrize("label", sorted(LABELS))
def test_stored_outputs_equal_running_the_saved_models(
    label: str, alone: tuple[Home, RunOutcome], photos: Path
) -> None:
    home, outcome = alone
    (row,) = (row for row in outcome.leaderboard if row["label"] == label)
    stored = rows(
        home,
        f"select path, logits from predictions where result_key = '{row['result_key']}' "
        "order by position",
    )
    answerer, _ = Answerer.open(home.root / row["model_path"])
    seen = [answerer.prepare(read_image(photos / each["path"])) for each in stored]
    said = answerer.answer(seen, batch_size=4).softmax(dim=1).numpy()
    expected = np.exp(np.array([each["logits"] for each in stored], dtype=np.float64))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(said, expected, rtol=0, atol=1e-5)


def test_members_are_told_with_their_weights(alone: tuple[Home, RunOutcome]) -> None:
    home, _ = alone
    found = rows(
        home,
        "select made.label, each.label as member, weight, each.valid_accuracy, each.valid_loss "
        "from members join leaderboard as made using (result_key) "
        "join leaderboard as each on members.cell_id = each.cell_id "
        "order by made.label, members.position",
    )
    by_label: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        by_label.setdefault(row["label"], []).append(row)
    assert [row["weight"] for row in by_label["mean"]] == pytest.approx([1 / 3] * 3)
    assert {row["member"] for row in by_label["weighted"]} == {"tiny", "mlp"}
    losses = {
        row["label"]: row["valid_loss"] for row in alone[1].leaderboard if row["kind"] == "trained"
    }
    best = sorted(losses, key=lambda label: losses[label])[:2]
    assert [row["member"] for row in by_label["vote"]] == best
    assert sum(row["weight"] for row in by_label["weighted"]) == pytest.approx(1)


def test_nothing_is_done_twice(alone: tuple[Home, RunOutcome], text: str) -> None:
    home, _ = alone
    again = run_plan(text, home, overrides=["evaluate.latency=true", "name=renamed"])
    assert max(vars(again.counted).values()) == 0
    assert {row["label"] for row in again.leaderboard} == LABELS


def test_a_new_ensemble_runs_no_model(alone: tuple[Home, RunOutcome], text: str) -> None:
    home, _ = alone
    more = run_plan(
        text, home, overrides=["ensembles.pair={members: {where: {model: [tiny, mlp]}}}"]
    )
    assert max(vars(more.counted).values()) == 0
    (row,) = (row for row in more.leaderboard if row["label"] == "pair")
    assert 0 <= row["test_accuracy"] <= 1


def test_latency_of_models_and_of_what_is_made_of_them(alone: tuple[Home, RunOutcome]) -> None:
    home, outcome = alone
    found = {row["label"]: row for row in outcome.leaderboard}
    latency = {label: row["latency_ms"] for label, row in found.items()}
    assert all(each > 0 for each in latency.values())
    assert latency["tiny"] == latency["frozen"]  # one shape, one measurement
    assert len(rows(home, "select * from latencies")) == 2 * 2
    assert latency["mean"] == pytest.approx(2 * latency["tiny"] + latency["mlp"])
    assert latency["mlp · turned"] == pytest.approx(9 * latency["mlp"])
    assert latency["mlp · coloured"] == pytest.approx(2 * latency["mlp"])
    assert found["tiny"]["latency_p95_ms"] >= latency["tiny"]
    assert found["tiny"]["peak_memory_bytes"] > found["tiny"]["model_bytes"]
    assert found["tiny"]["peak_memory_32_bytes"] > 8 * found["tiny"]["peak_memory_bytes"] / 32
    assert found["mean"]["latency_p95_ms"] is found["mean"]["peak_memory_bytes"] is None
    computed = rows(home, "select run_id from stages where kind = 'latency' and not is_hit")
    assert len(computed) == 2


def test_a_measurement_that_fails_costs_no_cell_its_result(
    photos: Path, server: ServerHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foodvision.stages import latency

    def failing(*_: Any, **__: Any) -> Any:
        raise TrainingError("planted. Do not plant.")

    monkeypatch.setattr(latency, "measure_latency", failing)
    home = Home(tmp_path / "home")
    text = plan_text(photos, "evaluate: {latency: true}\n", epochs=1)
    outcome = run_plan(text, home)
    assert not outcome.failures
    (row,) = outcome.leaderboard
    assert (row["rank"], row["latency_ms"]) == (1, None)
    (stage,) = rows(home, "select error from stages where kind = 'latency'")
    assert stage["error"] == "planted. Do not plant."
    monkeypatch.undo()
    (mended,) = run_plan(text, home).leaderboard
    assert mended["latency_ms"] > 0
