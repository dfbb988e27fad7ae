from __future__ import annotations

import math

import pytest
import torchvision

from foodvision.errors import ModelError
from foodvision.models.architectures import architectures
from foodvision.models.names import OWN_NETWORKS
from foodvision.models.summary import measure, measure_model
from tests.models.conftest import usual_outline

STOCK = [arch for arch in architectures() if arch not in OWN_NETWORKS]


@pytest.mark.parametrize("arch", STOCK)
def test_every_stock_network_has_the_figures_that_torchvision_publishes(arch: str) -> None:
    published = torchvision.models.get_model_weights(arch).DEFAULT.meta
    found = measure_model(usual_outline(arch))
    multiply_adds = sum(block.multiply_adds for block in found.blocks)
    assert multiply_adds / 1e9 == pytest.approx(published["_ops"], abs=0.00051)
    if arch != "inception_v3":  # theirs counts the auxiliary head, which we leave out
        assert sum(block.params for block in found.blocks) == published["num_params"]
    assert found.blocks[-1].output_shape == (1000,)


def test_a_small_network_by_hand() -> None:
    found = measure("tiny_vgg", num_classes=3, channels=1, size=20, hidden=2)
    assert found.input_shape == (1, 20, 20)
    first, second, head = found.blocks
    assert (first.name, first.output_shape) == ("conv_block_1", (2, 8, 8))
    assert first.params == (9 * 1 * 2 + 2) + (9 * 2 * 2 + 2)
    assert first.multiply_adds == 9 * 1 * 2 * 18 * 18 + 9 * 2 * 2 * 16 * 16
    assert second.output_shape == (2 * 2 * 2,)  # flattened already: the head begins behind
    assert second.multiply_adds == 9 * 2 * 2 * 6 * 6 + 9 * 2 * 2 * 4 * 4
    assert (head.params, head.multiply_adds) == (8 * 3 + 3, 8 * 3)
    assert found.model_bytes == 4 * sum(block.params for block in found.blocks)


def test_attention_counts() -> None:
    found = measure("vit_b_32", num_classes=10, size=32)
    (layer, *_) = [block for block in found.blocks if block.name.endswith("layer_0")]
    tokens, width = 2, 768  # one patch and the class token
    linear = 4 * width * width + 2 * width * 4 * width
    assert layer.multiply_adds == tokens * linear + 2 * tokens * tokens * width


@pytest.mark.parametrize("arch", ["alexnet", "inception_v3"])
def test_images_that_are_too_small_are_refused(arch: str) -> None:
    with pytest.raises(ModelError, match=f"{arch} cannot take images of 16 px"):
        measure(arch, num_classes=3, size=16)


def test_buffers_are_part_of_the_bytes() -> None:
    found = measure("mlp_bn", num_classes=2, channels=1, size=4, hidden=5)
    params = 16 * 5 + 5 + 2 * 5 + 5 * 2 + 2
    assert sum(block.params for block in found.blocks) == params
    assert found.model_bytes == 4 * params + 2 * 4 * 5 + 8  # mean, variance, an int64 counter
    assert math.prod(found.blocks[0].output_shape) == 5
