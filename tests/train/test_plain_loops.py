"""Every optimizer and every schedule against the loop that a tutorial writes in plain PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import lr_scheduler, swa_utils

from foodvision.plan.schedules import learning_rates, momenta
from foodvision.plan.training_schema import Schedule
from foodvision.train.dropout import drop
from foodvision.train.generators import epoch_generator, epoch_seed
from foodvision.train.optimizers import ClipSettings
from foodvision.train.plateau import Plateau, PlateauSettings
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
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=LR, weight_decay=0.01),
    "rmsprop with everything": lambda params: torch.optim.RMSprop(
        params, lr=LR, alpha=0.9, eps=1e-4, momentum=0.5, centered=True
    ),
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
    accumulate: int = 1,
    clip: Callable[[Any], Any] | None = None,
    average: swa_utils.AveragedModel | None = None,
) -> list[tuple[float, float]]:
    """Train with the engine's order of images and its dropout masks; means over images."""
    inputs, labels = toy_data()
    found = []
    for epoch in range(1, EPOCHS + 1):
        network.train()
        order = torch.randperm(IMAGES, generator=epoch_generator(5, epoch, "shuffle"))
        bits = np.random.SFC64(epoch_seed(5, epoch, "dropout"))
        loss_sum, correct = 0.0, 0
        batches = order.split([8, 8, 8, 8, 9])
        for number, rows in enumerate(batches):
            logits = network[7](drop(network[:6](inputs.rows[rows]), 0.3, bits))
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=0.1)
            begin = number - number % accumulate
            images = sum(len(batch) for batch in batches[begin : begin + accumulate])
            if number == begin:
                optimizer.zero_grad()
            (loss * len(rows) / images).backward()
            if number + 1 in {begin + accumulate, len(batches)}:
                if clip:
                    clip(network.parameters())
                optimizer.step()
                if average:
                    average.update_parameters(network)
            loss_sum += loss.item() * len(rows)
            correct += int((logits.argmax(1) == labels[rows]).sum())
            if scheduler and per_step:
                scheduler.step()
        found.append((loss_sum / IMAGES, correct / IMAGES))
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(loss_sum / IMAGES)
        elif scheduler and not per_step:
            scheduler.step()
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


@pytest.mark.parametrize("min_delta", [0.0, 0.02, 1.0])
def test_a_plateau_trains_as_torchs(min_delta: float) -> None:
    plain, network = toy_network(), toy_network()
    torchs = PLAIN["momentum"](plain.parameters())
    scheduler = lr_scheduler.ReduceLROnPlateau(
        torchs, factor=0.3, patience=0, threshold=min_delta, threshold_mode="abs", cooldown=1
    )
    expected = plain_loop(plain, torchs, scheduler)
    settings = PlateauSettings(LR, False, 0.3, 0, min_delta, cooldown=1, min_lr=0.0)
    results, snapshot = train_toy(
        network, optimizer="momentum", last_epoch=EPOCHS, plateau=Plateau(settings)
    )
    assert_same(network, plain, results, expected)
    assert float(snapshot.schedule["lr"]) == pytest.approx(torchs.param_groups[0]["lr"])
    if min_delta == 1:
        assert [round(result.learning_rate / LR, 4) for result in results] == [1, 1, 0.3, 0.3]


@pytest.mark.parametrize(
    ("settings", "clip"),
    [
        (ClipSettings(norm=0.5), lambda params: clip_grad_norm_(params, 0.5)),
        (ClipSettings(value=0.02), lambda params: clip_grad_value_(params, 0.02)),
    ],
    ids=["norm", "value"],
)
def test_clipping_is_torchs(settings: ClipSettings, clip: Callable[[Any], Any]) -> None:
    plain, network = toy_network(), toy_network()
    expected = plain_loop(plain, PLAIN["sgd"](plain.parameters()), clip=clip)
    results, _ = train_toy(network, optimizer="sgd", last_epoch=EPOCHS, clip=settings)
    assert_same(network, plain, results, expected)
    unclipped, _ = train_toy(toy_network(), optimizer="sgd", last_epoch=EPOCHS)
    assert unclipped[-1].train_loss != results[-1].train_loss


@pytest.mark.parametrize("accumulate", [2, 3, 5])
def test_gradients_of_several_batches_make_a_step(accumulate: int) -> None:
    """The last step of an epoch has the batches that are left: 5 are 2 + 2 + 1 and 3 + 2."""
    plain, network = toy_network(), toy_network()
    expected = plain_loop(plain, PLAIN["adam"](plain.parameters()), accumulate=accumulate)
    results, _ = train_toy(network, last_epoch=EPOCHS, accumulate=accumulate)
    assert [result.steps for result in results] == [-(-STEPS // accumulate)] * EPOCHS
    assert_same(network, plain, results, expected)


def test_a_schedule_counts_steps_and_not_batches() -> None:
    plain, network = toy_network(), toy_network()
    torchs = PLAIN["sgd"](plain.parameters())
    scheduler = lr_scheduler.StepLR(torchs, 1, gamma=0.5)
    expected = plain_loop(plain, torchs, scheduler, accumulate=2)
    rates = [[LR * 0.5**epoch] * 3 for epoch in range(EPOCHS)]
    results, _ = train_toy(network, optimizer="sgd", last_epoch=EPOCHS, rates=rates, accumulate=2)
    assert_same(network, plain, results, expected)


def test_the_average_of_weights_is_torchs() -> None:
    plain, network = toy_network(), toy_network()
    average = swa_utils.AveragedModel(
        plain, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.8), use_buffers=True
    )
    expected = plain_loop(plain, PLAIN["adam"](plain.parameters()), average=average)
    results, snapshot = train_toy(network, last_epoch=EPOCHS, ema_decay=0.8)
    assert_same(network, plain, results, expected)
    averaged = average.module.state_dict()
    for name, value in snapshot.model.items():
        if name == "2.num_batches_tracked":  # torch's would average a count
            assert value == STEPS * EPOCHS
        elif name != "1.bias":
            torch.testing.assert_close(value, averaged[name], atol=1e-6, rtol=1e-4)
            assert not torch.equal(value, snapshot.moved[name])


def test_blocks_learn_at_rates_of_their_own() -> None:
    factors = {"1.weight": 0.1, "1.bias": 0.1, "2.weight": 0.1, "2.bias": 0.1, "7.bias": 3.0}
    plain, network = toy_network(), toy_network()
    named = [(name, param) for name, param in plain.named_parameters() if param.requires_grad]
    torchs = PLAIN["momentum"](
        [{"params": [param], "lr": LR * factors.get(name, 1.0)} for name, param in named]
    )
    expected = plain_loop(plain, torchs, lr_scheduler.ExponentialLR(torchs, 0.7))
    results, _ = train_toy(
        network,
        optimizer="momentum",
        last_epoch=EPOCHS,
        rates=[[LR * 0.7**epoch] * STEPS for epoch in range(EPOCHS)],
        lr_factors=factors,
    )
    assert_same(network, plain, results, expected)
    assert results[0].learning_rate == LR
