"""What only torch can tell is asked once, and again where what was kept makes no sense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from foodvision.home import Home
from foodvision.plan.load import load_plan
from tasks.devices import Device
from tasks.facts import FactsFolder, LibraryFacts

if TYPE_CHECKING:
    from pathlib import Path

DEVICE = TypeAdapter(Device)
QUESTION = {"about": "device", "device": "auto"}
ANSWER = {"kind": "cpu", "capability": "AVX2", "names": ["cpu"]}
FOUND = Device("cpu", "AVX2", ("cpu",))
PLAN = """
name: facts
data: {digits: {source: sklearn:digits, split: 0.2}}
base:
  {data: digits, test: digits, model: {arch: mlp, weights: none}, transform: {size: 8},
   batch_size: 4, epochs: 1, optimizer: {kind: adam, lr: 0.01}, device: cpu}
"""


class Torch:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return ANSWER


def test_an_answer_is_kept(tmp_path: Path) -> None:
    torch = Torch()
    for _ in range(2):
        assert FactsFolder(tmp_path / "facts").ask(QUESTION, torch, DEVICE) == FOUND
    assert torch.asked == 1


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"answer": null}',
        '{"answer": "cpu"}',
        '{"answer": {}}',
        '{"answer": {"kind": "cpu", "names": ["cpu"]}}',
        json.dumps({"answer": ANSWER | {"names": "cpu"}}),
        json.dumps({"answer": ANSWER | {"names": []}}),
    ],
)
def test_what_is_kept_in_another_shape_is_asked_again(tmp_path: Path, kept: str) -> None:
    torch = Torch()
    FactsFolder(tmp_path).ask(QUESTION, torch, DEVICE)
    (file,) = tmp_path.iterdir()
    file.write_text(kept, encoding="utf-8")
    assert FactsFolder(tmp_path).recall(QUESTION, DEVICE) is None
    assert FactsFolder(tmp_path).ask(QUESTION, torch, DEVICE) == FOUND
    assert torch.asked == 2
    assert FactsFolder(tmp_path).recall(QUESTION, DEVICE) == FOUND


@pytest.mark.parametrize("answer", [{}, [1], {"blocks": None, "kind": 1}, "text"])
def test_spoilt_facts_do_not_stop_a_plan(tmp_path: Path, answer: Any) -> None:
    settings = load_plan(PLAN).base
    home = Home(tmp_path / "a home")

    def facts() -> LibraryFacts:
        return LibraryFacts(home=home, base=tmp_path, datasets={})

    first = facts()
    device, shape = first.device(settings), first.architecture(settings, classes=3)
    assert shape.blocks[-1]
    files = list(home.facts.iterdir())
    assert len(files) == 3
    assert first.known_blocks("mlp") == shape.blocks
    for file in files:
        file.write_text(json.dumps({"answer": answer}), encoding="utf-8")
    again = facts()
    assert again.known_blocks("mlp") is None
    assert again.device(settings) == device
    assert again.architecture(settings, classes=3) == shape
