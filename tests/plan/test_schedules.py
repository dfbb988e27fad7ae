"""Closed forms against torch's schedulers of the same name, and how images become steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch.optim import lr_scheduler

from foodvision.errors import PlanError
from foodvision.plan.schedules import batch_sizes, learning_rates, momenta, steps_per_epoch
from foodvision.plan.training_schema import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

LR, STEPS, EPOCHS = 0.03, 7, 11

# A schedule of ours, torch's, and whether torch's is stepped after every batch.
PINNED: dict[str, tuple[dict[str, Any], Callable[[Any], Any], bool]] = {
    "constant": (
        {"kind": "constant"},
        lambda o: lr_scheduler.ConstantLR(o, factor=1.0, total_iters=100),
        False,
    ),
    "step": (
        {"kind": "step", "step_size": 3, "gamma": 0.5},
        lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
        False,
    ),
    "multi_step": (
        {"kind": "multi_step", "milestones": [2, 5, 9]},
        lambda o: lr_scheduler.MultiStepLR(o, milestones=[2, 5, 9]),
        False,
    ),
    "exponential": (
        {"kind": "exponential", "gamma": 0.8},
        lambda o: lr_scheduler.ExponentialLR(o, gamma=0.8),
        False,
    ),
    "piecewise": (
        {"kind": "piecewise", "rates": {"9": 0.001, "4": 0.5}},
        lambda o: lr_scheduler.LambdaLR(
            o, lambda e: 1.0 if e < 3 else (0.5 if e < 8 else 0.001) / LR
        ),
        False,
    ),
    "cosine": (
        {"kind": "cosine", "min_lr": 0.001},
        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS, eta_min=0.001),
        False,
    ),
    "cosine by steps": (
        {"kind": "cosine", "interval": "step"},
        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS * STEPS),
        True,
    ),
    "restarts": (
        {"kind": "cosine_restarts", "t_0": 2, "t_mult": 2, "min_lr": 0.001},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=2, eta_min=0.001),
        False,
    ),
    "equal restarts by steps": (
        {"kind": "cosine_restarts", "t_0": 3, "interval": "step"},
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=3 * STEPS),
        True,
    ),
    "one cycle": (
        {"kind": "one_cycle"},
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=LR, epochs=EPOCHS, steps_per_epoch=STEPS),
        True,
    ),
    "one cycle of straight lines": (
        {
            "kind": "one_cycle",
            "anneal": "linear",
            "pct_start": 0.4,
            "div_factor": 10,
            "final_div_factor": 100,
            "base_momentum": 0.8,
            "max_momentum": 0.9,
        },
        lambda o: lr_scheduler.OneCycleLR(
            o,
            max_lr=LR,
            total_steps=EPOCHS * STEPS,
            anneal_strategy="linear",
            pct_start=0.4,
            div_factor=10,
            final_div_factor=100,
            base_momentum=0.8,
            max_momentum=0.9,
        ),
        True,
    ),
}
PREFIXES = [
    {"kind": "constant"},
    {"kind": "piecewise", "rates": {"3": 0.001}},
    {"kind": "step", "step_size": 2},
    {"kind": "multi_step", "milestones": [2, 4]},
    {"kind": "exponential", "gamma": 0.9},
    {"kind": "cosine_restarts", "t_0": 2, "t_mult": 2},
    {"kind": "constant", "warmup": {"epochs": 2}},
]
NO_PREFIXES = [
    {"kind": "cosine"},
    {"kind": "cosine", "interval": "step"},
    {"kind": "one_cycle"},
    {"kind": "one_cycle", "cycle_momentum": False},
]


def schedule(values: dict[str, Any]) -> Schedule:
    found: Schedule = TypeAdapter(Schedule).validate_python(values)
    return found


def rates(values: dict[str, Any], *, steps: int = STEPS, epochs: int = EPOCHS) -> list[float]:
    found = learning_rates(schedule(values), LR, steps_per_epoch=steps, epochs=epochs)
    assert [len(epoch) for epoch in found] == [steps] * epochs
    return [rate for epoch in found for rate in epoch]


def torchs(make: Callable[[Any], Any], *, per_step: bool) -> tuple[list[float], list[float]]:
    """Step a scheduler of torch's as a tutorial does; return every step's rate and momentum."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR, momentum=0.5)
    scheduler = make(optimizer)
    lrs, moved = [], []
    for _ in range(EPOCHS):
        for _ in range(STEPS):
            lrs.append(optimizer.param_groups[0]["lr"])
            moved.append(optimizer.param_groups[0]["momentum"])
            optimizer.step()
            if per_step:
                scheduler.step()
        if not per_step:
            scheduler.step()
    return lrs, moved


@pytest.mark.filterwarnings("ignore:.*epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("name", PINNED)
def test_closed_forms_are_torchs(name: str) -> None:
    values, make, per_step = PINNED[name]
    expected, _ = torchs(make, per_step=per_step)
    assert len(set(expected)) > 1 or name == "constant"
    # Torch multiplies from rate to rate, and so gathers roundings that a closed form does not.
    assert rates(values) == pytest.approx(expected, rel=1e-9)


def test_constant_rates_are_the_optimizers_to_the_bit() -> None:
    assert rates({"kind": "constant"}) == [LR] * (STEPS * EPOCHS)


@pytest.mark.parametrize("name", ["one cycle", "one cycle of straight lines"])
def test_momenta_are_torchs(name: str) -> None:
    values, make, _ = PINNED[name]
    found = momenta(schedule(values), steps_per_epoch=STEPS, epochs=EPOCHS)
    assert [len(epoch) for epoch in found] == [STEPS] * EPOCHS
    _, expected = torchs(make, per_step=True)
    assert [value for epoch in found for value in epoch] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "values", [{"kind": "cosine"}, {"kind": "one_cycle", "cycle_momentum": False}]
)
def test_other_schedules_leave_the_momentum_alone(values: dict[str, Any]) -> None:
    assert momenta(schedule(values), steps_per_epoch=STEPS, epochs=EPOCHS) == ()


@pytest.mark.parametrize("name", PINNED)
@pytest.mark.parametrize("warmup", [{"steps": 10}, {"epochs": 3, "start_factor": 0.25}])
def test_warm_up_scales_the_schedule_by_torchs_linear_ramp(
    name: str, warmup: dict[str, Any]
) -> None:
    values = PINNED[name][0]
    length = warmup.get("steps") or warmup["epochs"] * STEPS
    ramp, _ = torchs(
        lambda o: lr_scheduler.LinearLR(
            o, start_factor=warmup.get("start_factor", 0.1), total_iters=length
        ),
        per_step=True,
    )
    expected = [
        rate * risen / LR if step < length else rate
        for step, (rate, risen) in enumerate(zip(rates(values), ramp, strict=True))
    ]
    found = rates(values | {"warmup": warmup})
    assert found == pytest.approx(expected, rel=1e-9)
    assert found[length:] == rates(values)[length:]


@pytest.mark.parametrize("values", PREFIXES, ids=str)
def test_five_epochs_begin_ten(values: dict[str, Any]) -> None:
    assert rates(values, epochs=10)[: 5 * STEPS] == rates(values, epochs=5)


@pytest.mark.parametrize("values", NO_PREFIXES, ids=str)
def test_what_ends_with_the_training_is_no_beginning_of_a_longer_one(
    values: dict[str, Any],
) -> None:
    five, ten = (
        learning_rates(schedule(values), LR, steps_per_epoch=STEPS, epochs=epochs)
        for epochs in (5, 10)
    )
    assert five[1] != ten[1]


def test_rates_are_floats_so_that_keys_do_not_depend_on_how_a_plan_writes_them() -> None:
    ((rate,),) = learning_rates(schedule({"kind": "constant"}), 1, steps_per_epoch=1, epochs=1)
    assert isinstance(rate, float)


def test_many_restarts_cost_no_time() -> None:
    values = {"kind": "cosine_restarts", "t_0": 1}
    assert rates(values, steps=1, epochs=20_000) == [LR] * 20_000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"kind": "constant", "warmup": {"steps": 78}},
            r"warmup.steps must be at most the steps of the training, got 78 for 11 epochs of 7",
        ),
        (
            {"kind": "one_cycle", "pct_start": 0.01},
            r"more than one step to rise in, got a share of 0.01 of 77 steps. Train longer",
        ),
        (
            {"kind": "exponential", "gamma": 1e300},
            r"must stay a finite number, exponential makes it grow.* 11 epochs. Make gamma smaller",
        ),
    ],
)
def test_schedules_that_do_not_fit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        rates(values)


def test_warm_up_may_take_the_whole_training() -> None:
    found = rates({"kind": "constant", "warmup": {"epochs": EPOCHS}})
    assert found == sorted(found)
    assert found[0] == pytest.approx(LR / 10)
    assert found[-1] < LR


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [
        pytest.param(0, 4, (), id="nothing"),
        pytest.param(1, 4, (1,), id="one image is all there is"),
        pytest.param(3, 4, (3,), id="smaller than a batch"),
        pytest.param(8, 4, (4, 4), id="whole batches"),
        pytest.param(10, 4, (4, 4, 2), id="a smaller last batch"),
        pytest.param(9, 4, (4, 5), id="one left over joins the batch before"),
        pytest.param(225, 32, (32,) * 6 + (33,), id="the classic 10 % set"),
        pytest.param(3, 1, (1, 1, 1), id="batches of one were asked for"),
    ],
)
def test_batches(images: int, batch_size: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(images, batch_size) == sizes


@given(images=st.integers(0, 3000), batch_size=st.integers(1, 200))
def test_every_image_is_in_a_batch_and_none_alone(images: int, batch_size: int) -> None:
    sizes = batch_sizes(images, batch_size)
    assert sum(sizes) == images
    assert len(sizes) == steps_per_epoch(images, batch_size)
    assert steps_per_epoch(images, batch_size, 3) == len(range(0, len(sizes), 3))
    assert max(sizes, default=0) <= batch_size + 1
    assert 1 not in sizes or images == 1 or batch_size == 1
    assert len(set(sizes[:-1])) <= 1
