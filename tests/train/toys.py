"""Small networks and inputs; as a program: go on from a snapshot in a process of its own."""

from __future__ import annotations

import sys
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from foodvision.plan.schedules import steps_per_epoch
from foodvision.train.determinism import deterministic
from foodvision.train.engine import TrainSettings, train_epochs
from foodvision.train.optimizers import OptimizerSettings
from foodvision.train.snapshots import Snapshot, load_snapshot, save_snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from foodvision.train.engine import EpochResult
    from foodvision.train.plateau import Plateau
    from foodvision.train.recording import StepRecorder

IMAGES = 41
CLASSES = 3
OPTIMIZERS = {
    "adam": OptimizerSettings("adam", betas=(0.8, 0.99), weight_decay=0.01),
    "adamw": OptimizerSettings("adamw", weight_decay=0.05),
    "sgd": OptimizerSettings("sgd", weight_decay=0.01),
    "momentum": OptimizerSettings("sgd", momentum=0.9, nesterov=True),
    "rmsprop": OptimizerSettings("rmsprop", weight_decay=0.01),
    "rmsprop with everything": OptimizerSettings(
        "rmsprop", alpha=0.9, eps=1e-4, momentum=0.5, centered=True
    ),
}


@dataclass
class TensorInputs:
    """Rows of a tensor."""

    rows: torch.Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        return self.rows[torch.from_numpy(indices)]


def toy_data(images: int = IMAGES) -> tuple[TensorInputs, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(images, 3, 8, 8, generator=generator)
    return TensorInputs(rows), torch.randint(CLASSES, (images,), generator=generator)


def toy_network(seed: int = 0) -> nn.Sequential:
    """A convolution that is frozen, BatchNorm, dropout, a head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 3),
            nn.Conv2d(6, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(8, CLASSES),
        )
    network[0].requires_grad_(False)
    return network


def train_toy(
    network: nn.Module,
    *,
    optimizer: str = "adam",
    first_epoch: int = 1,
    last_epoch: int,
    snapshot: Snapshot | None = None,
    rates: Sequence[Sequence[float]] | None = None,
    momenta: Sequence[Sequence[float]] = (),
    lr_factors: Mapping[str, float] | None = None,
    optimizer_start: Literal["reset", "keep"] | None = None,
    plateau: Plateau | None = None,
    recorder: StepRecorder | None = None,
    **settings: Any,
) -> tuple[list[EpochResult], Snapshot]:
    """Train on the toy data; return every result and the last snapshot."""
    inputs, labels = toy_data()
    chosen: dict[str, Any] = {"batch_size": 8, "seed": 5, "label_smoothing": 0.1} | settings
    given = [0.01] * steps_per_epoch(IMAGES, 8, chosen.get("accumulate", 1))
    epochs = train_epochs(
        network,
        inputs,
        labels,
        settings=TrainSettings(optimizer=OPTIMIZERS[optimizer], **chosen),
        learning_rates=rates or [given] * (last_epoch - first_epoch + 1),
        momenta=momenta,
        lr_factors=lr_factors,
        optimizer_start=optimizer_start,
        plateau=plateau,
        recorder=recorder,
        first_epoch=first_epoch,
        snapshot=snapshot,
        enter_train_mode=nn.Module.train,
    )
    results = []
    with deterministic(1, device="cpu"):
        for result, take in epochs:
            results.append(result)
            if plateau is not None:
                plateau.observe(result.train_loss)
            last = take()
    return results, last


def without_seconds(results: Sequence[EpochResult]) -> list[tuple[Any, ...]]:
    return [astuple(result)[:5] + astuple(result)[6:] for result in results]


def assert_equal_snapshots(left: Snapshot, right: Snapshot) -> None:
    assert left.epoch == right.epoch
    pairs = ((left.model, right.model), (left.optimizer, right.optimizer))
    for mine, other in (*pairs, (left.moved, right.moved)):
        assert mine.keys() == other.keys()
        different = [name for name in mine if not torch.equal(mine[name], other[name])]
        assert different == []


if __name__ == "__main__":
    begin, end, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    before = load_snapshot(begin)
    save_snapshot(
        end,
        train_toy(
            toy_network(),
            optimizer=kind,
            first_epoch=before.epoch + 1,
            last_epoch=before.epoch + 3,
            snapshot=before,
        )[1],
    )
    print("with" if "torch._dynamo" in sys.modules else "without", "torch's compiler")  # noqa: T201
