from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from foodvision.errors import ModelError
from foodvision.models.architectures import BuildSettings
from foodvision.models.build import build_model
from foodvision.models.facts import outline
from foodvision.models.operations import list_operations
from foodvision.models.shapes import hollow, no_images
from foodvision.models.weights import RANDOM

if TYPE_CHECKING:
    from foodvision.plan.summary import Operation

_BLOCK = "layer2 [Sequential]/0 [BasicBlock]/"


def _by_name(arch: str) -> dict[str, Operation]:
    return {operation.name: operation for operation in list_operations(BuildSettings(arch, 3))}


@pytest.mark.parametrize(
    "arch", ["efficientnet_b0", "googlenet", "shufflenet_v2_x0_5", "swin_t", "tiny_vgg", "vit_b_32"]
)
def test_operations_form_one_graph_that_holds_all_parameters(arch: str) -> None:
    settings = BuildSettings(arch, 5)
    operations = list_operations(settings)
    seen: set[str] = set()
    for operation in operations:
        assert seen.issuperset(operation.inputs), operation
        assert operation.name not in seen
        seen.add(operation.name)
    first, *_, last = operations
    assert (first.kind, first.output_shape) == ("input", (-1, 3, 224, 224))
    assert (last.kind, last.output_shape) == ("output", (-1, 5))
    held = sum(operation.params for operation in operations)
    assert held == sum(value.numel() for value in outline(settings).module.parameters())


def test_an_operation_is_named_by_the_modules_around_it_and_told_with_its_settings() -> None:
    found = _by_name("resnet18")
    convolution = found[f"{_BLOCK}conv1 [Conv2d]"]
    assert convolution.kind == "Conv2d"
    assert convolution.detail.startswith("64, 128, kernel_size=(3, 3), stride=(2, 2)")
    assert (convolution.output_shape, convolution.params) == ((-1, 128, 28, 28), 64 * 128 * 9)
    assert found[f"{_BLOCK}add"].inputs == (
        f"{_BLOCK}bn2 [BatchNorm2d]",
        f"{_BLOCK}downsample [Sequential]/1 [BatchNorm2d]",
    )
    assert found[f"{_BLOCK}relu [ReLU]_1"].inputs == (f"{_BLOCK}add",)  # the same module again
    assert found["flatten"].detail == "1"


def test_own_parameters_and_slices_are_shown_and_one_of_several_results_is_the_whole() -> None:
    found = _by_name("vit_b_32")
    token = found["class_token"]
    assert (token.kind, token.output_shape, token.params) == ("Parameter", (1, 1, 768), 768)
    layer = "encoder [Encoder]/layers [Sequential]/encoder_layer_0 [EncoderBlock]/"
    attention = found[f"{layer}self_attention [MultiheadAttention]"]
    assert attention.output_shape is None  # values and, not asked for, weights
    assert found[f"{layer}dropout [Dropout]"].inputs == (attention.name,)
    slices = {name: each for name, each in found.items() if "getitem" in name}
    assert {name: each.output_shape for name, each in slices.items()} == {"getitem": (-1, 768)}
    assert found["heads [Sequential]/head [Linear]"].inputs == ("getitem",)
    assert not any("_assert" in name for name in found)


def test_what_cannot_take_its_images_has_no_operations() -> None:
    with pytest.raises(ModelError, match="alexnet cannot take images of 32 px"):
        list_operations(BuildSettings("alexnet", 3, size=32))


@pytest.mark.parametrize("arch", ["regnet_y_400mf", "maxvit_t", "swin_v2_t", "inception_v3"])
def test_shapes_without_images_are_those_of_images(arch: str) -> None:
    size = 299 if arch == "inception_v3" else 224
    settings = BuildSettings(arch, 4, size=size)
    expected: list[torch.Size] = []
    found: list[torch.Size] = []
    built = build_model(arch, num_classes=4, weights=RANDOM, seed=1, size=size).module.eval()
    with torch.no_grad():
        _shapes_into(built, expected)(torch.zeros(1, 3, size, size))
        _shapes_into(hollow(outline(settings).module), found)(no_images(settings))
    assert expected == found


def _shapes_into(module: nn.Module, shapes: list[torch.Size]) -> nn.Module:
    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            shapes.append(output.shape[1:])

    for part in module.modules():
        part.register_forward_hook(note)
    return module


def test_a_hollow_model_holds_one_number_per_kind_and_keeps_what_was_computed() -> None:
    module = outline(BuildSettings("regnet_y_400mf", 3)).module
    assert any(value.is_meta for value in module.parameters())
    sizes = [value.shape for value in module.state_dict().values()]
    hollow(module)
    assert [value.shape for value in module.state_dict().values()] == sizes
    assert all(value.untyped_storage().nbytes() <= 8 for value in module.parameters())
    assert not module.training
