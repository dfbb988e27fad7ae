"""Trainings that did not fit: remembered for all of their kind, and for no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from foodvision.home import Home
from foodvision.plan.load import load_plan
from foodvision.stages.training import is_out_of_memory
from tasks.devices import Device
from tasks.memory_limits import MemoryLimits
from tests.tasks.test_facts import PLAN

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.plan.cell_schema import CellSettings

GPU = Device("cuda", "NVIDIA A100 sm_80 12.8", ("cuda:0",))
OTHER_GPU = Device("cuda", "NVIDIA H100 sm_90 12.8", ("cuda:0",))


def settings(*overrides: str) -> CellSettings:
    return load_plan(PLAN, ["base.batch_size=8", *overrides]).base


@pytest.fixture
def limits(tmp_path: Path) -> MemoryLimits:
    return MemoryLimits(Home(tmp_path))


def test_nothing_is_limited_at_first(limits: MemoryLimits) -> None:
    assert limits.fitted(settings(), GPU) == settings()
    assert not limits.path.exists()


def test_halves_down_to_one_image(limits: MemoryLimits) -> None:
    found = [limits.halve(limits.fitted(settings(), GPU), GPU) for _ in range(4)]
    assert found == [4, 2, 1, None]
    assert limits.fitted(settings(), GPU).micro_batch == 1


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ("base.seed=1", 4),
        ("base.epochs=9", 4),
        ("base.optimizer.lr=0.5", 4),
        ("base.micro_batch=8", 4),
        ("base.micro_batch=3", 3),
        ("base.batch_size=16", None),
        ("base.transform.size=16", None),
        ("base.model.hidden=99", None),
        ("base.precision=bfloat16", None),
        ("base.optimizer={kind: sgd, lr: 0.1}", None),
    ],
)
def test_a_limit_holds_for_trainings_of_the_kind(
    change: str, fits: int | None, limits: MemoryLimits
) -> None:
    limits.halve(settings(), GPU)
    again = MemoryLimits(Home(limits.path.parents[1]))
    assert again.fitted(settings(change), GPU).micro_batch == fits
    assert again.fitted(settings(change), OTHER_GPU) == settings(change)


@pytest.mark.parametrize("kept", ["{", "[]", '{"a": 0}', '{"a": "4"}', "null"])
def test_what_cannot_be_read_limits_nothing(kept: str, limits: MemoryLimits) -> None:
    limits.path.parent.mkdir(parents=True)
    limits.path.write_text(kept, encoding="utf-8")
    assert limits.fitted(settings(), GPU) == settings()
    assert limits.halve(settings(), GPU) == 4


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_errors_that_mean_too_little_memory(error: RuntimeError, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
