from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from foodvision.models.architectures import BuildSettings
from foodvision.models.facts import outline
from foodvision.models.names import OWN_NETWORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from foodvision.models.blocks import BlockModel

SMALL = "shufflenet_v2_x0_5"


@cache
def usual_outline(arch: str) -> BlockModel:
    """Return an architecture without memory, for the images and classes that it was made for."""
    if arch in OWN_NETWORKS:
        channels, size = OWN_NETWORKS[arch].shape
        return outline(BuildSettings(arch, 10, channels=channels, size=size))
    entry = torchvision.models.get_model_weights(arch).DEFAULT
    return outline(BuildSettings(arch, 1000, size=entry.transforms().crop_size[0]))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Bits are compared within a test only; one thread does not wait for a busy second core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def stock_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(11)
    return dict(torchvision.models.get_model(SMALL, weights=None).state_dict())


@pytest.fixture
def stock_file(tmp_path: Path, stock_state: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "it's a file" / "stock weights.pth"
    path.parent.mkdir()
    torch.save(stock_state, path)
    return path


@pytest.fixture
def place_in_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, dict[str, torch.Tensor]], Path]:
    """Put a state dict where torch.hub looks for an architecture's default weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch home"))

    def place(arch: str, state: dict[str, torch.Tensor]) -> Path:
        entry = torchvision.models.get_model_weights(arch).DEFAULT
        path = tmp_path / "torch home" / "hub" / "checkpoints" / entry.url.rpartition("/")[2]
        path.parent.mkdir(parents=True)
        torch.save(state, path)
        return path

    return place
