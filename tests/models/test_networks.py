"""Our own networks: what their papers and courses say of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from foodvision.errors import ModelError
from foodvision.models.build import build_model
from foodvision.models.names import OWN_NETWORKS
from foodvision.models.networks import NETWORKS, build_network
from foodvision.models.networks.googlenet import Inception
from foodvision.models.summary import measure_model
from foodvision.models.weights import RANDOM
from tests.models.conftest import usual_outline

DOCUMENT = (Path(__file__).parents[2] / "docs" / "plan-language.md").read_text(encoding="utf-8")


def params(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def built(name: str, classes: int = 10, **settings: int) -> nn.Module:
    shape = dict(zip(("channels", "size"), OWN_NETWORKS[name].shape, strict=True))
    return build_network(name, classes, **{"hidden": None, **shape, **settings})


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("lenet5", 61_706),  # as everybody counts them who draws no table for C3
        ("linear", 784 * 10 + 10 + 10 * 10 + 10),
        ("mlp_relu", 784 * 10 + 10 + 10 * 10 + 10),
        ("mlp_bn", 784 * 256 + 256 + 2 * 256 + 256 * 10 + 10),
        ("tiny_vgg_padded", 100 + 3 * 910 + 7 * 7 * 10 * 10 + 10),
        ("tiny_vgg", 280 + 3 * 910 + 13 * 13 * 10 * 10 + 10),
    ],
)
def test_known_numbers_of_parameters(name: str, count: int) -> None:
    assert params(built(name)) == count


def test_mlp_bn_is_the_sequence_of_the_example() -> None:
    ours = built("mlp_bn")
    theirs = nn.Sequential(
        nn.Flatten(),
        nn.Linear(28 * 28, 256),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(256, 10),
    )
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(4, 1, 28, 28)
    for module in (ours, theirs):
        module.train()
    torch.manual_seed(1)
    wanted = theirs(images)
    torch.manual_seed(1)
    assert torch.equal(ours(images), wanted)


def test_two_linear_layers_are_one_linear_map() -> None:
    network = built("linear").double()
    one, other = torch.randn(2, 1, 1, 28, 28, dtype=torch.float64)
    nothing = network(torch.zeros_like(one))
    torch.testing.assert_close(network(one) + network(other) - nothing, network(one + other))


def test_mlp_relu_gives_no_negative_logit() -> None:
    logits = built("mlp_relu")(torch.randn(50, 1, 28, 28))
    assert logits.min() == 0 < logits.max()


def test_vgg16_has_the_channels_of_configuration_d() -> None:
    network = built("vgg16_small")
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in convolutions] == (
        [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    )
    assert sum(isinstance(part, nn.Linear) for part in network.modules()) == 3


def test_alexnet_has_five_convolutions_and_three_linear_layers() -> None:
    network = built("alexnet_small")
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in convolutions] == [64, 192, 384, 256, 256]
    linear = [part for part in network.modules() if isinstance(part, nn.Linear)]
    assert [part.out_features for part in linear] == [1024, 1024, 10]


def test_an_inception_module_has_the_shares_of_the_papers_3a() -> None:
    module = Inception(192, 256)
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in convolutions] == [64, 96, 128, 16, 32, 32]


@pytest.mark.parametrize("outputs", [4, 8, 12, 28])
def test_an_inception_module_gives_what_it_says(outputs: int) -> None:
    assert Inception(3, outputs)(torch.zeros(2, 3, 5, 5)).shape == (2, outputs, 5, 5)


def test_a_separable_convolution_is_much_cheaper_than_a_full_one() -> None:
    found = {block.name: block for block in measure_model(usual_outline("mini_mobilenet")).blocks}
    full = 9 * 256 * 256 * 8 * 8
    assert found["separable_5"].multiply_adds == full / 9 + full / 256


@pytest.mark.parametrize("name", NETWORKS)
def test_the_smallest_images_pass_and_smaller_ones_are_refused(name: str) -> None:
    smallest = OWN_NETWORKS[name].smallest
    for size in (smallest, smallest + 1, smallest + 7):
        network = built(name, size=size, hidden=2).eval()
        assert network(torch.zeros(1, OWN_NETWORKS[name].shape[0], size, size)).shape == (1, 10)
    if smallest > 1:
        with pytest.raises(ModelError, match=f"{name}: images must be at least {smallest} px"):
            built(name, size=smallest - 1)
        with pytest.raises((RuntimeError, UserWarning)):  # so the limit is not too strict
            _run_without_check(name, smallest - 1)


def _run_without_check(name: str, size: int) -> None:
    NETWORKS[name](10, channels=1, size=size, hidden=2).eval()(torch.zeros(1, 1, size, size))


@pytest.mark.parametrize("name", NETWORKS)
def test_widths_grow_with_hidden(name: str) -> None:
    assert params(built(name, hidden=1)) < params(built(name, hidden=2))
    assert params(built(name)) == params(built(name, hidden=OWN_NETWORKS[name].hidden))


@pytest.mark.parametrize("name", ["alexnet_small", "mini_googlenet", "mini_mobilenet", "mlp_bn"])
def test_dropout_is_a_setting(name: str) -> None:
    model = build_model(name, num_classes=3, weights=RANDOM, seed=1, size=16, dropout=0.35)
    rates = [part.p for part in model.module.modules() if isinstance(part, nn.Dropout)]
    assert set(rates) == {0.35}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_learns(name: str) -> None:
    """Two classes, bright above or bright below: what does not learn that is wired wrongly."""
    channels, _ = OWN_NETWORKS[name].shape
    labels = torch.arange(16) % 2
    images = 0.2 * torch.randn(16, channels, 16, 16, generator=torch.Generator().manual_seed(0))
    images[labels == 0, :, :8] += 1
    images[labels == 1, :, 8:] += 1
    # A ReLU on the outputs may die from some seeds.
    assert any(_falls(_losses(name, images, labels, seed)) for seed in range(1, 4))


def _losses(name: str, images: Tensor, labels: Tensor, seed: int) -> list[float]:
    channels, size = images.shape[1:3]
    settings = {"channels": channels, "size": size, "hidden": 8, "seed": seed}
    module = build_model(name, num_classes=2, weights=RANDOM, **settings).module.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    losses = []
    torch.manual_seed(seed)
    for _ in range(25):
        loss = functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def _falls(losses: list[float]) -> bool:
    return losses[-1] < 0.5 * losses[0]


def test_the_table_in_the_language_reference_is_true() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]+?) \| (\d) × (\d+) \| (\d+) \| ([\d,]+) \| (.+?) \|$",
        DOCUMENT,
        re.MULTILINE,
    )
    found = {}
    for name, about in OWN_NETWORKS.items():
        size = measure_model(usual_outline(name))
        blocks = ", ".join(f"`{block.name}`" for block in size.blocks)
        assert about.blocks == tuple(block.name for block in size.blocks)
        count = sum(block.params for block in size.blocks)
        channels, side = about.shape
        found[name] = (
            about.paper,
            str(channels),
            str(side),
            str(about.smallest),
            f"{count:,}",
            blocks,
        )
        assert f"{about.width_of} of `{name}` ({about.hidden:,})" in DOCUMENT
    assert {name: tuple(rest) for name, *rest in rows} == found
