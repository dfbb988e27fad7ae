"""Which devices a plan's `device` means: GPUs of one kind are one device to the keys."""

from __future__ import annotations

import pytest
import torch

from foodvision.errors import TrainingError
from foodvision.plan.load import load_plan
from tasks.devices import find_device
from tasks.facts import LibraryFacts
from tests.tasks.test_facts import PLAN

A100, H100 = ("NVIDIA A100", (8, 0)), ("NVIDIA H100", (9, 0))


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    found = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(found))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: found[number][0])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: found[number][1])


@pytest.mark.parametrize(
    ("gpus", "wanted", "names"),
    [
        ([], "auto", ("cpu",)),
        ([], "cpu", ("cpu",)),
        ([A100], "auto", ("cuda:0",)),
        ([A100], "cpu", ("cpu",)),
        ([A100, A100, A100], "auto", ("cuda:0", "cuda:1", "cuda:2")),
        ([A100, H100, A100], "cuda", ("cuda:0", "cuda:2")),
        ([A100, H100, A100], "cuda:1", ("cuda:1",)),
        ([A100, H100, A100], "cuda:2,0", ("cuda:2", "cuda:0")),
        ([A100, A100], "cuda:1,1", ("cuda:1",)),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_devices_that_are_meant(wanted: str, names: tuple[str, ...]) -> None:
    device = find_device(wanted)
    assert device.names == names
    assert device.name == names[0]
    assert device.kind == names[0].partition(":")[0]


@pytest.mark.parametrize(
    ("gpus", "wanted", "message"),
    [
        ([], "cuda", "must have 'cuda', found 0 GPUs"),
        ([A100], "cuda:0,1", "must have 'cuda:0,1', found 1 GPUs"),
        ([A100, H100], "cuda:0,1", "must be alike, .* found NVIDIA A100 sm_80 .* and NVIDIA H100"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_devices_that_are_not_there(wanted: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        find_device(wanted)


@pytest.mark.parametrize("gpus", [[A100, H100, A100]], indirect=True)
@pytest.mark.usefixtures("gpus")
def test_the_number_of_a_gpu_is_in_no_key(tmp_path: object) -> None:
    from pathlib import Path

    from foodvision.home import Home

    facts = LibraryFacts(home=Home(Path(str(tmp_path))), base=Path(), datasets={})

    def environment(device: str) -> object:
        return facts.environment(load_plan(PLAN, [f"base.device={device}"]).base)

    assert environment("cuda:0") == environment("cuda:2") == environment("auto")
    assert environment("cuda:0") != environment("cuda:1")
