from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from foodvision.errors import TrainingError
from foodvision.plan.schedules import batch_sizes
from foodvision.train.determinism import deterministic
from foodvision.train.engine import EpochResult, Snapshot, TrainSettings, train_epochs
from tests.train.toys import (
    CLASSES,
    IMAGES,
    OPTIMIZERS,
    TensorInputs,
    assert_equal_snapshots,
    toy_data,
    toy_network,
    train_toy,
    without_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from foodvision.train.optimizers import OptimizerSettings

RATES = [[0.01, 0.02, 0.0, 0.03, 0.005], [0.004, 0.003, 0.002, 0.001, 0.0005]]


def _epochs(
    module: nn.Module,
    inputs: TensorInputs,
    labels: torch.Tensor,
    *,
    batch_size: int = 8,
    epochs: int = 1,
    lr: float = 0.01,
    optimizer: OptimizerSettings = OPTIMIZERS["sgd"],
    **arguments: Any,
) -> Iterator[tuple[EpochResult, Callable[[], Snapshot]]]:
    steps = len(batch_sizes(len(inputs), batch_size))
    defaults: dict[str, Any] = {
        "settings": TrainSettings(batch_size=batch_size, seed=1, optimizer=optimizer),
        "learning_rates": [[lr] * steps] * epochs,
        "first_epoch": 1,
        "snapshot": None,
        "enter_train_mode": nn.Module.train,
    }
    return train_epochs(module, inputs, labels, **(defaults | arguments))


def test_results_say_what_was_done() -> None:
    first, second = train_toy(toy_network(), last_epoch=2, rates=RATES)[0]
    assert (first.epoch, second.epoch) == (1, 2)
    assert (first.images, first.steps, first.diverged) == (IMAGES, 5, False)
    assert (first.learning_rate, second.learning_rate) == (0.005, 0.0005)
    assert first.seconds > 0


def test_another_seed_is_another_training() -> None:
    losses = {train_toy(toy_network(), last_epoch=1, seed=seed)[0][0].train_loss for seed in (1, 2)}
    assert len(losses) == 2


def test_metrics_are_means_over_images_not_over_batches() -> None:
    # Frozen at lr 0: every image keeps its own loss, so the order cannot matter.
    inputs, labels = toy_data(13)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES))
    ((result, _),) = _epochs(network, inputs, labels, batch_size=5, lr=0.0)
    logits = network(inputs.rows)
    assert result.train_loss == pytest.approx(functional.cross_entropy(logits, labels).item())
    assert result.train_accuracy == int((logits.argmax(1) == labels).sum()) / 13


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 100])
def test_micro_batches_give_the_gradient_of_the_whole_batch(micro_batch: int) -> None:
    inputs, labels = toy_data()

    def train(size: int | None) -> tuple[EpochResult, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES))
        settings = TrainSettings(8, 1, OPTIMIZERS["sgd"], 0.1, micro_batch=size)
        ((result, _),) = _epochs(network, inputs, labels, settings=settings)
        return result, network[1].weight

    whole, weight = train(None)
    result, micro_weight = train(micro_batch)
    assert result.train_loss == pytest.approx(whole.train_loss, abs=1e-6)
    assert result.train_accuracy == whole.train_accuracy
    torch.testing.assert_close(micro_weight, weight, atol=1e-6, rtol=1e-5)


def test_micro_batches_are_no_larger_than_asked_for() -> None:
    inputs, labels = toy_data(16)
    sizes: list[int] = []

    class Watched(nn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            sizes.append(len(rows))
            return super().forward(rows)

    network = nn.Sequential(nn.Flatten(), Watched(192, CLASSES))
    settings = TrainSettings(8, 1, OPTIMIZERS["sgd"], micro_batch=3)
    list(_epochs(network, inputs, labels, settings=settings))
    assert sizes == [3, 3, 2] * 2


def test_a_leftover_image_joins_the_batch_before_so_that_batchnorm_works() -> None:
    inputs, labels = toy_data(9)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    ((result, _),) = _epochs(network, inputs, labels, batch_size=4)
    assert (result.steps, result.images) == (2, 9)


def test_batchnorm_on_single_images_says_what_to_do() -> None:
    inputs, labels = toy_data(4)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    with pytest.raises(TrainingError, match=r"2 or more images.*batch of 1.*Raise `batch_size`"):
        list(_epochs(network, inputs, labels, batch_size=1))


def test_using_the_module_between_epochs_changes_nothing() -> None:
    undisturbed = train_toy(toy_network(), last_epoch=3)[1]
    network = toy_network()
    inputs, labels = toy_data()
    settings = TrainSettings(8, 5, OPTIMIZERS["adam"], 0.1)
    epochs = _epochs(network, inputs, labels, epochs=3, settings=settings)
    with deterministic(1, device="cpu"):
        for _, take in epochs:
            snapshot = take()
            network.eval()
            network(inputs.rows)
            torch.manual_seed(0)
            torch.rand(5)
    assert_equal_snapshots(snapshot, undisturbed)


def test_two_trainings_at_once_are_each_as_alone() -> None:
    alone = train_toy(toy_network(), last_epoch=3)[1]
    inputs, labels = toy_data()
    settings = TrainSettings(8, 5, OPTIMIZERS["adam"], 0.1)
    pair = [
        _epochs(network, inputs, labels, epochs=3, settings=settings)
        for network in (toy_network(), toy_network())
    ]
    with deterministic(1, device="cpu"):
        both = [[take() for _, take in epochs] for epochs in zip(*pair, strict=True)]
    for snapshot in both[-1]:
        assert_equal_snapshots(snapshot, alone)


def test_the_callers_random_numbers_are_untouched() -> None:
    inputs, labels = toy_data()
    before = torch.get_rng_state()
    for _ in _epochs(toy_network(), inputs, labels, epochs=2):
        assert torch.equal(torch.get_rng_state(), before)


def test_rows_at_odd_places_in_memory_give_the_same_bits() -> None:
    rows = torch.randn(32, 640, generator=torch.Generator().manual_seed(0))

    class Shifted(TensorInputs):
        def batch(self, indices: Any) -> torch.Tensor:
            batch = super().batch(indices)
            memory = torch.empty(batch.numel() + 1)[1:].view_as(batch)
            return memory.copy_(batch)

    def weight(inputs: TensorInputs) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = nn.Linear(640, CLASSES)
        list(_epochs(network, inputs, torch.arange(32) % CLASSES, epochs=3))
        return network.weight

    assert torch.equal(weight(Shifted(rows)), weight(TensorInputs(rows)))


@pytest.mark.parametrize("lr", [1e30, float("inf")])
def test_a_diverged_loss_is_a_result_and_the_last_one(lr: float) -> None:
    inputs, labels = toy_data()
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES))
    results = [result for result, _ in _epochs(network, inputs, labels, epochs=4, lr=lr)]
    assert [result.diverged for result in results][-1] is True
    assert len(results) < 4
    assert all(not result.diverged for result in results[:-1])


def test_a_loss_that_is_not_a_number_stands_in_the_result() -> None:
    inputs, labels = toy_data()
    inputs.rows[0] = torch.nan
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES))
    ((result, take),) = _epochs(network, inputs, labels, epochs=4)
    assert math.isnan(result.train_loss)
    assert result.diverged
    assert take().epoch == 1


def test_weights_that_became_infinite_in_the_last_step_diverged() -> None:
    inputs, labels = toy_data(8)
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES))
    ((result, _),) = _epochs(network, inputs, labels, batch_size=8, epochs=2, lr=math.inf)
    assert math.isfinite(result.train_loss)
    assert result.diverged


def test_an_infinite_loss_diverged_though_the_weights_are_finite() -> None:
    network = nn.Linear(1, 2, bias=False)
    network.weight.data = torch.tensor([[3e38], [-3e38]])
    inputs, labels = TensorInputs(torch.ones(8, 1)), torch.ones(8, dtype=torch.int64)
    ((result, _),) = _epochs(network, inputs, labels, epochs=2, lr=0.0)
    assert result.train_loss == math.inf
    assert result.diverged
    assert network.weight.isfinite().all()


def test_stochastic_depth_draws_from_the_epochs_numbers() -> None:
    class Noise(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows + torch.rand(1)

    def losses(epochs: range) -> list[float]:
        inputs, labels = toy_data()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = nn.Sequential(nn.Flatten(), nn.Linear(192, CLASSES), Noise(), nn.Softmax(1))
        network[1].weight.data.zero_()
        return [
            result.train_loss
            for epoch in epochs
            for result, _ in _epochs(network, inputs, labels, lr=0.0, first_epoch=epoch)
        ]

    once = losses(range(1, 3))
    torch.rand(3)
    assert losses(range(1, 3)) == once


def test_the_training_mode_is_the_callers() -> None:
    network = toy_network()
    inputs, labels = toy_data()
    before = network[2].running_mean.clone()

    def frozen_batchnorm(module: nn.Module) -> None:
        module.train()
        module[2].eval()  # type: ignore[index]

    list(_epochs(network, inputs, labels, enter_train_mode=frozen_batchnorm))
    assert torch.equal(network[2].running_mean, before)


def test_a_snapshot_can_keep_names_of_the_callers_choice() -> None:
    inputs, labels = toy_data()
    network = toy_network()
    ((_, take),) = _epochs(
        network, inputs, labels, snapshot_names=lambda module: module.state_dict()
    )
    assert take().model.keys() == network.state_dict().keys()


def test_a_snapshot_cannot_be_taken_late() -> None:
    inputs, labels = toy_data()
    epochs = _epochs(toy_network(), inputs, labels, epochs=2)
    _, take = next(epochs)
    next(epochs)
    with pytest.raises(TrainingError, match=r"epoch 1 must be taken before.*found epoch 2"):
        take()


def test_an_epoch_of_a_phase_can_begin_without_a_snapshot() -> None:
    first, second = (
        without_seconds(train_toy(toy_network(), first_epoch=epoch, last_epoch=epoch)[0])
        for epoch in (1, 4)
    )
    assert (first[0][0], second[0][0]) == (1, 4)
    assert first[0][1] != second[0][1]


LABELS = toy_data()[1]
TAKEN = Snapshot(3, {}, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS[:-1]}, r"one int64 label per image.*found 41 images.*shape \(40,\)"),
        ({"labels": LABELS.float()}, "one int64 label per image.*float32"),
        ({"inputs": TensorInputs(torch.zeros(0, 3)), "labels": LABELS[:0]}, "at least one image"),
        ({"labels": LABELS - 1}, "class indices from 0, found -1"),
        ({"labels": LABELS + 3}, "label 5 and logits for 3 classes"),
        ({"learning_rates": [[0.1] * 5, [0.1] * 4]}, "Epoch 2 needs one.* 5 steps.*found 4"),
        ({"first_epoch": 0}, "follow each other from 1, found epoch 0"),
        ({"snapshot": TAKEN, "first_epoch": 3}, "found epoch 3 after epoch 3. Give the snapshot"),
        ({"module": toy_network().requires_grad_(False)}, "every block is frozen"),
        ({"module": nn.Conv2d(3, 3, 3)}, r"must give logits \[8, classes\], found \(8, 3, 6, 6\)"),
    ],
)
def test_arguments_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    inputs, labels = toy_data()
    arguments = {"module": toy_network(), "inputs": inputs, "labels": labels} | changes
    with pytest.raises(TrainingError, match=message):
        list(_epochs(**arguments))


def test_arguments_are_checked_before_the_first_epoch_is_asked_for() -> None:
    inputs, labels = toy_data()
    with pytest.raises(TrainingError, match="class indices from 0"):
        _epochs(toy_network(), inputs, labels - 1)


def test_errors_of_the_module_itself_are_not_renamed() -> None:
    class Broken(nn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            raise ValueError("a fault of its own")

    inputs, labels = toy_data()
    with pytest.raises(ValueError, match="a fault of its own"):
        list(_epochs(Broken(2, 2), inputs, labels))
