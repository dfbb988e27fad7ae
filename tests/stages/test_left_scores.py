"""Scores without their spans, as kills and collections leave them: used as far as they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.plan.graph import score_key
from foodvision.stages import training
from tasks.results import read_result
from tests.running import Ran, make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"
WHOLE = "{arch: tiny_vgg, hidden: 4, freeze: none}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos") / "photos", train=4, test=2)


def rows(ran: Ran, epoch: int) -> list[int]:
    (compiled, *_) = ran.graph.cells
    key = score_key(compiled.chain.states[epoch - 1], compiled.image_sets["test"].digest)
    return [row["epoch"] for row in ran.store.get("score", key).notes["rows"]]


def remove_spans(ran: Ran) -> None:
    for key in list(ran.store.keys("train")):
        ran.store.remove("train", key)


def test_scores_of_a_killed_run_are_predicted_as_they_are_used(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = plan_text(photos, "grid: {epochs: [2, 4]}\n", model=HEAD, valid=0.25)
    undisturbed = run(text, tmp_path / "undisturbed")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_write_span", killed)
    with pytest.raises(KeyboardInterrupt):
        run(text, tmp_path)
    monkeypatch.undo()
    again = run(text, tmp_path)
    assert len([kind for kind, _ in again.work.hits if kind == "score"]) == 2
    assert again.counted == again.work.predicted
    assert again.counted.epochs == 4
    assert again.counted.scored_images == undisturbed.counted.scored_images // 2
    assert again.results() == undisturbed.results()


@pytest.mark.parametrize("model", [HEAD, WHOLE], ids=["kept states", "last state kept"])
def test_a_score_of_fewer_epochs_is_made_whole(
    model: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The span of the score began later, because another cell cut the chain."""
    monkeypatch.setattr(training, "KEPT_SNAPSHOT_BYTES", 1 << 30 if model == HEAD else 0)
    text = plan_text(photos, model=model)
    cut = run(text + "grid: {epochs: [2, 4]}\n", tmp_path)
    assert rows(cut, 2) == [1, 2]
    remove_spans(cut)
    whole = run(text, tmp_path, ["base.epochs=4"])
    assert whole.counted == whole.work.predicted
    assert rows(whole, 4) == [1, 2, 3, 4]
    assert whole.results() == run(text, tmp_path / "alone", ["base.epochs=4"]).results()
    assert run(text, tmp_path, ["base.epochs=4"]).work.is_empty


def test_a_score_of_a_state_inside_a_span_is_no_curve(photos: Path, tmp_path: Path) -> None:
    text = plan_text(photos, model=HEAD)
    run(text, tmp_path, ["base.epochs=4"])
    inside = run(text, tmp_path, ["base.epochs=2"])
    assert rows(inside, 2) == [2]
    remove_spans(inside)
    alone = run(text, tmp_path, ["base.epochs=2"])
    assert alone.counted == alone.work.predicted
    assert rows(alone, 2) == [1, 2]
    (compiled,) = alone.graph.cells
    assert len(read_result(alone.store, compiled).epochs) == 2


def test_a_diverged_span_has_a_whole_curve(photos: Path, tmp_path: Path) -> None:
    text = plan_text(photos, "grid: {epochs: [3, 6]}\n", model=WHOLE)
    override = "base.optimizer={kind: sgd, lr: 1.0e+30}"
    first = run(text, tmp_path, [override])
    assert first.counted.epochs < 6
    assert run(text, tmp_path, [override]).work.is_empty
