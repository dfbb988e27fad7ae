from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foodvision.errors import PlanError
from foodvision.plan.schedules import batch_sizes, learning_rates, steps_per_epoch


@dataclass(frozen=True)
class Settings:
    kind: str


def test_constant_is_torchs_constant() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.003)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=100)
    expected = []
    for _ in range(3 * 7):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    rates = learning_rates(Settings("constant"), 0.003, steps_per_epoch=7, epochs=3)
    assert [len(epoch) for epoch in rates] == [7, 7, 7]
    assert [rate for epoch in rates for rate in epoch] == expected


def test_five_constant_epochs_begin_ten() -> None:
    five, ten = (
        learning_rates(Settings("constant"), 0.1, steps_per_epoch=3, epochs=epochs)
        for epochs in (5, 10)
    )
    assert ten[:5] == five


def test_rates_are_floats_so_that_keys_do_not_depend_on_how_a_plan_writes_them() -> None:
    ((rate,),) = learning_rates(Settings("constant"), 1, steps_per_epoch=1, epochs=1)
    assert isinstance(rate, float)


def test_unknown_schedules_are_named() -> None:
    with pytest.raises(PlanError, match=r"must be one of constant, got 'kosine'. Choose"):
        learning_rates(Settings("kosine"), 0.1, steps_per_epoch=1, epochs=1)


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
    assert max(sizes, default=0) <= batch_size + 1
    assert 1 not in sizes or images == 1 or batch_size == 1
    assert len(set(sizes[:-1])) <= 1
