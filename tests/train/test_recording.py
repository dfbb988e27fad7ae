"""Recording steps: what each one saw, and not a bit of the training changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torch.nn import functional

from foodvision.train.optimizers import ClipSettings
from foodvision.train.recording import StepRecorder
from tests.train.toys import (
    IMAGES,
    assert_equal_snapshots,
    toy_network,
    train_toy,
    without_seconds,
)

if TYPE_CHECKING:
    import torch

WAYS: dict[str, dict[str, Any]] = {
    "whole batches": {},
    "parts of batches": {"micro_batch": 3},
    "several batches a step": {"accumulate": 2, "micro_batch": 5},
    "clipped by norm": {"clip": ClipSettings(norm=0.05)},
    "clipped by value": {"clip": ClipSettings(value=0.001)},
    "averaged": {"ema_decay": 0.9},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_recording_changes_no_bit(way: dict[str, Any]) -> None:
    plain, state = train_toy(toy_network(), last_epoch=2, **way)
    recorder = StepRecorder(gradient_norms=True)
    results, recorded = train_toy(toy_network(), last_epoch=2, recorder=recorder, **way)
    assert without_seconds(results) == without_seconds(plain)
    assert_equal_snapshots(recorded, state)
    for result in results:
        steps = recorder.epochs[result.epoch]
        assert len(steps.losses) == result.steps
        assert steps.images.sum() == IMAGES
        mean = float(steps.losses @ steps.images) / IMAGES
        assert mean == pytest.approx(result.train_loss, rel=1e-12)
        assert steps.gradient_norms is not None
        assert steps.gradient_norms.min() > 0


def test_a_step_is_told_by_the_mean_loss_of_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [[0.0, 0.02, 0.01, 0.03, 0.005]]
    recorder = StepRecorder(gradient_norms=True)
    honest, seen = functional.cross_entropy, []

    def noted(logits: torch.Tensor, labels: torch.Tensor, **more: Any) -> torch.Tensor:
        seen.append((honest(logits, labels, **more).item(), len(labels)))
        return honest(logits, labels, **more)

    monkeypatch.setattr(functional, "cross_entropy", noted)
    train_toy(toy_network(), last_epoch=1, rates=rates, recorder=recorder, micro_batch=3)
    steps = recorder.epochs[1]
    assert steps.learning_rates.tolist() == rates[0]
    assert steps.images.tolist() == [8, 8, 8, 8, 9]
    for number, loss in enumerate(steps.losses):
        losses, sizes = zip(*seen[3 * number : 3 * number + 3], strict=True)  # of its parts
        assert sum(sizes) == steps.images[number]
        assert loss == pytest.approx(np.average(losses, weights=sizes), rel=1e-6)


def test_the_norm_is_that_of_all_gradients_before_they_are_cut() -> None:
    network = toy_network()
    lengths: list[float] = []

    def look(*_: object) -> None:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        squares = sum(float((grad.double() ** 2).sum()) for grad in gradients)
        lengths.append(squares**0.5)

    class Looking(StepRecorder):
        def note(self, *arguments: Any, **named: Any) -> None:
            look()
            super().note(*arguments, **named)

    recorder = Looking(gradient_norms=True)
    train_toy(network, last_epoch=1, recorder=recorder, clip=ClipSettings(norm=1e-4))
    norms = recorder.epochs[1].gradient_norms
    assert norms is not None
    assert norms.tolist() == pytest.approx(lengths, rel=1e-5)
    assert min(lengths) > 1e-4  # else nothing was cut


def test_norms_are_left_out_where_nobody_asks() -> None:
    recorder = StepRecorder(gradient_norms=False)
    train_toy(toy_network(), last_epoch=1, recorder=recorder)
    assert recorder.epochs[1].gradient_norms is None
