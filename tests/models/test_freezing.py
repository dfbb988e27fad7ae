from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from foodvision.errors import ModelError
from foodvision.models.build import build_model
from foodvision.models.freezing import (
    apply_freeze,
    load_trainable_state,
    set_training_mode,
    trainable_state,
)
from foodvision.models.weights import RANDOM

if TYPE_CHECKING:
    from foodvision.models.blocks import BlockModel

FREEZE = "layer2"
SETTINGS = [
    (freeze, batchnorm)
    for freeze in ("none", FREEZE, "backbone")
    for batchnorm in ("auto", "frozen", "train")
]


@pytest.fixture
def model() -> BlockModel:
    return build_model("resnet18", num_classes=3, weights=RANDOM, seed=1, size=32)


def train_a_step(model: BlockModel, freeze: str, batchnorm: str) -> set[str]:
    """Return the names of all that one step changed."""
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    apply_freeze(model, freeze, batchnorm)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    functional.cross_entropy(model.module(images), torch.tensor([0, 1, 2, 0])).backward()
    learning = [value for value in model.module.parameters() if value.requires_grad]
    assert all(value.grad is None for value in model.module.parameters() if not value.requires_grad)
    torch.optim.SGD(learning, lr=0.1).step()
    after = model.module.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize(("freeze", "batchnorm"), SETTINGS)
def test_a_step_changes_the_trainable_state_and_nothing_else(
    model: BlockModel, freeze: str, batchnorm: str
) -> None:
    changed = train_a_step(model, freeze, batchnorm)
    assert changed == trainable_state(model, freeze, batchnorm).keys()
    statistics = {name for name in changed if "running" in name}
    expected = {"auto": freeze != "backbone", "frozen": False, "train": True}[batchnorm]
    assert bool(statistics) is expected
    assert ("bn1.running_mean" in statistics) is (
        batchnorm == "train" or (batchnorm == "auto" and freeze == "none")
    )
    assert ("layer1.0.conv1.weight" in changed) is (freeze == "none")
    assert "fc.weight" in changed


@pytest.mark.parametrize(("freeze", "batchnorm"), SETTINGS)
def test_a_trainable_state_brings_back_the_start(
    model: BlockModel, freeze: str, batchnorm: str
) -> None:
    start = {name: value.clone() for name, value in model.module.state_dict().items()}
    state = trainable_state(model, freeze, batchnorm)
    assert train_a_step(model, freeze, batchnorm)
    load_trainable_state(model, state, freeze, batchnorm)
    now = model.module.state_dict()
    assert [name for name, value in start.items() if not torch.equal(value, now[name])] == []


def test_a_state_of_other_settings_is_refused(model: BlockModel) -> None:
    state = trainable_state(model, "backbone")
    with pytest.raises(ModelError, match=r"leave to training; .* more differ"):
        load_trainable_state(model, state, "none")


def test_a_later_freeze_undoes_an_earlier_one(model: BlockModel) -> None:
    apply_freeze(model, "backbone")
    apply_freeze(model, "stem")
    free = {name for name, value in model.module.named_parameters() if value.requires_grad}
    assert free == {name for name, _ in model.module.named_parameters()} - {
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
    }


@pytest.mark.parametrize("batchnorm", ["auto", "frozen", "train"])
def test_frozen_blocks_drop_nothing(batchnorm: str) -> None:
    model = build_model("efficientnet_b0", num_classes=3, weights=RANDOM, seed=1, size=32)
    model.module.eval()
    apply_freeze(model, "features.4", batchnorm)
    drops = {
        name: part.training
        for name, part in model.module.named_modules()
        if isinstance(part, StochasticDepth | nn.Dropout)
    }
    assert {name for name, training in drops.items() if not training} == {
        name for name in drops if name.startswith(tuple(f"features.{n}." for n in range(5)))
    }
    assert drops["classifier.0"]


def test_a_suffix_is_put_into_training_mode_without_its_prefix(model: BlockModel) -> None:
    apply_freeze(model, FREEZE)
    _, suffix = model.split(model.frozen_count(FREEZE))
    suffix.eval()
    set_training_mode(suffix, model, frozen_count=model.frozen_count(FREEZE))
    assert model.module.layer3.training
    assert model.module.layer4[0].bn1.training
    assert not model.module.layer2[0].bn1.training
    assert not model.module.layer2.training


def test_an_unknown_way_to_treat_batchnorm_is_refused(model: BlockModel) -> None:
    for call in (apply_freeze, trainable_state):
        with pytest.raises(ModelError, match="one of auto, frozen, train, got 'eval'"):
            call(model, "none", "eval")
