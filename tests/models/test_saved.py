from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from foodvision.errors import DiskFullError, ModelError
from foodvision.hashing import file_sha256
from foodvision.models.build import build_model
from foodvision.models.saved import load_saved, save_model
from foodvision.models.weights import RANDOM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = "shufflenet_v2_x0_5"
CARD = {"classes": ["pizza", "寿司", "steak"], "metrics": {"test_accuracy": 0.9}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = build_model(SMALL, num_classes=3, weights=RANDOM, seed=1, size=64)
    return save_model(tmp_path / "our models", model, name="effnet · 5 epochs v1.2", card=CARD)


@pytest.mark.parametrize(
    "arch", ["mobilenet_v2", "squeezenet1_0", "efficientnet_b0", "resnet18", "googlenet"]
)
def test_stock_torchvision_loads_what_was_saved(arch: str, tmp_path: Path) -> None:
    model = build_model(arch, num_classes=3, weights=RANDOM, seed=1)
    path = save_model(tmp_path, model, name=arch, card=CARD)
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    arguments = card["stock"]["arguments"]
    assert card["stock"]["builder"] == f"torchvision.models.{arch}"
    if arch != "googlenet":
        assert arguments == {"num_classes": 3}
    stock = torchvision.models.get_model(arch, weights=None, **arguments)
    stock.load_state_dict(torch.load(path, weights_only=True))
    module, loaded_card = load_saved(path)
    assert loaded_card == card
    images = torch.randn(2, 3, 80, 80, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(stock.eval()(images), model.module.eval()(images))
        as_trained = model.module.to(memory_format=torch.channels_last)
        assert torch.equal(module(images), as_trained(images))


@pytest.mark.parametrize(
    ("arch", "settings"),
    [
        ("tiny_vgg", {"channels": 1, "size": 28, "hidden": 4}),
        ("mlp", {"channels": 1, "size": 8}),
        ("squeezenet1_1", {"channels": 1, "size": 64, "dropout": 0.1}),
    ],
)
def test_what_only_we_can_build_comes_back_too(
    arch: str, settings: dict[str, object], tmp_path: Path
) -> None:
    model = build_model(arch, num_classes=3, weights=RANDOM, seed=1, **settings)
    path = save_model(tmp_path, model, name="own", card={})
    module, card = load_saved(path)
    assert card["stock"] is None
    images = torch.zeros(1, settings["channels"], settings["size"], settings["size"])
    as_trained = model.module.to(memory_format=torch.channels_last).eval()
    with torch.inference_mode():
        assert torch.equal(module(images), as_trained(images))
    if "dropout" in settings:
        assert module.classifier[0].p == settings["dropout"]


def test_a_card_says_what_lies_beside_it(saved: Path) -> None:
    _, card = load_saved(saved)
    assert card["classes"] == CARD["classes"]
    assert card["metrics"] == CARD["metrics"]
    assert (card["file"], card["bytes"]) == (saved.name, saved.stat().st_size)
    assert card["sha256"] == file_sha256(saved)
    assert card["versions"]["torch"] == torch.__version__
    assert sorted(path.suffix for path in saved.parent.iterdir()) == [".json", ".pth"]


def test_equal_weights_are_equal_files(saved: Path, tmp_path: Path) -> None:
    model = build_model(SMALL, num_classes=3, weights=RANDOM, seed=1, size=64)
    again = save_model(tmp_path / "elsewhere", model, name="other", card={})
    assert again.read_bytes() == saved.read_bytes()


def test_a_saved_view_does_not_bring_what_it_looks_at(tmp_path: Path) -> None:
    model = build_model("mlp", num_classes=3, weights=RANDOM, seed=1, size=8)
    model.module.head.bias = torch.nn.Parameter(torch.zeros(10**6)[:3])
    path = save_model(tmp_path, model, name="mlp", card={})
    assert path.stat().st_size < 10**5


@pytest.mark.parametrize(
    ("name", "card", "error", "message"),
    [
        ("../up", {}, ModelError, "plain file name, got '../up'"),
        ("", {}, ModelError, "plain file name"),
        (".hidden", {}, ModelError, "plain file name"),
        ("a", {"sha256": "mine"}, ValueError, r"\['sha256'\] are written by save_model"),
        ("a", {"loss": float("nan")}, ValueError, "not JSON compliant"),
    ],
)
def test_what_cannot_be_saved_writes_nothing(
    name: str, card: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    model = build_model("mlp", num_classes=3, weights=RANDOM, seed=1, size=8)
    with pytest.raises(error, match=message):
        save_model(tmp_path, model, name=name, card=card)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [100, 100_000], ids=["at the start", "in the middle"])
def test_a_full_disk_is_said_and_leaves_the_old_file(saved: Path, limit: int) -> None:
    before = saved.read_bytes()
    other = build_model(SMALL, num_classes=3, weights=RANDOM, seed=2, size=64)
    old, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # the system refuses larger files
    try:
        with pytest.raises(DiskFullError, match=r"must have room on the disk.*effnet · 5 epochs"):
            save_model(saved.parent, other, name=saved.stem, card=CARD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (old, hard))
    assert saved.read_bytes() == before
    assert len(list(saved.parent.iterdir())) == 2
    load_saved(saved)


def _edit(**fields: object) -> Callable[[Path], object]:
    def edit(path: Path) -> None:
        place = path.with_suffix(".json")
        place.write_text(json.dumps(json.loads(place.read_text(encoding="utf-8")) | fields))

    return edit


def _build(**fields: object) -> Callable[[Path], object]:
    build = {"arch": SMALL, "num_classes": 3, "size": 64}
    return _edit(build=build | fields)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.with_suffix(".json").unlink(), "must have its card beside it"),
        (lambda path: path.unlink(), "found its card only"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "sha256 must be its card's"),
        (lambda path: path.with_suffix(".json").write_text("{"), "a card must be JSON"),
        (lambda path: path.with_suffix(".json").write_bytes(b"\xff"), "a card must be JSON"),
        (lambda path: path.with_suffix(".json").write_text("[]"), "a card must have format, file"),
        (lambda path: path.with_suffix(".json").write_text("{}"), "a card must have format, file"),
        (_edit(format=2), "cards of format 1, found 2. Use the foodvision that wrote it"),
        (_edit(build=[]), "`build` must be the settings of a model"),
        (_build(num_classes="3"), "`build` must be the settings of a model"),
        (_build(arch="resnet81"), "Did you mean resnet18"),
        (_build(num_classes=4), f"that of {SMALL} with 4 classes, as its card says"),
    ],
)
def test_damaged_models_are_refused(
    damage: Callable[[Path], object], message: str, saved: Path
) -> None:
    damage(saved)
    with pytest.raises(ModelError, match=message):
        load_saved(saved)
