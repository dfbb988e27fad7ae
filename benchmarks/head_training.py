"""What training a head on cached features costs per step, beside a hand-written PyTorch loop.

Both train the same `Dropout, Linear` head on the same rows in memory, in turns in one process, so
that whatever else the machine does meets both. The loop is what a notebook does once features are
cached: permute, slice, forward, loss, backward, step, and `.item()` for its running means.

Run: python benchmarks/head_training.py [--json]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from foodvision.plan.schedules import batch_sizes, steps_per_epoch
from foodvision.train.determinism import deterministic
from foodvision.train.engine import TrainSettings, train_epochs
from foodvision.train.optimizers import OptimizerSettings

if TYPE_CHECKING:
    import numpy as np

IMAGES, FEATURES, CLASSES, BATCH, EPOCHS, ROUNDS = 225, 1280, 3, 32, 10, 9
STEPS = EPOCHS * steps_per_epoch(IMAGES, BATCH)
LEARNING_RATE = 1e-3


class Rows:
    """Features in memory."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        """Return the rows at `indices`."""
        return self.rows.index_select(0, torch.from_numpy(indices))


def build_head() -> nn.Module:
    """Return MobileNetV2's head."""
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(FEATURES, CLASSES))


def time_engine(rows: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the engine's milliseconds per step, a cell's start and its snapshots included."""
    started = time.perf_counter()
    epochs = train_epochs(
        build_head(),
        Rows(rows),
        labels,
        settings=TrainSettings(batch_size=BATCH, seed=1, optimizer=OptimizerSettings("adam")),
        learning_rates=[[LEARNING_RATE] * steps_per_epoch(IMAGES, BATCH)] * EPOCHS,
        first_epoch=1,
        snapshot=None,
        enter_train_mode=nn.Module.train,
    )
    for _, take in epochs:
        take()
    return (time.perf_counter() - started) * 1e3 / STEPS


def time_loop(rows: torch.Tensor, labels: torch.Tensor) -> float:
    """Return a hand-written loop's milliseconds per step."""
    started = time.perf_counter()
    head = build_head().train()
    optimizer = torch.optim.Adam(head.parameters(), lr=LEARNING_RATE)
    for _ in range(EPOCHS):
        loss_sum, correct = 0.0, 0
        for picked in torch.randperm(IMAGES).split(list(batch_sizes(IMAGES, BATCH))):
            logits, targets = head(rows[picked]), labels[picked]
            loss = functional.cross_entropy(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(picked)
            correct += (logits.argmax(dim=1) == targets).sum().item()
    return (time.perf_counter() - started) * 1e3 / STEPS


def main() -> None:
    """Measure both in turns and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rows, labels = torch.rand(IMAGES, FEATURES), torch.randint(CLASSES, (IMAGES,))
    with deterministic(arguments.threads, device="cpu"):
        time_engine(rows, labels), time_loop(rows, labels)  # imports and caches
        pairs = [(time_engine(rows, labels), time_loop(rows, labels)) for _ in range(ROUNDS)]
    engine, loop = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    found = {
        "engine_ms_per_step": round(engine, 3),
        "loop_ms_per_step": round(loop, 3),
        "loop_over_engine": round(ratio, 2),
        "steps": STEPS,
        "threads": arguments.threads,
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"head {FEATURES} -> {CLASSES}, {IMAGES} rows, batches of {BATCH}, {EPOCHS} epochs")
    print(f"engine {engine:.3f} ms per step, loop {loop:.3f} ms per step: {ratio:.2f} x faster")


if __name__ == "__main__":
    main()
