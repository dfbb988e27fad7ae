from __future__ import annotations

import os
import warnings

import pytest
import torch

from foodvision.train.determinism import aligned, deterministic


def _settings() -> dict[str, object]:
    return {
        "threads": torch.get_num_threads(),
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,
        "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "cublas": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "showwarning": warnings.showwarning,
        "filters": list(warnings.filters),
    }


def _overlapping_put() -> None:
    torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("device", ["cpu", "cuda:0", torch.device("mps")])
def test_settings_hold_inside_and_are_back_afterwards(
    threads: int, device: str | torch.device
) -> None:
    before = _settings()
    with deterministic(threads, device=device):
        inside = _settings()
    assert inside["threads"] == threads
    assert inside["algorithms"] is True
    assert inside["warn_only"] is (device != "cpu")
    assert inside["fill"] is False
    assert inside["cudnn"] == (True, False)
    assert inside["cublas"] == ":4096:8"
    assert _settings() == before


def test_settings_are_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    before = _settings()
    with pytest.raises(KeyError), deterministic(1):
        raise KeyError
    assert _settings() == before


def test_operators_without_a_deterministic_version_are_recorded_once() -> None:
    with deterministic(1, device="cuda") as record:
        torch.zeros(3).add_(1)
        assert record.is_exact
        _overlapping_put()
        _overlapping_put()
    assert record.operators == ["put_"]
    assert not record.is_exact


def test_the_cpu_refuses_operators_without_a_deterministic_version() -> None:
    with deterministic(1, device="cpu"), pytest.raises(RuntimeError, match="put_ does not have"):
        _overlapping_put()


def test_other_warnings_go_their_way() -> None:
    with pytest.warns(UserWarning, match="something else"), deterministic(1, device="cuda"):
        warnings.warn("something else", UserWarning, stacklevel=1)


def test_aligned_copies_only_what_begins_at_an_odd_place() -> None:
    memory = torch.arange(65.0)
    assert aligned(memory) is memory
    shifted = aligned(memory[1:])
    assert shifted.data_ptr() % 64 == 0
    assert torch.equal(shifted, memory[1:])
