"""Which blocks learn at which share of the learning rate."""

from __future__ import annotations

from typing import Any

import pytest

from foodvision.errors import PlanError
from foodvision.plan.facts import Architecture
from foodvision.plan.input_schema import ModelSettings
from foodvision.plan.rate_groups import RateGroup, rate_groups

RESNET = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")
MOBILENET = ("features.0", "features.1", "features.2", "classifier")


def groups(lr_scale: Any, blocks: tuple[str, ...] = RESNET, frozen: int = 0) -> dict[str, float]:
    model = ModelSettings.model_validate({"arch": "net", "lr_scale": lr_scale})
    architecture = Architecture(blocks, frozen, frozen, (6,), 1, 1, 4, 0)
    return {group.label: group.factor for group in rate_groups(model, architecture)}


@pytest.mark.parametrize(
    ("lr_scale", "expected"),
    [
        pytest.param(None, {"stem-fc": 1}, id="nothing said"),
        pytest.param(1, {"stem-fc": 1}, id="all the same"),
        pytest.param(
            0.5,
            {
                "stem": 0.03125,
                "layer1": 0.0625,
                "layer2": 0.125,
                "layer3": 0.25,
                "layer4": 0.5,
                "fc": 1,
            },
            id="from block to block",
        ),
        pytest.param({"layer4": 0.1}, {"stem-layer3": 1, "layer4": 0.1, "fc": 1}, id="one block"),
        pytest.param({"backbone": 0.1}, {"stem-layer4": 0.1, "fc": 1}, id="a word"),
        pytest.param(
            {"early": 0.01, "most": 0.1, "backbone": 0.5, "head": 2},
            {"stem-layer1": 0.01, "layer2-layer3": 0.1, "layer4": 0.5, "fc": 2},
            id="the smallest set counts",
        ),
        pytest.param(
            {"stem": 0.3, "early": 0.01, "fc": 0.7},
            {"stem": 0.3, "layer1": 0.01, "layer2-layer4": 1, "fc": 0.7},
            id="a block inside a word",
        ),
    ],
)
def test_factors_of_blocks(lr_scale: Any, expected: dict[str, float]) -> None:
    assert groups(lr_scale) == expected
    turned = dict(reversed(lr_scale.items())) if isinstance(lr_scale, dict) else lr_scale
    assert groups(turned) == expected


def test_a_part_means_all_its_blocks() -> None:
    scale = {"features": 0.1, "features.0": 0.01}
    assert groups(scale, MOBILENET) == {
        "features.0": 0.01,
        "features.1-features.2": 0.1,
        "classifier": 1,
    }


def test_frozen_blocks_are_in_no_group() -> None:
    assert groups({"early": 0.1, "layer2": 0.5}, frozen=2) == {"layer2": 0.5, "layer3-fc": 1}
    assert groups(0.5, frozen=5) == {"fc": 1}


def test_a_name_of_one_block_goes_before_a_word_for_the_same_block() -> None:
    blocks = ("stem", "body", "head")
    assert groups({"early": 0.1, "stem": 0.2}, blocks) == groups({"stem": 0.2}, blocks)


def test_words_may_mean_no_block() -> None:
    assert groups({"backbone": 0.1}, ("fc",)) == {"fc": 1}


def test_groups_name_their_blocks() -> None:
    group = RateGroup(("a", "b", "c"), 0.1)
    assert group.label == "a-c"


@pytest.mark.parametrize("name", ["layer5", "feature", "layer", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(PlanError, match=r"must name blocks of net, or early, most, backbone, head"):
        groups({name: 0.1})
