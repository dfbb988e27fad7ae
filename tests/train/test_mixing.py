"""Mixing: torchvision's MixUp and CutMix, from (seed, epoch) alone, and what is learned of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2

from foodvision.plan.mixing import MixSettings
from foodvision.train.engine import TrainSettings, train_epochs
from foodvision.train.generators import epoch_generator
from foodvision.train.mixing import Mixing
from foodvision.train.optimizers import OptimizerSettings
from tests.train.toys import CLASSES, TensorInputs

if TYPE_CHECKING:
    from foodvision.train.engine import EpochResult

ALPHA = 0.4
TORCHVISION: dict[str, Any] = {
    "mixup": v2.MixUp(alpha=ALPHA, num_classes=CLASSES),
    "cutmix": v2.CutMix(alpha=ALPHA, num_classes=CLASSES),
    "either": v2.RandomChoice(
        [v2.MixUp(alpha=ALPHA, num_classes=CLASSES), v2.CutMix(alpha=ALPHA, num_classes=CLASSES)]
    ),
}


def mixing(kind: str, **settings: Any) -> Mixing:
    about = {"kind": kind, "alpha": ALPHA, **settings}
    return Mixing(TypeAdapter(MixSettings).validate_python(about), classes=CLASSES)


def batches(count: int = 6) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.rand(5, 3, 8, 8, generator=generator),
            torch.randint(CLASSES, (5,), generator=generator),
        )
        for _ in range(count)
    ]


def mixed(mix: Any) -> list[torch.Tensor]:
    return [tensor for images, labels in batches() for tensor in mix(images, labels)]


@pytest.mark.parametrize("kind", TORCHVISION)
@pytest.mark.parametrize("p", [1.0, 0.5])
def test_it_is_torchvisions_on_the_same_generator(kind: str, p: float) -> None:
    theirs = TORCHVISION[kind] if p == 1 else v2.RandomApply([TORCHVISION[kind]], p)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(epoch_generator(5, 2, "mix").get_state())
        expected = mixed(theirs)
    found = mixed(mixing(kind, p=p).at_epoch(5, 2))
    assert all(torch.equal(ours, other) for ours, other in zip(found, expected, strict=True))
    kept = sum(labels.dtype == torch.int64 for labels in found[1::2])
    assert (kept == 0) if p == 1 else 0 < kept < 6


@pytest.mark.parametrize(("seed", "epoch"), [(6, 2), (5, 3)])
def test_other_seeds_and_epochs_draw_otherwise(seed: int, epoch: int) -> None:
    one, other = (mixed(mixing("mixup").at_epoch(*key)) for key in ((5, 2), (seed, epoch)))
    assert not torch.equal(one[0], other[0])


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    first = mixed(mixing("either").at_epoch(5, 2))
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)
    again = mixed(mixing("either").at_epoch(5, 2))
    assert all(map(torch.equal, first, again))


def test_shares_of_labels_add_up_to_one() -> None:
    for shares in mixed(mixing("cutmix").at_epoch(1, 1))[1::2]:
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(5))


# Learning


def train(
    network: nn.Module, micro_batch: int | None = None, label_smoothing: float = 0.0
) -> EpochResult:
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(12, 6, generator=generator)
    labels = torch.randint(CLASSES, (12,), generator=generator)

    def mix(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shares = functional.one_hot(labels, CLASSES).float()
        return 0.7 * images + 0.3 * images.roll(1, 0), 0.7 * shares + 0.3 * shares.roll(1, 0)

    epochs = train_epochs(
        network,
        TensorInputs(rows),
        labels,
        settings=TrainSettings(
            batch_size=6,
            seed=5,
            optimizer=OptimizerSettings("sgd"),
            micro_batch=micro_batch,
            label_smoothing=label_smoothing,
        ),
        learning_rates=[[0.5, 0.5]],
        first_epoch=1,
        snapshot=None,
        enter_train_mode=nn.Module.train,
        mix_at=lambda _: mix,
    )
    (result,) = [result for result, _ in epochs]
    return result


def linear() -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(6, CLASSES)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_step_follows_the_loss_against_both_labels(label_smoothing: float) -> None:
    """Compared with a loop that weighs the losses against either label."""
    network, plain = linear(), linear()
    result = train(network, label_smoothing=label_smoothing)
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(12, 6, generator=generator)
    labels = torch.randint(CLASSES, (12,), generator=generator)
    losses, right = [], 0
    order = torch.randperm(12, generator=epoch_generator(5, 1, "shuffle"))
    for part in order.split(6):
        mixed_rows = 0.7 * rows[part] + 0.3 * rows[part].roll(1, 0)
        logits = plain(mixed_rows)
        loss = sum(
            share * functional.cross_entropy(logits, wanted, label_smoothing=label_smoothing)
            for share, wanted in ((0.7, labels[part]), (0.3, labels[part].roll(1, 0)))
        )
        plain.zero_grad()
        loss.backward()
        with torch.no_grad():
            for param in plain.parameters():
                param -= 0.5 * param.grad
        losses.append(loss.item())
        right += int((logits.argmax(dim=1) == labels[part]).sum())
    assert result.train_loss == pytest.approx(sum(losses) / 2, abs=1e-6)
    assert result.train_accuracy == right / 12
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_micro_batches_are_parts_of_a_batch_that_was_mixed_whole() -> None:
    whole, parts = linear(), linear()
    one, other = train(whole), train(parts, micro_batch=4)
    torch.testing.assert_close(whole.weight, parts.weight)
    assert one.train_loss == pytest.approx(other.train_loss, abs=1e-6)
    assert one.train_accuracy == other.train_accuracy
