"""Every optimizer and every schedule against the loop that a tutorial writes in plain PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch.nn import functional
from torch.optim import lr_scheduler

from foodvision.plan.schedules import learning_rates, momenta
from foodvision.plan.schema import Schedule
from foodvision.train.dropout import drop
from foodvision.train.generators import epoch_generator, epoch_seed
from tests.train.toys import IMAGES, OPTIMIZERS, toy_data, toy_network, train_toy

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

STEPS, EPOCHS = 5, 4
LR = 0.01
PLAIN: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "adam": lambda params: torch.optim.Adam(params, lr=LR, betas=(0.8, 0.99), weight_decay=0.01),
    "adamw": lambda params: torch.optim.AdamW(params, lr=LR, weight_decay=0.05),
    "sgd": lambda params: torch.optim.SGD(params, lr=LR, weight_decay=0.01),
    "momentum": lambda params: torch.optim.SGD(params, lr=LR, momentum=0.9, nesterov=True),
}
# A schedule of ours, torch's, and whether torch's is stepped after every batch.
SCHEDULES: dict[str, tuple[dict[str, Any], Callable[[Any], Any], bool]] = {
    "constant": ({"kind": "constant"}, lambda o: lr_scheduler.LambdaLR(o, lambda _: 1.0), False),
    "piecewise": (
        {"kind": "piecewise", "rates": {"3": 0.002}},
        lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1.0 if epoch < 2 else 0.2),
        False,
    ),
    "step": ({"kind": "step", "step_size": 2}, lambda o: lr_scheduler.StepLR(o, 2), False),
    "multi_step": (
        {"kind": "multi_step", "milestones": [1, 3], "gamma": 0.5},
        lambda o: lr_scheduler.MultiStepLR(o, [1, 3], gamma=0.5),
        False,
    ),
    "exponential": (
        {"kind": "exponential", "gamma": 0.7},
        lambda o: lr_scheduler.ExponentialLR(o, 0.7),
        False,
    ),
    "cosine": (
        {"kind": "cosine", "min_lr": 0.001},
        lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS, eta_min=0.001),
        False,
    ),
    "cosine_restarts": (
        {"kind": "cosine_restarts", "t_0": 1, "t_mult": 2, "interval": "step"},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, STEPS, T_mult=2),
        True,
    ),
    "one_cycle": (
        {"kind": "one_cycle"},
        lambda o: lr_scheduler.OneCycleLR(o, LR, epochs=EPOCHS, steps_per_epoch=STEPS),
        True,
    ),
    "warm-up": (
        {"kind": "constant", "warmup": {"steps": 8, "start_factor": 0.2}},
        lambda o: lr_scheduler.LinearLR(o, start_factor=0.2, total_iters=8),
        True,
    ),
}


def plain_loop(
    network: nn.Sequential,
    optimizer: torch.optim.Optimizer,
    scheduler: Any = None,
    *,
    per_step: bool = False,
) -> list[tuple[float, float]]:
    """Train with the engine's order of images and its dropout masks; means over images."""
    inputs, labels = toy_data()
    found = []
    for epoch in range(1, EPOCHS + 1):
        network.train()
        order = torch.randperm(IMAGES, generator=epoch_generator(5, epoch, "shuffle"))
        bits = np.random.SFC64(epoch_seed(5, epoch, "dropout"))
        loss_sum, correct = 0.0, 0
        for rows in order.split([8, 8, 8, 8, 9]):
            logits = network[7](drop(network[:6](inputs.rows[rows]), 0.3, bits))
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(rows)
            correct += int((logits.argmax(1) == labels[rows]).sum())
            if scheduler and per_step:
                scheduler.step()
        if scheduler and not per_step:
            scheduler.step()
        found.append((loss_sum / IMAGES, correct / IMAGES))
    return found


def assert_same(
    network: nn.Module, plain: nn.Module, results: Any, expected: list[tuple[float, float]]
) -> None:
    assert [result.train_loss for result in results] == pytest.approx(
        [loss for loss, _ in expected], abs=1e-6
    )
    assert [result.train_accuracy for result in results] == [accuracy for _, accuracy in expected]
    expected_weights = dict(plain.named_parameters())
    for name, weight in network.named_parameters():
        if name != "1.bias":  # BatchNorm follows: its gradient is rounding, which Adam enlarges
            torch.testing.assert_close(weight, expected_weights[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_trains_as_torchs(optimizer: str) -> None:
    plain, network = toy_network(), toy_network()
    expected = plain_loop(plain, PLAIN[optimizer](plain.parameters()))
    results, _ = train_toy(
        network, optimizer=optimizer, last_epoch=EPOCHS, rates=[[LR] * STEPS] * EPOCHS
    )
    assert_same(network, plain, results, expected)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_trains_as_torchs(name: str, optimizer: str) -> None:
    values, make, per_step = SCHEDULES[name]
    plain, network = toy_network(), toy_network()
    torchs = PLAIN[optimizer](plain.parameters())
    expected = plain_loop(plain, torchs, make(torchs), per_step=per_step)
    schedule: Schedule = TypeAdapter(Schedule).validate_python(values)
    results, _ = train_toy(
        network,
        optimizer=optimizer,
        last_epoch=EPOCHS,
        rates=learning_rates(schedule, LR, steps_per_epoch=STEPS, epochs=EPOCHS),
        momenta=momenta(schedule, steps_per_epoch=STEPS, epochs=EPOCHS),
    )
    assert_same(network, plain, results, expected)
