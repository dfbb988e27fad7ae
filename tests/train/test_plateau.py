"""The rate that falls on a plateau, held against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from foodvision.train.plateau import Plateau, PlateauSettings

LR = 0.1


def settings(**given: object) -> PlateauSettings:
    values = {"factor": 0.5, "patience": 1, "min_delta": 0.0, "cooldown": 0, "min_lr": 0.0}
    return PlateauSettings(lr=LR, **{"is_better_high": False, **values, **given})  # type: ignore[arg-type]


def torchs(chosen: PlateauSettings) -> tuple[torch.optim.Optimizer, ReduceLROnPlateau]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    return optimizer, ReduceLROnPlateau(
        optimizer,
        mode="max" if chosen.is_better_high else "min",
        factor=chosen.factor,
        patience=chosen.patience,
        threshold=chosen.min_delta,
        threshold_mode="abs",
        cooldown=chosen.cooldown,
        min_lr=chosen.min_lr,
    )


@hypothesis_settings(deadline=None)
@given(
    values=st.lists(
        st.one_of(st.floats(0, 1), st.just(float("nan")), st.just(float("inf"))), max_size=25
    ),
    chosen=st.builds(
        settings,
        is_better_high=st.booleans(),
        factor=st.sampled_from([0.1, 0.5, 0.9]),
        patience=st.integers(0, 3),
        min_delta=st.sampled_from([0.0, 0.05, 0.5]),
        cooldown=st.integers(0, 2),
        min_lr=st.sampled_from([0.0, 0.02, 0.0999999999]),
    ),
    cut=st.integers(0, 25),
)
def test_the_rate_is_torchs_however_often_it_is_resumed(
    values: list[float], chosen: PlateauSettings, cut: int
) -> None:
    optimizer, scheduler = torchs(chosen)
    ours = Plateau(chosen)
    for number, value in enumerate(values):
        if number == cut:
            resumed = Plateau(chosen)
            resumed.restore(ours.state())
            ours = resumed
        ours.observe(value)
        scheduler.step(value)
        assert ours.share * LR == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


def test_a_metric_that_is_no_number_is_no_improvement() -> None:
    ours = Plateau(settings(patience=0))
    ours.observe(1.0)
    ours.observe(None)
    assert ours.share == 0.5
