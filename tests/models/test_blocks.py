from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from foodvision.errors import ModelError
from foodvision.models.architectures import BuildSettings, architectures, build_bare, weightless
from foodvision.models.blocks import BlockModel
from foodvision.models.build import assemble, build_model
from foodvision.models.freezing import apply_freeze, set_training_mode
from foodvision.models.weights import RANDOM
from tests.models.conftest import usual_outline

# One of every family, at a size that it can take, with the shape of one image's backbone features.
FAMILIES = {
    "alexnet": (64, (9216,)),
    "alexnet_small": (32, (1024,)),
    "convnext_tiny": (64, (768, 1, 1)),
    "densenet121": (64, (1024,)),
    "efficientnet_b0": (64, (1280,)),
    "googlenet": (64, (1024,)),
    "lenet5": (28, (84,)),
    "linear": (8, (10,)),
    "maxvit_t": (224, (512,)),
    "mini_googlenet": (16, (256,)),
    "mini_mobilenet": (16, (256,)),
    "mlp": (8, (64,)),
    "mlp_bn": (8, (256,)),
    "mlp_relu": (8, (10,)),
    "mnasnet0_5": (64, (1280,)),
    "mobilenet_v2": (64, (1280,)),
    "mobilenet_v3_small": (64, (576,)),
    "regnet_y_400mf": (64, (440,)),
    "resnet18": (64, (512,)),
    "shufflenet_v2_x0_5": (64, (1024,)),
    "squeezenet1_0": (64, (512, 3, 3)),
    "swin_v2_t": (64, (768,)),
    "tiny_vgg": (32, (250,)),
    "tiny_vgg_padded": (28, (490,)),
    "vgg16_small": (28, (512,)),
    "vit_b_32": (64, (768,)),
}


def outline(arch: str, **settings: int) -> BlockModel:
    build = BuildSettings(arch, 3, **settings)
    with weightless():
        return assemble(*build_bare(build), build)


@pytest.mark.parametrize("arch", FAMILIES)
def test_a_model_cut_anywhere_gives_the_same_bits(arch: str) -> None:
    size, feature_shape = FAMILIES[arch]
    model = build_model(arch, num_classes=3, weights=RANDOM, seed=1, size=size)
    batch = 2 if size < 224 else 1
    images = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(5))
    own = {name: value.data_ptr() for name, value in model.module.named_parameters()}
    model.module.eval()
    with torch.inference_mode():
        whole = model.module(images)
        for count in range(len(model.blocks)):
            prefix, suffix = model.split(count)
            features = prefix(images)
            kept = features.numpy().copy()
            assert torch.equal(suffix(torch.from_numpy(kept)), whole), model.blocks[count]
            assert features.is_contiguous()
            shared = dict([*prefix.named_parameters(), *suffix.named_parameters()])
            assert {name: value.data_ptr() for name, value in shared.items()} == own
        suffix.train()(features)
    assert tuple(features.shape[1:]) == feature_shape
    assert (features.numpy() == kept).all(), "a suffix must not write into its input"
    assert whole.unique().numel() > 1


@pytest.mark.parametrize("arch", architectures())
def test_every_architecture_has_blocks_and_a_head(arch: str) -> None:
    model = usual_outline(arch)
    layer = model.module.get_submodule(model.head_layer)
    outputs = getattr(layer, "out_features", getattr(layer, "out_channels", None))
    assert outputs == model.build.num_classes
    assert model.blocks[-1] == model.head
    assert len(set(model.blocks)) == len(model.blocks) >= 2
    names = [
        name for block in range(len(model.blocks)) for name, _ in model.named_parameters(block)
    ]
    assert sorted(names) == sorted(name for name, _ in model.module.named_parameters())
    prefix, _ = model.split(len(model.blocks) - 1)
    called = [
        prefix.get_submodule(node.target) for node in prefix.graph.find_nodes(op="call_module")
    ]
    behind = itertools.takewhile(lambda part: not list(part.parameters()), reversed(called))
    assert not any(isinstance(part, nn.Dropout) for part in behind)


@pytest.mark.parametrize(
    ("arch", "blocks"),
    [
        ("resnet18", "stem layer1 layer2 layer3 layer4 fc"),
        ("resnet152", "stem layer1 layer2 layer3 layer4 fc"),
        (
            "efficientnet_b0",
            "features.0 features.1 features.2 features.3 features.4 features.5 features.6 "
            "features.7 features.8 classifier",
        ),
        ("vgg11_bn", "features.0 features.4 features.8 features.11 features.15 features.18 "
         "features.22 features.25 classifier"),
        ("regnet_x_400mf", "stem trunk_output.block1 trunk_output.block2 trunk_output.block3 "
         "trunk_output.block4 fc"),
        ("tiny_vgg", "conv_block_1 conv_block_2 classifier"),
        ("mlp", "hidden head"),
        ("mlp_bn", "hidden.0 head"),
        ("lenet5", "c1 c3 c5 f6 output"),
        ("vgg16_small", "conv1 conv2 conv3 conv4 conv5 classifier"),
        ("mini_googlenet", "stem inception_1 inception_2 inception_3 inception_4 inception_5 head"),
    ],
)  # fmt: skip
def test_blocks_are_named_in_order(arch: str, blocks: str) -> None:
    assert outline(arch).blocks == tuple(blocks.split())


def test_a_vision_transformer_is_cut_between_its_layers() -> None:
    blocks = outline("vit_b_32").blocks
    layers = tuple(f"encoder.layers.encoder_layer_{layer}" for layer in range(12))
    assert blocks == ("stem", *layers, "heads")


@pytest.mark.parametrize(
    ("arch", "freeze", "count"),
    [
        ("resnet18", "none", 0),
        ("resnet18", "early", 2),  # a third of five, rounded up
        ("resnet18", "most", 4),
        ("resnet18", "backbone", 5),
        ("resnet18", "stem", 1),
        ("resnet18", "layer3", 4),
        ("resnet18", 3, 3),
        ("resnet18", 0, 0),
        ("efficientnet_b0", "features", 9),
        ("mobilenet_v2", "features.1", 2),  # and not features.18
        ("vit_b_32", "encoder.layers", 13),
        ("mlp", "early", 1),
        ("mlp", "most", 0),
        ("mlp_bn", "hidden", 1),
        ("lenet5", "early", 2),
    ],
)
def test_freeze_counts_leading_blocks(arch: str, freeze: str | int, count: int) -> None:
    assert outline(arch).frozen_count(freeze) == count


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("layer5", r"got 'layer5'\. Did you mean 'layer\d'\? Blocks of resnet18: stem, layer1"),
        ("backbon", "Did you mean 'backbone'"),
        ("layer", "must be none, early, most, backbone, a count or a block"),
        ("fc", "leave the head trainable: 0 to 5 leading blocks, got 6"),
        (6, "leave the head trainable: 0 to 5 leading blocks, got 6"),
        (-1, "got -1"),
        (True, "got 'True'"),
    ],
)
def test_a_freeze_that_means_nothing_is_refused(freeze: str | int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        outline("resnet18").frozen_count(freeze)


@pytest.mark.parametrize("count", [-1, 6])
def test_a_split_outside_the_blocks_is_refused(count: int) -> None:
    with pytest.raises(ModelError, match="0 to 5 leading blocks"):
        outline("resnet18").split(count)


def test_training_on_kept_features_is_training_the_frozen_whole() -> None:
    def train(*, cached: bool) -> dict[str, torch.Tensor]:
        model = build_model("mobilenet_v2", num_classes=3, weights=RANDOM, seed=2, size=64)
        apply_freeze(model, "most")
        count = model.frozen_count("most")
        prefix, suffix = model.split(count)
        learner, inputs = model.module, images
        if cached:
            learner = suffix
            with torch.no_grad():
                inputs = torch.from_numpy(prefix(images).numpy())
        learnable = {n: p for n, p in learner.named_parameters() if p.requires_grad}
        optimizer = torch.optim.SGD([learnable[name] for name in sorted(learnable)], lr=0.1)
        for step in range(2):
            set_training_mode(learner, model, frozen_count=count)
            with torch.random.fork_rng():
                torch.manual_seed(step)
                loss = functional.cross_entropy(learner(inputs), torch.tensor([0, 1, 2, 0]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return dict(model.module.state_dict())

    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(6))
    live, cached = train(cached=False), train(cached=True)
    assert [name for name in live if not torch.equal(live[name], cached[name])] == []


@pytest.mark.parametrize("arch", ["googlenet", "resnet18", "vit_b_32", "lenet5"])
def test_blocks_one_after_the_other_are_the_whole(arch: str) -> None:
    size = FAMILIES[arch][0]
    model = build_model(arch, num_classes=3, weights=RANDOM, seed=1, size=size)
    model.module.eval()
    values = images = torch.randn(1, 3, size, size)
    parts = model.parts()
    assert len(parts) == len(model.blocks)
    with torch.inference_mode():
        for part in parts:
            values = part(values)
        assert torch.equal(values, model.module(images))


def test_parts_follow_a_model_that_is_changed_later() -> None:
    model = build_model("resnet18", num_classes=3, weights=RANDOM, seed=1, size=32)
    model.module.eval()
    images = torch.randn(2, 3, 32, 32)
    _, early = model.split(3)
    model.module.to(torch.float64)
    prefix, suffix = model.split(3)
    assert suffix is early
    with torch.inference_mode():
        assert torch.equal(suffix(prefix(images.double())), model.module(images.double()))


class _Branching(nn.Module):
    """Its forward asks for values, so it cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images if images.sum() > 0 else -images)


class _Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.fc = nn.Linear(2, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layer(self.layer(images)))


def block_model(module: nn.Module) -> BlockModel:
    return BlockModel(module, head_layer="fc", build=BuildSettings("mlp", 2))


def test_what_cannot_be_traced_is_one_block() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _Branching()
            self.fc = nn.Linear(2, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.fc(self.inner(images))

    assert block_model(Wrapped()).blocks == ("inner", "fc")


def test_a_network_without_a_traceable_forward_is_refused() -> None:
    with pytest.raises(ModelError, match="forward must be traceable"):
        block_model(_Branching())


def test_a_layer_in_two_blocks_is_refused() -> None:
    with pytest.raises(ModelError, match=r"exactly one block, layer.weight is in 2"):
        block_model(_Reused())
