from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from torch import nn

from foodvision.errors import ModelError
from foodvision.models.build import architectures, build_model, reset_head
from foodvision.models.networks import NETWORKS
from foodvision.models.weights import RANDOM, Weights, find_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from foodvision.models.blocks import BlockModel

SMALL = "shufflenet_v2_x0_5"


def same(one: BlockModel, other: BlockModel, *, part: slice = slice(None)) -> bool:
    blocks = range(len(one.blocks))[part]
    ours = dict(pair for block in blocks for pair in one.named_parameters(block))
    theirs = dict(pair for block in blocks for pair in other.named_parameters(block))
    assert ours
    assert ours.keys() == theirs.keys()
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_architectures_are_classification_networks_and_our_own() -> None:
    names = architectures()
    assert {"mlp", "tiny_vgg", "efficientnet_b0", "vit_b_16"} < set(names)
    assert not [name for name in names if "quantized" in name or "rcnn" in name or "r3d" in name]
    assert list(names) == sorted(names)


def test_equal_settings_give_equal_models() -> None:
    build = {"num_classes": 3, "weights": RANDOM, "size": 32}
    first = build_model(SMALL, seed=1, **build)
    torch.manual_seed(99)
    assert same(first, build_model(SMALL, seed=1, **build))
    other = build_model(SMALL, seed=2, **build)
    assert not same(first, other, part=slice(0, 1))
    assert not same(first, other, part=slice(-1, None))


def test_a_backbone_does_not_know_its_head() -> None:
    three = build_model("resnet18", num_classes=3, weights=RANDOM, seed=1)
    ten = build_model("resnet18", num_classes=10, weights=RANDOM, seed=1)
    assert same(three, ten, part=slice(0, -1))


def test_building_leaves_the_generators_alone(stock_file: Path) -> None:
    torch.manual_seed(3)
    random.seed(3)
    before, python_before = torch.get_rng_state(), random.getstate()
    weights = find_weights(SMALL, str(stock_file), base=stock_file.parent)
    for given in (RANDOM, weights):
        reset_head(build_model(SMALL, num_classes=3, weights=given, seed=1), 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python_before


@pytest.mark.parametrize("arch", ["squeezenet1_1", SMALL, "mlp"])
def test_a_reset_head_is_the_one_that_was_built(arch: str) -> None:
    model = build_model(arch, num_classes=3, weights=RANDOM, seed=1, size=32)
    other = build_model(arch, num_classes=3, weights=RANDOM, seed=2, size=32)
    layer = model.module.get_submodule(model.head_layer)
    wanted = other.module.get_submodule(other.head_layer).state_dict()
    reset_head(model, 2)
    assert all(torch.equal(value, wanted[name]) for name, value in layer.state_dict().items())
    reset_head(model, 1)
    assert same(model, build_model(arch, num_classes=3, weights=RANDOM, seed=1, size=32))


def test_weights_fill_all_but_the_head(stock_file: Path, stock_state: dict[str, Tensor]) -> None:
    weights = find_weights(SMALL, str(stock_file), base=stock_file.parent)
    first = build_model(SMALL, num_classes=3, weights=weights, seed=1)
    second = build_model(SMALL, num_classes=3, weights=weights, seed=2)
    built = first.module.state_dict()
    assert built.keys() == stock_state.keys()
    body = [name for name in built if not name.startswith("fc.")]
    assert [name for name in body if not torch.equal(built[name], stock_state[name])] == []
    assert built["fc.weight"].shape == (3, 1024)
    assert not torch.equal(built["fc.weight"], second.module.state_dict()["fc.weight"])
    assert not any(value.is_meta for value in built.values())


def test_weights_in_half_precision_become_float32(tmp_path: Path) -> None:
    state = torchvision.models.squeezenet1_1(weights=None).state_dict()
    torch.save({name: value.half() for name, value in state.items()}, tmp_path / "half.pth")
    weights = find_weights("squeezenet1_1", "half.pth", base=tmp_path)
    model = build_model("squeezenet1_1", num_classes=3, weights=weights, seed=1)
    assert {value.dtype for value in model.module.parameters()} == {torch.float32}


def test_published_weights_bring_no_auxiliary_heads(
    place_in_hub: Callable[[str, dict[str, Tensor]], Path], tmp_path: Path
) -> None:
    stock = torchvision.models.googlenet(weights=None, init_weights=False)
    place_in_hub("googlenet", {n: v.half() for n, v in stock.state_dict().items()})
    weights = find_weights("googlenet", "DEFAULT", base=tmp_path)
    model = build_model("googlenet", num_classes=3, weights=weights, seed=1)
    assert "aux1" not in dict(model.module.named_children())
    assert model.module.transform_input is True
    same_file = Weights(path=weights.path, sha256=weights.sha256)
    plain = build_model("googlenet", num_classes=3, weights=same_file, seed=1)
    assert plain.module.transform_input is False


def test_densenets_of_old_names_fit(tmp_path: Path) -> None:
    stock = torchvision.models.densenet121(weights=None).state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value.half()
        for name, value in stock.items()
        if "num_batches_tracked" not in name  # nor did files of that age have these
    }
    assert old.keys() != stock.keys()
    torch.save(old, tmp_path / "old.pth")
    weights = find_weights("densenet121", "old.pth", base=tmp_path)
    built = build_model("densenet121", num_classes=3, weights=weights, seed=1).module.state_dict()
    name = "features.denseblock4.denselayer16.norm1.weight"
    assert torch.equal(built[name], stock[name].half().float())


def test_mnasnet_fits_from_safetensors_that_keep_no_versions(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    stock = torchvision.models.mnasnet0_5(weights=None).state_dict()
    save_file(stock, tmp_path / "mnasnet.safetensors")
    weights = find_weights("mnasnet0_5", "mnasnet.safetensors", base=tmp_path)
    built = build_model("mnasnet0_5", num_classes=3, weights=weights, seed=1).module.state_dict()
    assert torch.equal(built["layers.0.weight"], stock["layers.0.weight"])


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("conv5", "conv6"): value for name, value in state.items()}


def _wider(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"conv5.0.weight": torch.zeros(7, 7, 1, 1)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _renamed,
            r"missing conv5.0.weight, conv5.1.weight, conv5.1.bias and \d more; unexpected conv6",
        ),
        (_wider, r"size mismatch for conv5.0.weight: .*\[7, 7, 1, 1\].*transform.size \(224\)"),
    ],
)
def test_weights_of_another_shape_are_refused(
    stock_state: dict[str, Tensor],
    tmp_path: Path,
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    message: str,
) -> None:
    torch.save(change(stock_state), tmp_path / "changed.pth")
    weights = find_weights(SMALL, "changed.pth", base=tmp_path)
    with pytest.raises(ModelError, match=message):
        build_model(SMALL, num_classes=3, weights=weights, seed=1)


def test_weights_of_another_architecture_are_refused(stock_file: Path) -> None:
    weights = find_weights("resnet18", str(stock_file), base=stock_file.parent)
    with pytest.raises(ModelError, match=r"fit resnet18 .* missing .* unexpected .* model.arch"):
        build_model("resnet18", num_classes=3, weights=weights, seed=1)


def test_grey_images_get_a_convolution_of_their_own() -> None:
    model = build_model("resnet18", num_classes=3, weights=RANDOM, seed=1, channels=1, size=32)
    assert model.module.conv1.weight.shape == (64, 1, 7, 7)
    model.module.eval()
    assert model.module(torch.zeros(1, 1, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_our_networks_take_any_channels(channels: int) -> None:
    for arch in NETWORKS:
        model = build_model(
            arch, num_classes=5, weights=RANDOM, seed=1, channels=channels, size=20, hidden=7
        )
        assert model.module(torch.zeros(2, channels, 20, 20)).shape == (2, 5)


def test_tiny_vgg_is_the_courses_one() -> None:
    model = build_model("tiny_vgg", num_classes=3, weights=RANDOM, seed=1, size=64)
    shapes = {name: tuple(value.shape) for name, value in model.module.state_dict().items()}
    assert shapes["conv_block_1.0.weight"] == (10, 3, 3, 3)
    assert shapes["conv_block_2.2.weight"] == (10, 10, 3, 3)
    assert shapes["classifier.1.weight"] == (3, 10 * 13 * 13)
    assert len(shapes) == 10


def test_dropout_sets_the_head_alone() -> None:
    model = build_model("googlenet", num_classes=3, weights=RANDOM, seed=1, dropout=0.35)
    assert model.module.dropout.p == 0.35
    mobile = build_model("mobilenet_v2", num_classes=3, weights=RANDOM, seed=1)
    assert mobile.module.classifier[0].p == 0.2
    vit = build_model("efficientnet_b0", num_classes=3, weights=RANDOM, seed=1, dropout=0.0)
    assert [m.p for m in vit.module.modules() if isinstance(m, nn.Dropout)] == [0.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "efficientnet_bo"}, "found 'efficientnet_bo'. Did you mean efficientnet_b0"),
        ({"arch": "fasterrcnn_resnet50_fpn"}, "torchvision classification network"),
        ({"arch": "resnet18", "dropout": 0.1}, "the head of resnet18 has none"),
        ({"arch": "mlp", "dropout": 0.1}, "the head of mlp has none"),
        ({"arch": "mobilenet_v2", "dropout": 1.0}, "at least 0 and below 1, got 1.0"),
        ({"arch": "mobilenet_v2", "dropout": float("nan")}, "below 1, got nan"),
        (
            {"arch": "mobilenet_v2", "hidden": 8},
            "hidden is for alexnet_small, .* vgg16_small; mobilenet_v2 got 8",
        ),
        ({"arch": "mlp", "num_classes": 0}, "at least one class, got 0"),
        ({"arch": "tiny_vgg", "size": 15}, "at least 16 px wide and high, got 15"),
        ({"arch": "vit_b_32", "size": 100}, "vit_b_32 cannot be built for images of 100 px"),
        ({"arch": "maxvit_t", "size": 64}, "maxvit_t cannot be built for images of 64 px"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_model(**{"num_classes": 3, "weights": RANDOM, "seed": 1, **settings})


def test_weights_for_colour_refuse_grey_images(stock_file: Path) -> None:
    weights = find_weights(SMALL, str(stock_file), base=stock_file.parent)
    with pytest.raises(ModelError, match=r"take images of 3 channels, got 1.*transform.channels"):
        build_model(SMALL, num_classes=3, weights=weights, seed=1, channels=1)
