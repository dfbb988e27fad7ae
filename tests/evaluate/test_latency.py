"""Latency: which passes are timed, and what memory is counted; no time of this machine's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from foodvision.evaluate import latency
from foodvision.evaluate.latency import measure_latency

KILOBYTE = 1024


@dataclass
class Clock:
    """Seconds that pass only where somebody works."""

    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now


class Worker(nn.Module):
    """Takes the seconds that it is told, pass by pass; the last ones again and again."""

    def __init__(self, clock: Clock, *seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, images: Tensor) -> Tensor:
        place = min(len(self.modes), len(self._seconds) - 1)
        self.modes.append((self.training, torch.is_inference_mode_enabled()))
        self._clock.now += self._seconds[place]
        return images


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    return clock


def test_median_and_95_per_cent_of_single_passes_per_image(clock: Clock) -> None:
    warming_up, timed = (100.0,) * 3, [0.020] * 9 + [0.060]
    worker = Worker(clock, *warming_up, *timed)
    found = measure_latency(worker, torch.zeros(4, 1, 2, 2), seconds=0.1)
    assert (found.batch_size, found.passes) == (4, 10)
    assert found.median_ms == pytest.approx(5)  # 20 ms for four images
    assert found.p95_ms == pytest.approx(0.45 * 5 + 0.55 * 15)  # between the 9th and the 10th


@pytest.mark.parametrize(("each", "passes"), [(0.0001, 1000), (0.01, 200), (1.0, 10)])
def test_passes_are_few_where_they_are_long_and_not_too_many(
    clock: Clock, each: float, passes: int
) -> None:
    found = measure_latency(Worker(clock, each), torch.zeros(1, 1, 2, 2), seconds=2)
    assert found.passes == pytest.approx(passes, abs=1)
    assert found.median_ms == pytest.approx(each * 1000)


def test_a_model_is_measured_as_it_answers_and_left_as_it_was(clock: Clock) -> None:
    worker = Worker(clock, 1.0).train()
    measure_latency(worker, torch.zeros(1, 1, 2, 2))
    assert set(worker.modes) == {(False, True)}
    assert worker.training


def test_peak_memory_is_what_is_there_at_once() -> None:
    """A batch of 1 MiB, and at most two results of its size beside it: the earlier goes."""
    chain = nn.Sequential(*(nn.ReLU() for _ in range(4)))
    images = torch.zeros(2, 1, 256, 512)
    found = measure_latency(chain, images, seconds=0)
    assert images.nbytes == KILOBYTE**2
    assert found.peak_memory_bytes == 3 * KILOBYTE**2


def test_peak_memory_has_the_weights_and_grows_with_the_batch() -> None:
    layer = nn.Linear(1024, 1024, bias=False)  # 4 MiB
    one, many = (
        measure_latency(layer, torch.zeros(count, 1024), seconds=0).peak_memory_bytes
        for count in (1, 32)
    )
    assert one is not None
    assert many is not None
    assert one >= 4 * KILOBYTE**2 + 2 * 4 * KILOBYTE
    assert many - one >= 31 * 2 * 4 * KILOBYTE


def test_the_profiler_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    measure_latency(nn.ReLU(), torch.zeros(1, 1, 2, 2), seconds=0)
    assert capfd.readouterr() == ("", "")
