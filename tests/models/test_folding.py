from __future__ import annotations

import pytest
import torch
from torch import nn

from foodvision.models.build import build_model
from foodvision.models.folding import fold_batchnorm, frozen_prefix
from foodvision.models.weights import RANDOM


class Untraceable(nn.Module):
    """Its control flow depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images) if images.sum() > 0 else images


def with_statistics(module: nn.Module) -> nn.Module:
    """Give every normalisation statistics and weights that matter."""
    generator = torch.Generator().manual_seed(3)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.5, 1.5, generator=generator)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize(
    ("arch", "left"), [("resnet18", 0), ("mobilenet_v2", 0), ("densenet121", 62)]
)
def test_prefix_without_batchnorm_computes_the_same(arch: str, left: int) -> None:
    model = build_model(arch, num_classes=3, weights=RANDOM, seed=1, size=32)
    with_statistics(model.module)
    stock = {name: value.clone() for name, value in model.module.state_dict().items()}
    count = model.frozen_count("backbone")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    folded = frozen_prefix(model, count)
    with torch.inference_mode():
        expected, found = model.split(count)[0](images), folded(images)
    torch.testing.assert_close(found / expected.abs().max(), expected / expected.abs().max())
    assert found.is_contiguous()
    assert norms(folded) == left < norms(model.module)
    assert model.module.state_dict().keys() == stock.keys()
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, stock[name])


def test_only_what_a_convolution_alone_feeds_is_folded() -> None:
    apart = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
    )
    assert norms(fold_batchnorm(with_statistics(apart))) == 1


def test_modules_that_cannot_be_folded_run_as_they_are() -> None:
    for module in (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), Untraceable()):
        assert fold_batchnorm(module.eval()) is module


def test_statistics_that_follow_the_batches_are_not_folded() -> None:
    with pytest.raises(ValueError, match=r"call \.eval\(\) first"):
        fold_batchnorm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
