"""The exactness contract over phases: resized, unfrozen, frozen again, optimizer kept or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from foodvision.errors import TrainingError
from foodvision.evaluate.predictions import predict_logits
from foodvision.models.saved import load_saved
from foodvision.stages import training
from foodvision.stages.rows import open_inputs
from foodvision.stages.site import Site
from tasks.publishing import Publisher
from tasks.records import read_logits
from tests.running import make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

SQUEEZE = "{arch: squeezenet1_1, freeze: none}"
NORMALISED = "{arch: mnasnet0_5, freeze: backbone}"
# Each: the model, and three phases.
PHASES = {
    "resized": (
        SQUEEZE,
        "{epochs: 1, transform.size: 24}",
        "{epochs: 1, transform.size: 32, optimizer.lr: 0.001, batch_size: 4}",
        "{epochs: 1, transform.size: 40, optimizer: {kind: sgd, lr: 0.001, momentum: 0.9}}",
    ),
    "unfrozen, optimizer kept": (
        NORMALISED,
        "{epochs: 1}",
        "{epochs: 1, model.freeze: most, optimizer_state: keep}",
        "{epochs: 2, model.freeze: 8, optimizer_state: keep, optimizer.lr: 0.001}",
    ),
    "frozen again": (
        NORMALISED,
        "{epochs: 1, model.freeze: most}",
        "{epochs: 2, model.freeze: backbone, loss.label_smoothing: 0.1}",
        "{epochs: 1, model: {freeze: most, batchnorm: frozen}}",
    ),
    "augmented first": (
        NORMALISED,
        "{epochs: 1, augment: [{kind: horizontal_flip}]}",
        "{epochs: 1}",
        "{epochs: 1, model.batchnorm: train, optimizer_state: keep}",
    ),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("phases") / "photos")


def plan_of(photos: Path, case: str, count: int = 3, rest: str = "") -> str:
    model, *phases = PHASES[case]
    listed = f"[{', '.join(phases[:count])}]"
    text = plan_text(photos, rest, model=model, phases=listed).replace("size: 16", "size: 32")
    return text.replace("  epochs: 3\n", "")


@pytest.mark.parametrize("case", PHASES)
def test_phase_by_phase_equals_at_once_and_alone_equals_in_company(
    case: str, photos: Path, tmp_path: Path
) -> None:
    """Two phases, then the third; beside a cell that shares the first: as the whole alone."""
    _, first, *_ = PHASES[case]
    company = f"grid:\n  phases:\n    mine: {plan_of(photos, case, 2).partition('phases: ')[2]}"
    run(plan_of(photos, case, 2, company + f"    other: [{first}, {{epochs: 1}}]\n"), tmp_path)
    longer = run(plan_of(photos, case), tmp_path)
    alone = run(plan_of(photos, case), tmp_path / "alone")
    assert not longer.ledger.failures
    last = alone.graph.cells[0].phase
    assert longer.counted.epochs == last.last_epoch - last.first_epoch + 1
    assert longer.counted == longer.work.predicted
    assert alone.counted == alone.work.predicted
    assert longer.results() == alone.results()


@pytest.mark.parametrize("case", ["unfrozen, optimizer kept", "frozen again"])
def test_live_prefix_equals_kept_features(case: str, photos: Path, tmp_path: Path) -> None:
    kept = run(plan_of(photos, case), tmp_path / "kept")
    live = run(plan_of(photos, case), tmp_path / "live", ["limits.features_bytes=1"])
    assert live.counted == live.work.predicted
    assert live.counted.prefix_images > kept.counted.prefix_images > 0
    assert live.results() == kept.results()


@pytest.mark.parametrize("case", ["unfrozen, optimizer kept", "frozen again"])
def test_a_run_that_died_between_phases_goes_on(
    case: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = training.train_epochs

    def failing(*args: object, **kwargs: object) -> object:
        if kwargs["first_epoch"] == 2:
            raise TrainingError("the power went out")
        return honest(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "train_epochs", failing)
    broken = run(plan_of(photos, case), tmp_path)
    assert "the power went out" in broken.ledger.failures.values()
    monkeypatch.undo()
    mended = run(plan_of(photos, case), tmp_path)
    undisturbed = run(plan_of(photos, case), tmp_path / "undisturbed")
    assert mended.counted.epochs == undisturbed.counted.epochs - 1
    assert mended.results() == undisturbed.results()


def test_a_training_told_in_parts_is_the_same_training(photos: Path, tmp_path: Path) -> None:
    model = "{arch: tiny_vgg, hidden: 4, freeze: 1}"
    whole = run(plan_text(photos, model=model, epochs=4), tmp_path / "whole")
    parts = "[{epochs: 2}, {epochs: 2, optimizer_state: keep}]"
    text = plan_text(photos, model=model, phases=parts).replace("  epochs: 3\n", "")
    told = run(text, tmp_path / "told")
    assert [*told.results().values()] == [*whole.results().values()]
    assert run(text, tmp_path / "whole").work.is_empty
    reset = run(text.replace("keep", "reset"), tmp_path / "told")
    assert reset.counted.epochs == 2
    assert set(reset.results().values()).isdisjoint(told.results().values())


def test_a_snapshot_holds_what_an_earlier_phase_trained(photos: Path, tmp_path: Path) -> None:
    ran = run(plan_of(photos, "frozen again", 2), tmp_path)
    (cell,) = ran.graph.cells
    first, last = (
        training.read_snapshot(ran.store, state).model
        for state in (cell.chain.states[0], cell.final)
    )
    assert first.keys() == last.keys()
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    head = cell.phase.architecture.blocks[-1]
    assert {name.partition(".")[0] for name in moved} == {head}
    names = training.read_snapshot(ran.store, cell.final).optimizer
    assert {name.partition(".")[0] for name in names} == {head}


def test_new_test_images_are_scored_in_every_phase(photos: Path, tmp_path: Path) -> None:
    text = plan_of(photos, "resized", 2)
    run(text, tmp_path, ["base.test={name: photos, count: 6}"])
    later = run(text, tmp_path)
    assert later.counted == later.work.predicted
    assert later.results() == run(text, tmp_path / "at once").results()


def test_the_saved_model_sees_images_as_its_last_phase(photos: Path, tmp_path: Path) -> None:
    ran = run(plan_of(photos, "resized", 2), tmp_path)
    (cell,) = ran.graph.cells
    path = Publisher(ran.plan, ran.home, ran.store).save(cell)
    module, card = load_saved(path)
    assert card["transform"]["size"] == 32
    site = Site(ran.store, ran.home, ran.plan.folder, torch.device("cpu"))
    inputs = open_inputs(cell.phase, cell.image_sets["test"], site, live=None)
    stored = read_logits(ran.store.get("score", cell.score_keys["test"]))
    again = predict_logits(module, inputs, precision="float32").numpy()
    np.testing.assert_allclose(again, stored, atol=1e-4)
