"""How long a module takes for an image, and how much memory it needs meanwhile."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from foodvision.evaluate.predictions import evaluating
from foodvision.train.determinism import environment_variable
from foodvision.train.precision import Precision, forward_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

_WARM_UP = 3
_FEWEST_PASSES = 10
_MOST_PASSES = 1000
_SECONDS = 2.0
_MILLISECONDS = 1000
# The profiler would write to the error stream that it starts, and that there is no GPU.
_QUIET = ("KINETO_LOG_LEVEL", "6")


@dataclass(frozen=True)
class Latency:
    """What one batch size costs.

    Attributes:
        batch_size: images that were answered together.
        passes: forward passes that were timed, one by one.
        median_ms: milliseconds an image, the median over passes.
        p95_ms: milliseconds an image that 95 % of the passes kept below.
        peak_memory_bytes: the most that the module's parameters and buffers, the batch and what a
            forward pass holds at once need together; `None` where the device does not tell.
    """

    batch_size: int
    passes: int
    median_ms: float
    p95_ms: float
    peak_memory_bytes: int | None


def measure_latency(
    module: nn.Module,
    images: Tensor,
    *,
    precision: Precision = "float32",
    seconds: float = _SECONDS,
) -> Latency:
    """Time forward passes in evaluation mode, one by one, after a few that do not count.

    Decoding and resizing are not part of it. Torch's own timer
    (`torch.utils.benchmark`) times blocks of passes where one is short, and a percentile of means
    is none of passes.

    Args:
        module: on its device. Its training modes are as before afterwards.
        images: float [B, C, H, W] on the same device: the batch of every pass.
        precision: of the forward pass.
        seconds: time to spend; at least 10 passes and at most 1,000 are timed.
    """
    with evaluating(module), torch.inference_mode():

        def answer() -> None:
            with forward_precision(precision, images.device):
                module(images)
            _wait_for(images.device)

        for _ in range(_WARM_UP):
            answer()
        taken = np.array(list(_timed(answer, seconds))) * _MILLISECONDS / len(images)
        peak = _peak_bytes(answer, images.device)
    held = images.nbytes + sum(value.nbytes for value in module.state_dict().values())
    return Latency(
        batch_size=len(images),
        passes=len(taken),
        median_ms=float(np.median(taken)),
        p95_ms=float(np.percentile(taken, 95)),
        peak_memory_bytes=None if peak is None else held + peak,
    )


def _timed(answer: Callable[[], None], seconds: float) -> Iterator[float]:
    """Yield the seconds that each pass takes."""
    deadline = time.perf_counter() + seconds
    for number in range(_MOST_PASSES):
        began = time.perf_counter()
        if number >= _FEWEST_PASSES and began >= deadline:
            return
        answer()
        yield time.perf_counter() - began


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _peak_bytes(answer: Callable[[], None], device: torch.device) -> int | None:
    """Return the most bytes that one pass holds at once beside what is there before it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        answer()
        return torch.cuda.max_memory_allocated(device) - before
    return _peak_on_cpu(answer) if device.type == "cpu" else None


def _peak_on_cpu(answer: Callable[[], None]) -> int:
    """Add up what torch's allocator gives and takes back, as its profiler tells it."""
    with (
        environment_variable(*_QUIET),
        torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profile,
    ):
        answer()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    moved = [event for event in events if event["name"] == "[memory]"]
    moved.sort(key=lambda event: event["ts"])
    return max(accumulate(event["args"]["Bytes"] for event in moved), default=0)
