"""The exactness contract: sharing, order, interruption and live prefixes never change a bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from foodvision.errors import TrainingError
from foodvision.evaluate.predictions import predict_logits
from foodvision.stages import training
from foodvision.stages.rows import open_inputs
from foodvision.stages.site import Site
from foodvision.train.determinism import deterministic
from tasks.records import read_logits
from tests.running import make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

GRID = """
grid:
  optimizer: {adam: {kind: adam, lr: 0.01}, sgd: {kind: sgd, lr: 0.05, momentum: 0.9}}
  epochs: [2, 4]
"""
MODELS = {
    "whole network": {"model": "{arch: tiny_vgg, hidden: 4, freeze: none}"},
    "head on features": {"model": "{arch: tiny_vgg, hidden: 4, freeze: backbone}"},
    "part frozen": {"model": "{arch: tiny_vgg, hidden: 4, freeze: 1}"},
    "batch normalisation": {"model": "{arch: mnasnet0_5, freeze: most}"},
    "statistics follow": {"model": "{arch: mnasnet0_5, freeze: most, batchnorm: train}"},
    "units normalised": {"model": "{arch: mlp_bn, hidden: 6, freeze: none, dropout: 0.3}"},
    "Inception modules": {"model": "{arch: mini_googlenet, hidden: 2, freeze: early}"},
    "dropout": {"model": "{arch: squeezenet1_1, freeze: backbone, dropout: 0.3}"},
    "augmented": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: none}",
        "augment": "[{kind: random_crop, padding: 2}, {kind: horizontal_flip}]",
        "micro_batch": 3,
    },
    "augmented before frozen blocks": {
        "model": "{arch: mnasnet0_5, freeze: backbone}",
        "augment": "[{kind: random_resized_crop, scale: [0.5, 1]}, {kind: vertical_flip}]",
        "precision": "bfloat16",
    },
    "strong, mixed": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: none}",
        "augment": "strong",
        "mix": "{kind: either, p: 0.8}",
        "micro_batch": 3,
    },
    "mixed before frozen blocks": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: 1}",
        "augment": "[{kind: affine, degrees: 20}, {kind: color_jitter, hue: 0.2}]",
        "mix": "{kind: mixup, alpha: 0.2}",
    },
    "bfloat16": {"model": "{arch: mnasnet0_5, freeze: none}", "precision": "bfloat16"},
    "bfloat16 on features": {
        "model": "{arch: mnasnet0_5, freeze: most}",
        "precision": "bfloat16",
    },
    "restarts, step by step": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: backbone}",
        "schedule": "{kind: cosine_restarts, t_0: 2, interval: step, warmup: {steps: 3}}",
    },
    "plateau": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: none, lr_scale: 0.5}",
        "valid": 0.25,
        "schedule": "{kind: plateau, patience: 0, min_delta: 0.1, factor: 0.5, cooldown: 1}",
    },
    "plateau of the loss in training": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: backbone}",
        "schedule": "{kind: plateau, metric: train.loss, patience: 0, min_delta: 5}",
    },
    "averaged, clipped, accumulated": {
        "model": "{arch: mnasnet0_5, freeze: most, dropout: 0.2}",
        "ema": "{decay: 0.8}",
        "clip": "{norm: 0.5}",
        "accumulate": 2,
    },
    "rates of blocks": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: 1, lr_scale: 0.5}",
        "optimizer": "{kind: rmsprop, lr: 0.001, momentum: 0.5}",
        "clip": "{value: 0.01}",
    },
    "one cycle": {
        "model": "{arch: tiny_vgg, hidden: 4, freeze: none}",
        "schedule": "{kind: one_cycle}",
    },
}
# Their rates depend on where the training ends, so that no epoch of a shorter one is theirs.
KNOW_THE_END = {"one cycle"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("with a 'quote'") / "photos")


def small(photos: Path, model: str, rest: str = "") -> str:
    size = 32 if "net" in MODELS[model]["model"] else 16
    return plan_text(photos, rest, **MODELS[model]).replace("size: 16", f"size: {size}")


@pytest.mark.parametrize("model", MODELS)
def test_alone_equals_in_company(model: str, photos: Path, tmp_path: Path) -> None:
    text = small(photos, model, GRID)
    together = run(text, tmp_path / "together")
    assert not together.ledger.failures
    for label in ("adam · 4 epochs", "sgd · 2 epochs"):
        alone = run(text, tmp_path / label, only=[label])
        assert alone.result(label) == together.result(label)


@pytest.mark.parametrize("model", MODELS)
def test_two_and_two_more_epochs_equal_four(model: str, photos: Path, tmp_path: Path) -> None:
    text = small(photos, model)
    noting = "record.gradient_norm=true"
    run(text, tmp_path / "bit by bit", ["base.epochs=2", noting])
    longer = run(text, tmp_path / "bit by bit", ["base.epochs=4", noting])
    at_once = run(text, tmp_path / "at once", ["base.epochs=4"])  # notes no steps
    assert longer.counted.epochs == (4 if model in KNOW_THE_END else 2)
    assert longer.results() == at_once.results()


@pytest.mark.parametrize(
    "model", ["head on features", "batch normalisation", "dropout", "bfloat16 on features"]
)
def test_live_prefix_equals_kept_features(model: str, photos: Path, tmp_path: Path) -> None:
    text = small(photos, model)
    kept = run(text, tmp_path / "kept")
    live = run(text, tmp_path / "live", ["limits.features_bytes=1"])
    assert live.counted == live.work.predicted
    assert live.counted.prefix_images > kept.counted.prefix_images
    assert live.results() == kept.results()


def test_features_of_an_image_do_not_depend_on_their_company(photos: Path, tmp_path: Path) -> None:
    text = small(photos, "head on features")
    some_first = run(text, tmp_path / "some", ["base.data={name: photos, count: 6}"])
    rest = run(text, tmp_path / "some")
    at_once = run(text, tmp_path / "all")
    assert some_first.counted.prefix_images == 6 + 12
    assert rest.counted.prefix_images == 24 - 6
    assert rest.results() == at_once.results()


@pytest.mark.parametrize("model", ["whole network", "head on features"])
def test_new_test_set_later_equals_at_once(model: str, photos: Path, tmp_path: Path) -> None:
    text = small(photos, model)
    part = "base.test={name: photos, count: 6}"
    run(text, tmp_path / "later", [part])
    later = run(text, tmp_path / "later")
    at_once = run(text, tmp_path / "at once")
    assert later.results() == at_once.results()


@pytest.mark.parametrize("keeps", [True, False], ids=["kept states", "trained again"])
def test_curve_for_a_new_test_set_is_whole(
    keeps: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "KEPT_SNAPSHOT_BYTES", 1 << 30 if keeps else 0)
    text = small(photos, "whole network")
    run(text, tmp_path, ["base.test={name: photos, count: 6}"])
    later = run(text, tmp_path)
    assert later.counted.epochs == (0 if keeps else 3)
    assert later.counted == later.work.predicted
    monkeypatch.undo()
    assert later.results() == run(text, tmp_path / "fresh").results()


def test_shorter_cell_reads_a_state_inside_a_longer_one(photos: Path, tmp_path: Path) -> None:
    text = small(photos, "head on features")
    run(text, tmp_path / "long", ["base.epochs=5"])
    short = run(text, tmp_path / "long", ["base.epochs=3"])
    assert short.counted.epochs == 0
    assert short.results() == run(text, tmp_path / "short", ["base.epochs=3"]).results()


def test_counted_work_is_what_was_predicted(photos: Path, tmp_path: Path) -> None:
    text = small(photos, "head on features", GRID)
    first = run(text, tmp_path)
    assert first.counted == first.work.predicted
    assert first.counted.epochs == 8 < first.work.naive.epochs == 12
    again = run(text, tmp_path)
    assert again.work.is_empty
    assert again.counted.epochs == again.counted.prefix_images == 0


@pytest.mark.parametrize("model", ["whole network", "bfloat16", "augmented"])
def test_order_of_cells_changes_no_bit(model: str, photos: Path, tmp_path: Path) -> None:
    text = small(photos, model, GRID)
    turned = text.replace("[2, 4]", "[4, 2]")
    assert run(text, tmp_path / "one").results() == run(turned, tmp_path / "two").results()


def test_interruption_in_a_later_span_costs_that_span_only(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = small(photos, "whole network", "grid: {epochs: [2, 4]}\n")
    honest = training.train_epochs

    def failing(*args: object, **kwargs: object) -> object:
        if kwargs["first_epoch"] == 3:
            raise TrainingError("the power went out")
        return honest(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "train_epochs", failing)
    broken = run(text, tmp_path)
    assert list(broken.ledger.failures.values()) == ["the power went out"]
    monkeypatch.undo()
    mended = run(text, tmp_path)
    assert mended.counted.epochs == 2
    assert mended.results() == run(text, tmp_path / "undisturbed").results()


def test_diverged_training_is_a_result(photos: Path, tmp_path: Path) -> None:
    text = small(photos, "whole network", "grid: {epochs: [3, 6]}\n")
    override = "base.optimizer={kind: sgd, lr: 1.0e+30}"
    ran = run(text, tmp_path, [override])
    assert not ran.ledger.failures
    for compiled in ran.graph.cells:
        assert ran.store.get("train", compiled.final).notes["diverged"]
        assert ran.store.get("score", compiled.score_keys["test"]).notes["rows"][-1]["loss"] is None
    assert run(text, tmp_path, [override]).work.is_empty


def test_precision_acts_on_features_and_logits_and_not_on_their_types(
    photos: Path, tmp_path: Path
) -> None:
    whole, half = (
        run(small(photos, "batch normalisation"), tmp_path, [f"base.precision={precision}"])
        for precision in ("float32", "bfloat16")
    )
    assert half.counted.prefix_images == whole.counted.prefix_images > 0
    assert half.results() != whole.results()
    (compiled,) = half.graph.cells
    assert read_logits(half.store.get("score", compiled.score_keys["test"])).dtype == np.float32
    snapshot = training.read_snapshot(half.store, compiled.final)
    assert {tensor.dtype for tensor in snapshot.model.values()} <= {torch.float32, torch.int64}
    assert {tensor.dtype for tensor in snapshot.optimizer.values()} == {torch.float32}


def test_augmentation_changes_training_and_leaves_scoring_and_frozen_blocks_alone(
    photos: Path, tmp_path: Path
) -> None:
    text = small(photos, "augmented before frozen blocks")
    ran, plain = run(text, tmp_path), run(text, tmp_path, ["base.augment=none"])
    assert ran.counted == ran.work.predicted
    assert ran.counted.prefix_images == 0 < plain.counted.prefix_images
    assert ran.results() != plain.results()
    (compiled,) = ran.graph.cells
    head = compiled.phase.architecture.blocks[-1]
    site = Site(ran.store, ran.home, ran.plan.folder, torch.device("cpu"))
    initial = site.models.initial(compiled.phase).module.state_dict()
    learned = training.read_snapshot(ran.store, compiled.final).model
    changed = {name for name, value in learned.items() if not torch.equal(value, initial[name])}
    assert changed == {name for name in learned if name.startswith(f"{head}.")} != set()


def test_averaged_weights_are_what_is_scored_and_kept(photos: Path, tmp_path: Path) -> None:
    text = small(photos, "averaged, clipped, accumulated")
    ran, plain = run(text, tmp_path), run(text, tmp_path, ["base.ema=null"])
    (compiled,), (other,) = ran.graph.cells, plain.graph.cells
    averaged = training.read_snapshot(ran.store, compiled.final)
    moved = training.read_snapshot(plain.store, other.final).model
    assert averaged.moved.keys() == moved.keys()
    assert all(torch.equal(averaged.moved[name], moved[name]) for name in moved)
    site = Site(ran.store, ran.home, ran.plan.folder, torch.device("cpu"))
    model = site.models.initial(compiled.phase)
    training.load_state(ran.store, compiled.final, model)
    inputs = open_inputs(compiled.phase, compiled.image_sets["test"], site, live=None)
    _, suffix = model.split(compiled.phase.prefix_count)
    with deterministic(1):
        logits = predict_logits(suffix, inputs, precision="float32").numpy()
    kept = read_logits(ran.store.get("score", compiled.score_keys["test"]))
    assert np.array_equal(logits, kept)
    assert not np.array_equal(kept, read_logits(plain.store.get("score", other.score_keys["test"])))


def test_rates_of_blocks_are_recorded_by_group(photos: Path, tmp_path: Path) -> None:
    ran = run(small(photos, "rates of blocks"), tmp_path)
    (compiled,) = ran.graph.cells
    rows = ran.store.get("train", compiled.final).notes["epochs"]
    body, head = compiled.phase.architecture.blocks[1:]
    assert [row["learning_rate"] for row in rows] == [0.001] * 3
    assert [row["learning_rates"] for row in rows] == [{body: 0.0005, head: 0.001}] * 3


def test_threads_of_the_process_are_as_before(photos: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run(small(photos, "head on features"), tmp_path, ["base.threads=3"])
    assert torch.get_num_threads() == before


def test_damaged_stage_is_set_aside_and_computed_again(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = small(photos, "head on features")
    first = run(text, tmp_path)
    compiled = first.graph.cells[0]
    (first.store.path("score", compiled.score_keys["test"]) / "logits.npy").unlink()
    again = run(text, tmp_path)
    assert "damaged" in caplog.text
    assert again.results() == first.results()
