"""The other side of `grid_vs_loop.py`: a grid as a good notebook trains it, cell by cell.

ImageFolder, a DataLoader with a worker per core, the frozen backbone in eval mode under no_grad,
the test set after every epoch, TensorBoard, saved weights. The work is a notebook's; only the order
of the images and the random numbers (new head, shuffling, dropout) are as FoodVision has them, so
that the accuracies can be held against each other, image by image.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Sampler
from torch.utils.tensorboard import SummaryWriter
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from foodvision.models.architectures import make_head_layer, seeded
from foodvision.plan.schedules import batch_sizes
from foodvision.train.dropout import portable_dropout
from foodvision.train.generators import epoch_generator

if TYPE_CHECKING:
    from collections.abc import Iterator

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def main() -> None:
    """Train the cells of the JSON on standard input; print what came out as JSON."""
    request = json.load(sys.stdin)
    torch.set_num_threads(request["threads"])
    done = [train_cell(cell, Path(request["out"])) for cell in request["cells"]]
    print(json.dumps(done))


def train_cell(cell: dict[str, Any], out: Path) -> dict[str, Any]:
    """Train one cell and return its figures."""
    torch.manual_seed(cell["seed"])
    train, test = (make_loader(cell, split) for split in ("train", "test"))
    model = make_model(cell)
    parameters = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=cell["lr"])
    name = f"{cell['data']}-{cell['arch']}-{cell['epochs']}-{cell['seed']}"
    writer = SummaryWriter(str(out / "runs" / name))
    started, images, accuracy = time.perf_counter(), 0, 0.0
    for epoch in range(cell["epochs"]):
        with portable_dropout(model, cell["seed"], epoch + 1):
            loss, count = train_epoch(model, train, optimizer, cell)
        accuracy = evaluate(model, test)
        writer.add_scalars("accuracy", {"test": accuracy}, epoch)
        writer.add_scalars("loss", {"train": loss}, epoch)
        images += count
    writer.close()
    torch.save(model.state_dict(), out / f"{name}.pth")
    seconds = time.perf_counter() - started
    return {**cell, "accuracy": accuracy, "seconds": seconds, "train_images": images}


def make_loader(cell: dict[str, Any], split: str) -> DataLoader[Any]:
    """Return a loader over one split."""
    size = cell["size"]
    steps: list[Any] = [v2.Resize((size, size))]
    if split == "train" and cell["augment"]:
        steps += [v2.RandomCrop(size, padding=size // 8), v2.RandomHorizontalFlip()]
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    dataset = ImageFolder(Path(cell["folder"]) / split, v2.Compose(steps))
    dataset.samples.sort(key=lambda sample: hashlib.sha256(Path(sample[0]).read_bytes()).digest())
    workers = os.cpu_count() or 1
    if split == "test":
        return DataLoader(dataset, batch_size=cell["batch_size"], num_workers=workers)
    batches = EpochBatches(len(dataset), cell["batch_size"], cell["seed"])
    return DataLoader(dataset, batch_sampler=batches, num_workers=workers)


class EpochBatches(Sampler[list[int]]):
    """All images once per epoch, in an order of its own."""

    def __init__(self, images: int, batch_size: int, seed: int) -> None:
        self._sizes = list(batch_sizes(images, batch_size))
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[list[int]]:
        self._epoch += 1
        generator = epoch_generator(self._seed, self._epoch, "shuffle")
        order = torch.randperm(sum(self._sizes), generator=generator)
        return (part.tolist() for part in order.split(self._sizes))


def make_model(cell: dict[str, Any]) -> nn.Module:
    """Return the network with a new head; its leading blocks frozen as the cell says."""
    model: nn.Module = getattr(torchvision.models, cell["arch"])(weights=None)
    if cell["weights"]:
        model.load_state_dict(torch.load(cell["weights"], weights_only=True))
    for parameter in frozen_part(model, cell["freeze"]).parameters():
        parameter.requires_grad = False
    head = "fc" if cell["arch"].startswith("resnet") else "classifier.1"
    with seeded(cell["seed"], "head"):
        model.set_submodule(head, make_head_layer(model.get_submodule(head), cell["classes"]))
    if cell["arch"].startswith("squeezenet"):
        model.num_classes = cell["classes"]
    return model


def frozen_part(model: nn.Module, freeze: str | int) -> nn.Module:
    """Return the modules that a cell freezes."""
    if freeze == "none":
        return nn.Sequential()
    if isinstance(getattr(model, "features", None), nn.Sequential):
        blocks = list(model.features)  # type: ignore[arg-type]
        return nn.Sequential(*(blocks if freeze == "backbone" else blocks[: int(freeze)]))
    blocks = [model.conv1, model.bn1, model.layer1, model.layer2, model.layer3, model.layer4]
    return nn.Sequential(*(blocks if freeze == "backbone" else blocks[: int(freeze) + 1]))


def train_epoch(
    model: nn.Module,
    loader: DataLoader[Any],
    optimizer: torch.optim.Optimizer,
    cell: dict[str, Any],
) -> tuple[float, int]:
    """Train one epoch; return the mean loss and the number of images."""
    model.train()
    frozen_part(model, cell["freeze"]).eval()
    total, count = 0.0, 0
    for images, labels in loader:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
        count += len(labels)
    return total / count, count


def evaluate(model: nn.Module, loader: DataLoader[Any]) -> float:
    """Return the accuracy on the test split."""
    model.eval()
    right, count = 0, 0
    with torch.inference_mode():
        for images, labels in loader:
            right += int((model(images).argmax(1) == labels).sum())
            count += len(labels)
    return right / count


if __name__ == "__main__":
    main()
