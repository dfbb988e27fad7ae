from __future__ import annotations

import json

import pytest
import torch

from foodvision.errors import ModelError
from foodvision.models.build import build_model
from foodvision.models.facts import ModelFacts, describe
from foodvision.models.weights import RANDOM


@pytest.mark.parametrize(
    ("arch", "total", "trainable"),
    [
        ("efficientnet_b0", 4_011_391, 3_843),  # as the PyTorch courses print them
        ("efficientnet_b2", 7_705_221, 4_227),
    ],
)
def test_parameters_are_counted_as_in_the_course(arch: str, total: int, trainable: int) -> None:
    facts = describe(arch, num_classes=3, freeze="backbone")
    assert (facts.params_total, facts.params_trainable) == (total, trainable)


@pytest.mark.parametrize(
    ("arch", "freeze", "shape"),
    [
        ("mobilenet_v2", "backbone", (1280,)),
        ("efficientnet_b0", "backbone", (1280,)),
        ("squeezenet1_0", "backbone", (512, 13, 13)),
        ("vgg16", "backbone", (512 * 7 * 7,)),
        ("resnet18", "most", (256, 14, 14)),
        ("resnet18", "stem", (64, 56, 56)),
        ("vit_b_16", "encoder.layers.encoder_layer_0", (197, 768)),
        ("mobilenet_v2", "none", (3, 224, 224)),
    ],
)
def test_features_are_pooled_where_the_next_block_pools(
    arch: str, freeze: str, shape: tuple[int, ...]
) -> None:
    facts = describe(arch, num_classes=3, freeze=freeze)
    assert facts.feature_shape == shape
    assert facts.feature_bytes == 4 * torch.Size(shape).numel()


def test_facts_are_those_of_the_built_model() -> None:
    settings = {"num_classes": 4, "channels": 1, "size": 40, "hidden": 6}
    facts = describe("tiny_vgg", freeze=1, **settings)
    model = build_model("tiny_vgg", weights=RANDOM, seed=1, **settings)
    prefix, suffix = model.split(facts.prefix_count)
    assert tuple(prefix(torch.zeros(1, 1, 40, 40)).shape[1:]) == facts.feature_shape
    assert facts.params_trainable == sum(value.numel() for value in suffix.parameters())
    assert facts.params_total == sum(value.numel() for value in model.module.parameters())
    assert facts.model_bytes == 4 * facts.params_total
    assert (facts.blocks, facts.head) == (model.blocks, model.head)


@pytest.mark.parametrize(
    ("arch", "frozen", "constant"),
    [
        ("mobilenet_v2", 19, 0),
        ("squeezenet1_0", 9, 9),  # has no statistics
        ("swin_t", 8, 8),
    ],
)
def test_statistics_that_follow_the_batches_end_the_constant_prefix(
    arch: str, frozen: int, constant: int
) -> None:
    facts = describe(arch, num_classes=3, freeze="backbone", batchnorm="train")
    assert (facts.frozen_count, facts.prefix_count) == (frozen, constant)


def test_describing_leaves_the_generator_alone() -> None:
    before = torch.get_rng_state()
    describe("regnet_y_400mf", num_classes=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_facts_survive_json() -> None:
    facts = describe("resnet18", num_classes=3, freeze="most", size=64)
    assert ModelFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


@pytest.mark.parametrize("value", [{}, {"blocks": [], "feature_shape": [], "colour": "red"}])
def test_other_json_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="must have the fields of ModelFacts"):
        ModelFacts.from_json(value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "alexnet", "size": 32}, "alexnet cannot take images of 32 px"),
        ({"arch": "inception_v3", "size": 64}, "inception_v3 cannot take images of 64 px"),
        ({"arch": "resnet18", "freeze": "layer9"}, "got 'layer9'"),
        ({"arch": "resnet18", "dropout": 0.2}, "the head of resnet18 has none"),
        ({"arch": "resnet81"}, "Did you mean resnet18"),
    ],
)
def test_what_cannot_be_built_cannot_be_described(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        describe(**{"num_classes": 3, **settings})
