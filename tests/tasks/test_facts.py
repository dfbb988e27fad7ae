"""What only torch can tell is asked once, and again where what was kept makes no sense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import TypeAdapter

from foodvision.errors import DataError, ModelError
from foodvision.hashing import file_sha256
from foodvision.home import Home
from foodvision.models import build, weights
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


class CountingTorch:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return ANSWER


def test_an_answer_is_kept(tmp_path: Path) -> None:
    counting = CountingTorch()
    for _ in range(2):
        assert FactsFolder(tmp_path / "facts").ask(QUESTION, counting, DEVICE) == FOUND
    assert counting.asked == 1


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
    counting = CountingTorch()
    FactsFolder(tmp_path).ask(QUESTION, counting, DEVICE)
    (file,) = tmp_path.iterdir()
    file.write_text(kept, encoding="utf-8")
    assert FactsFolder(tmp_path).recall(QUESTION, DEVICE) is None
    assert FactsFolder(tmp_path).ask(QUESTION, counting, DEVICE) == FOUND
    assert counting.asked == 2
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


def test_weights_are_held_against_their_model_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    torch_state = {"hidden.weight": torch.zeros(10, 192), "hidden.bias": torch.zeros(10)}
    torch.save(torch_state, good)
    torch.save({"layer9.weight": torch.zeros(2)}, bad)
    read: list[str] = []
    honest = build.read_state
    monkeypatch.setattr(build, "read_state", lambda path: read.append(path.name) or honest(path))
    base = load_plan(PLAN).base

    def ask(facts: LibraryFacts, weights: Path, **model: Any) -> str | None:
        chosen = base.model.model_copy(update={"weights": str(weights), "hidden": 10, **model})
        return facts.weights_digest(base.model_copy(update={"model": chosen}))

    def facts() -> LibraryFacts:
        return LibraryFacts(home=Home(tmp_path / "home"), base=tmp_path, datasets={})

    first = facts()
    assert ask(first, good) == file_sha256(good)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"bad\.pth: weights must fit mlp in all but the head"):
            ask(first, bad)
    with pytest.raises(ModelError, match="size mismatch"):
        ask(first, good, hidden=12)
    assert read == ["good.pth", "bad.pth", "good.pth"]
    assert ask(facts(), good) == file_sha256(good)
    with pytest.raises(ModelError, match="weights must fit"):  # that there is no answer is not kept
        ask(facts(), bad)
    assert read == ["good.pth", "bad.pth", "good.pth", "bad.pth"]
    monkeypatch.setattr("tasks.facts.file_sha256", _fail)
    torch.save(torch_state, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"a file that can be read, found planted: .*other\.pth"):
        ask(facts(), tmp_path / "other.pth")


def _fail(path: Path) -> str:
    raise PermissionError(f"planted: {path}")


def test_what_failed_is_not_tried_for_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_plan(PLAN).base
    chosen = base.model.model_copy(update={"weights": "absent.pth"})
    settings = base.model_copy(update={"model": chosen})
    tried: list[str] = []
    honest = weights.find_weights

    def find(*given: Any, **more: Any) -> Any:
        tried.append(given[1])
        return honest(*given, **more)

    monkeypatch.setattr(weights, "find_weights", find)
    absent = {"digits": DataError("data.digits: nothing is there")}
    facts = LibraryFacts(home=Home(tmp_path), base=tmp_path, datasets={}, absent=absent)
    facts.ask_ahead([settings])  # says nothing
    for _ in range(3):
        with pytest.raises(ModelError, match=r"found no file at .*absent\.pth"):
            facts.weights_digest(settings)
        with pytest.raises(DataError, match="nothing is there"):
            facts.image_set(settings, "train")
    assert tried == ["absent.pth"]
