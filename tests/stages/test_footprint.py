"""What a run is said to write is what it writes, up to the headers of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.plan.footprint import footprint
from tests.running import make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = 4096  # of a shard's files, with its list of images
COUNTERS = 1024  # of optimizer steps, one for each tensor


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        pytest.param({}, "", id="whole, every state kept"),
        pytest.param({"optimizer": "{kind: sgd, lr: 0.1}"}, "", id="no states of the optimizer"),
        pytest.param({"optimizer": "{kind: sgd, lr: 0.1, momentum: 0.9}"}, "", id="momentum"),
        pytest.param(
            {"optimizer": "{kind: rmsprop, lr: 0.01, momentum: 0.9, centered: true}"},
            "",
            id="rmsprop",
        ),
        pytest.param({"ema": "{decay: 0.9}"}, "", id="moving average"),
        pytest.param(
            {"model": "{arch: mini_mobilenet, freeze: most}"}, "", id="frozen, running statistics"
        ),
        pytest.param(
            {"model": "{arch: mini_mobilenet, freeze: most}", "augment": "standard"},
            "",
            id="frozen, but live",
        ),
        pytest.param(
            {"valid": "0.25"},
            "grid:\n  epochs: [1, 2]\ntta: {flips: [identity, horizontal_flip]}\n",
            id="views",
        ),
    ],
)
def test_footprint(settings: dict[str, str], more: str, tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", train=4, test=1)
    ran = run(plan_text(photos, more, **{"epochs": 2, **settings}), tmp_path / "home")
    said = footprint(ran.graph, ran.work, "none")
    written = {
        kind: [entry.size_bytes for entry in ran.store.entries(kind)] for kind in ran.store.kinds()
    }
    shards = {kind: written.get(f"{kind}-shard", []) for kind in ("pixels", "features")}
    for kind, predicted in (("pixels", said.pixels), ("features", said.features)):
        assert 0 <= sum(shards[kind]) - predicted <= HEADERS * len(shards[kind])
    states = sum(
        _payload(entry.path / "states.safetensors") for entry in ran.store.entries("train")
    )
    assert 0 <= states - said.states <= COUNTERS
    outputs = [size for kind in ("score", "view", "composite") for size in written.get(kind, [])]
    assert 0 <= sum(outputs) - said.outputs <= 256 * len(outputs)


def _payload(path: Path) -> int:
    """Return the bytes of a safetensors file behind its header, whose length comes first."""
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    return path.stat().st_size - 8 - header


def test_models_are_counted_as_the_plan_saves_them(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", train=4, test=1)
    text = plan_text(photos, "grid:\n  epochs: [1, 2]\n")
    ran = run(text, tmp_path / "home")
    one = ran.graph.cells[0].phase.architecture.model_bytes
    sizes = [footprint(ran.graph, ran.work, save).models for save in ("all", "best", "none")]
    assert sizes == [2 * one, one, 0]
    assert footprint(ran.graph, run(text, tmp_path / "home").work, "all").total == 0
