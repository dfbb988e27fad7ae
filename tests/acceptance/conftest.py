"""Real photos and weights, where they are; a home of its own for every module."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands import WEIGHTS


@pytest.fixture(scope="session")
def shared() -> Path:
    place = os.environ.get("FOODVISION_SHARED")
    if not place or not (Path(place) / "data").is_dir():
        pytest.skip("FOODVISION_SHARED names no folder with real photos and weights")
    return Path(place)


@pytest.fixture(scope="module")
def environment(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    weights = shared / "weights"
    return os.environ | {
        "FOODVISION_HOME": str(tmp_path_factory.mktemp("acceptance home")),
        "FOODVISION_SOURCES": str(shared / "data"),
        "FOODVISION_MOBILENET_V2": str(weights / WEIGHTS["mobilenet_v2"]),
        "FOODVISION_SQUEEZENET1_0": str(weights / WEIGHTS["squeezenet1_0"]),
    }
