from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from foodvision.errors import DataError, ModelError
from foodvision.evaluate.predictions import predict_logits
from foodvision.train.determinism import deterministic

if TYPE_CHECKING:
    import numpy as np


@dataclass
class TensorInputs:
    """Rows of a tensor, and what was asked for."""

    rows: torch.Tensor
    asked: list[list[int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        self.asked.append(indices.tolist())
        return self.rows[torch.from_numpy(indices)]


def _network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 16, 3),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, groups=8),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(96, 50),
            nn.Linear(50, 7),
        )


def _images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 20, 20, generator=torch.Generator().manual_seed(1))


def test_logits_are_the_modules_in_the_order_of_the_images() -> None:
    network, images = _network(), _images(75)
    logits = predict_logits(network, TensorInputs(images))
    with torch.no_grad():
        expected = network.eval()(images)
    torch.testing.assert_close(logits, expected)
    assert (logits.dtype, logits.device.type, logits.requires_grad) == (torch.float32, "cpu", False)
    assert not logits.is_inference()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(range(30), id="the first ones"),
        pytest.param(range(5, 80, 3), id="every third"),
        pytest.param([77], id="one alone"),
        pytest.param(range(79, -1, -1), id="turned round"),
    ],
)
def test_a_row_depends_on_its_image_alone(rows: range | list[int], threads: int) -> None:
    network, images = _network(), _images(80)
    with deterministic(threads, device="cpu"):
        whole = predict_logits(network, TensorInputs(images), batch_size=32)
        some = predict_logits(network, TensorInputs(images[list(rows)]), batch_size=32)
    assert torch.equal(some, whole[list(rows)])


def test_every_batch_has_the_same_size() -> None:
    inputs = TensorInputs(torch.zeros(7, 3, 8, 8))
    assert len(predict_logits(_network(), inputs, batch_size=5)) == 7
    assert inputs.asked == [[0, 1, 2, 3, 4], [5, 6, 6, 6, 6]]


def test_training_modes_are_as_before_module_by_module() -> None:
    network = _network().train()
    network[1].eval()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    predict_logits(network, TensorInputs(_images(3)), batch_size=2)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_training_modes_are_as_before_after_an_error() -> None:
    network = _network().train()
    with pytest.raises(RuntimeError):
        predict_logits(network, TensorInputs(torch.zeros(3, 9, 8, 8)))
    assert all(module.training for module in network.modules())


def test_no_images() -> None:
    with pytest.raises(DataError, match="at least one image, found none"):
        predict_logits(_network(), TensorInputs(_images(0)))


@pytest.mark.parametrize("module", [nn.Conv2d(3, 3, 3), nn.Flatten(0, 1)])
def test_modules_that_are_no_classifiers(module: nn.Module) -> None:
    with pytest.raises(ModelError, match=r"must give logits \[2, classes\], found \("):
        predict_logits(module, TensorInputs(_images(3)), batch_size=2)
