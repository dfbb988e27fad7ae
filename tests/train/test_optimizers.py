from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from torch import nn

from foodvision.errors import TrainingError
from foodvision.train.optimizers import OptimizerSettings, build_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def _gradients() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(5, 4, generator=generator), torch.randn(5, generator=generator))
        for _ in range(6)
    ]


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        (
            OptimizerSettings("adam", betas=(0.5, 0.6), eps=1e-3, weight_decay=0.1),
            lambda params: torch.optim.Adam(params, betas=(0.5, 0.6), eps=1e-3, weight_decay=0.1),
        ),
        (
            OptimizerSettings("adamw", betas=(0.5, 0.6), eps=1e-3, weight_decay=0.1),
            lambda params: torch.optim.AdamW(params, betas=(0.5, 0.6), eps=1e-3, weight_decay=0.1),
        ),
        (
            OptimizerSettings("sgd", momentum=0.9, nesterov=True, weight_decay=0.1),
            lambda params: torch.optim.SGD(params, momentum=0.9, nesterov=True, weight_decay=0.1),
        ),
        (
            OptimizerSettings("sgd", momentum=0.9),
            lambda params: torch.optim.SGD(params, momentum=0.9),
        ),
        (OptimizerSettings("sgd"), torch.optim.SGD),
        (OptimizerSettings("rmsprop"), torch.optim.RMSprop),
        (
            OptimizerSettings(
                "rmsprop", alpha=0.5, eps=1e-3, weight_decay=0.1, momentum=0.9, centered=True
            ),
            lambda params: torch.optim.RMSprop(
                params, alpha=0.5, eps=1e-3, weight_decay=0.1, momentum=0.9, centered=True
            ),
        ),
    ],
)
@pytest.mark.parametrize("late", [0, 2])
def test_steps_are_torchs(
    settings: OptimizerSettings,
    reference: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer],
    late: int,
) -> None:
    """Also where the second parameter gets its first gradient only after `late` steps."""
    mine, other = nn.Linear(4, 5), nn.Linear(4, 5)
    other.load_state_dict(mine.state_dict())
    optimizer = build_optimizer(list(mine.parameters()), settings, lr=0.0)
    torchs = reference(other.parameters())
    for step, (weight, bias) in enumerate(_gradients()):
        for layer in (mine, other):
            layer.weight.grad = weight.clone()
            layer.bias.grad = bias.clone() if step >= late else None
        optimizer.lr = torchs.param_groups[0]["lr"] = 0.1 / (step + 1)
        optimizer.step()
        torchs.step()
        torch.testing.assert_close(mine.weight, other.weight, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(mine.bias, other.bias, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop"])
def test_a_momentum_may_be_set_for_each_step(kind: Literal["adam", "sgd", "rmsprop"]) -> None:
    classes: dict[str, Any] = {
        "adam": torch.optim.Adam,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
    }
    mine, other = nn.Linear(4, 5), nn.Linear(4, 5)
    other.load_state_dict(mine.state_dict())
    optimizer = build_optimizer(
        list(mine.parameters()), OptimizerSettings(kind, momentum=0.5), lr=0.01
    )
    begin = {} if kind == "adam" else {"momentum": 0.5}
    torchs = classes[kind](other.parameters(), lr=0.01, **begin)
    for step, (weight, bias) in enumerate(_gradients()):
        for layer in (mine, other):
            layer.weight.grad, layer.bias.grad = weight.clone(), bias.clone()
        optimizer.momentum = 0.9 - step / 10
        moved = (optimizer.momentum, 0.999) if kind == "adam" else optimizer.momentum
        torchs.param_groups[0]["betas" if kind == "adam" else "momentum"] = moved
        optimizer.step()
        torchs.step()
    torch.testing.assert_close(mine.weight, other.weight, atol=1e-6, rtol=1e-6)


def test_factors_scale_the_rate_of_each_parameter() -> None:
    layer = nn.Linear(4, 5)
    before = [param.detach().clone() for param in layer.parameters()]
    params = list(layer.parameters())
    optimizer = build_optimizer(params, OptimizerSettings("sgd"), lr=0.5, factors=[1.0, 0.1])
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    steps = [float((old - new.detach()).mean()) for old, new in zip(before, params, strict=True)]
    assert steps == pytest.approx([0.5, 0.05], rel=1e-5)


def test_no_gradient_no_step() -> None:
    layer = nn.Linear(4, 5)
    before = layer.weight.clone()
    optimizer = build_optimizer(list(layer.parameters()), OptimizerSettings("adamw"), lr=0.1)
    optimizer.step()
    layer.weight.grad = torch.ones(5, 4)
    optimizer.zero_grad()
    optimizer.step()
    assert torch.equal(layer.weight, before)
    assert list(optimizer.states()) == [{}, {}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (OptimizerSettings("lion"), "must be one of adam, adamw, rmsprop, sgd, found.*lion"),  # type: ignore[arg-type]
        (OptimizerSettings("rmsprop", alpha=1.0), r"alpha must lie in \[0, 1\), found.*1.0"),
        (
            OptimizerSettings("adam", betas=(1.5, 0.9)),
            r"betas must lie in \[0, 1\), found.*1.5.*Change",
        ),
        (OptimizerSettings("adam", eps=-1.0), "eps must be finite and at least 0, found.*-1.0"),
        (OptimizerSettings("sgd", weight_decay=float("nan")), "weight_decay must be finite"),
        (OptimizerSettings("sgd", momentum=float("inf")), "momentum must be finite"),
        (OptimizerSettings("sgd", nesterov=True), "nesterov needs a momentum above 0"),
    ],
)
def test_settings_that_cannot_be(settings: OptimizerSettings, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        build_optimizer(list(nn.Linear(2, 2).parameters()), settings, lr=0.5)


def test_nothing_to_train() -> None:
    with pytest.raises(TrainingError, match=r"found none: every block is frozen. Choose a smaller"):
        build_optimizer([], OptimizerSettings("adam"), lr=0.5)
