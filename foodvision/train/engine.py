"""The epoch loop: flat typed settings in, one result per epoch out.

It prints nothing, writes nothing, and knows neither plans nor files.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from foodvision.errors import TrainingError
from foodvision.plan.schedules import batch_sizes, steps_per_epoch
from foodvision.train.averaging import WeightAverage
from foodvision.train.determinism import aligned
from foodvision.train.dropout import portable_dropout
from foodvision.train.generators import epoch_generator, epoch_randomness
from foodvision.train.optimizers import ClipSettings, OptimizerSettings, build_optimizer
from foodvision.train.precision import Precision, forward_precision
from foodvision.train.snapshots import (
    Snapshot,
    carry_optimizer,
    changing_names,
    restore_moved,
    restore_snapshot,
    restore_weights,
    take_snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from foodvision.data.loaders import Inputs
    from foodvision.train.plateau import Plateau
    from foodvision.train.recording import StepRecorder

    # From float images [B, ...] and int64 labels [B] to mixed images and labels: int64 [B], or the
    # shares of all classes [B, C].
    Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

__all__ = ["EpochResult", "Snapshot", "TrainSettings", "train_epochs"]


@dataclass(frozen=True)
class TrainSettings:
    """What acts on every epoch.

    Attributes:
        batch_size: images per optimizer step; >= 1. See `batch_sizes` for the last batch.
        seed: shuffle and dropout of every epoch derive from it.
        optimizer: which optimizer.
        label_smoothing: share of the target spread over all classes; in [0, 1).
        micro_batch: most images in one forward pass (memory); the step still weighs all images of
            its batch alike. `None`: the whole batch at once.
        precision: of the forward pass; the loss is computed from float32 logits.
        accumulate: batches per optimizer step, whose images all weigh alike; >= 1. The last step of
            an epoch takes what is left.
        clip: how gradients are cut before a step.
        ema_decay: keep a moving average of the weights, see `WeightAverage`.
    """

    batch_size: int
    seed: int
    optimizer: OptimizerSettings
    label_smoothing: float = 0.0
    micro_batch: int | None = None
    precision: Precision = "float32"
    accumulate: int = 1
    clip: ClipSettings | None = None
    ema_decay: float | None = None


@dataclass(frozen=True)
class EpochResult:
    """One epoch, measured while it trained (training mode, weights changing step by step).

    Attributes:
        epoch: from 1.
        train_loss: mean over images; NaN or infinite where training diverged.
        train_accuracy: share of images, in [0, 1]; of mixed ones, where the class of the larger
            part is named.
        images: images trained on.
        steps: optimizer steps.
        seconds: wall time of the epoch.
        learning_rate: the optimizer's, of the last step.
        diverged: a loss or a weight is NaN or infinite; no epoch follows.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    images: int
    steps: int
    seconds: float
    learning_rate: float
    diverged: bool


class _Pace(NamedTuple):
    """What one step's schedule says; without a momentum, the optimizer's own counts."""

    lr: float
    momentum: float | None


def _pace(rates: Sequence[float], momenta: Sequence[float]) -> list[_Pace]:
    values: Sequence[float | None] = momenta or [None] * len(rates)
    return [_Pace(lr, momentum) for lr, momentum in zip(rates, values, strict=True)]


def train_epochs(
    module: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    *,
    settings: TrainSettings,
    learning_rates: Sequence[Sequence[float]],
    first_epoch: int,
    snapshot: Snapshot | None,
    enter_train_mode: Callable[[nn.Module], None],
    optimizer_start: Literal["reset", "keep"] | None = None,
    momenta: Sequence[Sequence[float]] = (),
    whole: nn.Module | None = None,
    snapshot_names: Callable[[nn.Module], Iterable[str]] = changing_names,
    inputs_at: Callable[[int], Inputs] | None = None,
    mix_at: Callable[[int], Mixer] | None = None,
    lr_factors: Mapping[str, float] | None = None,
    plateau: Plateau | None = None,
    recorder: StepRecorder | None = None,
) -> Iterator[tuple[EpochResult, Callable[[], Snapshot]]]:
    """Train epoch by epoch, changing `module` in place.

    The caller may use the module between two epochs (to score it); where an average of the weights
    is kept, the module then holds the average. Every epoch sets its training
    mode and its random numbers anew, so that nothing done in between acts on what follows, and
    10 epochs are 5 epochs, a snapshot, and 5 more, to the bit (inside `deterministic`).

    Args:
        module: on its device; gives float logits [B, C]. Parameters with `requires_grad` train.
        inputs: the training images, ready for the module.
        labels: int64 [N], class indices in [0, C).
        settings: what acts on every epoch.
        learning_rates: for every epoch to train, the learning rate of each of its steps; the
            first list belongs to `first_epoch`.
        first_epoch: number of the first epoch to train, from 1.
        snapshot: taken after epoch `first_epoch - 1`; `None`: `module` already holds the weights
            to begin with, and the optimizer starts fresh.
        enter_train_mode: sets the training mode of every submodule, called before each epoch.
        optimizer_start: where `snapshot` was taken with other settings: `reset` lets the optimizer
            begin afresh, `keep` lets it go on with what it knows of the parameters that it trained
            before. `None`: it goes on exactly as it was.
        momenta: for every epoch to train, the momentum (Adam's first beta) of each of its steps;
            where it is empty, the optimizer's own counts.
        whole: the module that `module` is a part of, with the same names: what snapshots are put
            back into. `None`: `module`.
        snapshot_names: given `module`, entries of `whole`'s state dict that a snapshot keeps.
        inputs_at: the images as an epoch (from 1) sees them, where that differs from epoch to
            epoch; asked once per epoch. `None`: `inputs`, always.
        mix_at: what mixes whole batches in an epoch (from 1); asked once per epoch. `None`:
            batches stay as they are.
        lr_factors: what the learning rate of a parameter is multiplied by, by its name; 1 where it
            has none.
        plateau: what the learning rates of an epoch are multiplied by when it begins; the caller
            lets it observe each epoch, before it takes the snapshot.
        recorder: notes what each step saw, and acts on nothing.

    Returns:
        An iterator over each epoch's result and a function that takes its snapshot; the function
        must be called before the next epoch is asked for. Ends after an epoch that diverged.

    Raises:
        TrainingError: the arguments do not fit together (raised here, before the first epoch), or
            the module cannot train on these batches (raised while iterating).
    """
    _check_arguments(inputs, labels, settings, learning_rates, first_epoch, snapshot)
    trainer = _Trainer(
        module,
        inputs_at or (lambda _: inputs),
        labels,
        settings,
        mix_at=mix_at or (lambda _: None),
        whole=whole or module,
        snapshot_names=snapshot_names,
        lr_factors=lr_factors or {},
        plateau=plateau,
        recorder=recorder,
    )
    if snapshot is not None:
        trainer.restore(snapshot, optimizer_start)
    moved = momenta or [()] * len(learning_rates)
    pace = [_pace(rates, values) for rates, values in zip(learning_rates, moved, strict=True)]
    return trainer.run(pace, first_epoch, enter_train_mode)


# Positions of a batch's images, int64 [n], and their labels, int64 [n] on the device.
_Batch = tuple[np.ndarray, "Tensor"]


class _Trainer:
    """A module in training, with what stays the same from epoch to epoch."""

    def __init__(
        self,
        module: nn.Module,
        inputs_at: Callable[[int], Inputs],
        labels: Tensor,
        settings: TrainSettings,
        *,
        mix_at: Callable[[int], Mixer | None],
        whole: nn.Module,
        snapshot_names: Callable[[nn.Module], Iterable[str]],
        lr_factors: Mapping[str, float],
        plateau: Plateau | None,
        recorder: StepRecorder | None,
    ) -> None:
        self._module = module
        self._whole = whole
        self._inputs_at = inputs_at
        self._mix_at = mix_at
        self._labels = labels.detach().cpu()
        self._highest_label = int(self._labels.max())
        self._settings = settings
        self._snapshot_names = snapshot_names
        self._trainable = {n: p for n, p in module.named_parameters() if p.requires_grad}
        params = tuple(self._trainable.values())
        factors = [lr_factors.get(name, 1.0) for name in self._trainable]
        self._optimizer = build_optimizer(params, settings.optimizer, lr=0.0, factors=factors)
        self._optimizer.zero_grad()
        decay = settings.ema_decay
        self._average = None if decay is None else WeightAverage(module, decay)
        self._device = params[0].device
        self._plateau = plateau
        self._recorder = recorder
        self._epoch = 0

    def restore(self, snapshot: Snapshot, optimizer_start: Literal["reset", "keep"] | None) -> None:
        trainable = [*self._trainable]
        if optimizer_start is None:
            restore_snapshot(snapshot, self._whole, self._optimizer, trainable=trainable)
            if self._plateau is not None:
                self._plateau.restore(snapshot.schedule)
        else:
            restore_weights(snapshot, self._whole)
        if optimizer_start == "keep":
            carry_optimizer(snapshot, self._optimizer, trainable=trainable)
        if optimizer_start != "reset" and snapshot.moved:
            if self._average is not None:
                self._average.begin()
            restore_moved(snapshot, self._whole)

    def run(
        self,
        paces: Sequence[Sequence[_Pace]],
        first_epoch: int,
        enter_train_mode: Callable[[nn.Module], None],
    ) -> Iterator[tuple[EpochResult, Callable[[], Snapshot]]]:
        for epoch, pace in enumerate(paces, start=first_epoch):
            enter_train_mode(self._module)
            self._epoch = epoch
            result = self._train_epoch(epoch, self._slowed(pace))
            with self._shown() as moved:
                yield result, self._snapshot_function(epoch, moved)
            if result.diverged:
                return

    def _slowed(self, paces: Sequence[_Pace]) -> Sequence[_Pace]:
        if self._plateau is None:
            return paces
        return [_Pace(pace.lr * self._plateau.share, pace.momentum) for pace in paces]

    def _shown(self) -> AbstractContextManager[Mapping[str, Tensor]]:
        """Let the module hold what is scored; give what the optimizer moves where that differs."""
        return nullcontext({}) if self._average is None else self._average.shown()

    def _train_epoch(self, epoch: int, paces: Sequence[_Pace]) -> EpochResult:
        started = time.perf_counter()
        order = torch.randperm(
            len(self._labels), generator=epoch_generator(self._settings.seed, epoch, "shuffle")
        )
        tally = _EpochTally()
        seed = self._settings.seed
        with (
            epoch_randomness(seed, epoch, device=self._device),
            portable_dropout(self._module, seed, epoch),
        ):
            inputs, mix = self._inputs_at(epoch), self._mix_at(epoch)
            for batches, pace in zip(self._steps(order), paces, strict=True):
                parts = [self._parts(inputs, *batch, mix) for batch in batches]
                images = sum(len(labels) for _, labels in batches)
                self._step(chain.from_iterable(parts), images, pace, tally)
        train_loss, train_accuracy, is_finite = tally.totals()
        if self._recorder is not None:
            self._recorder.end(epoch)
        return EpochResult(
            epoch=epoch,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            images=len(order),
            steps=len(paces),
            diverged=not (is_finite and self._has_finite_weights()),
            seconds=time.perf_counter() - started,
            learning_rate=paces[-1].lr,
        )

    def _steps(self, order: Tensor) -> Iterator[Sequence[_Batch]]:
        """Cut an epoch into the batches of each optimizer step."""
        batches = list(self._batches(order))
        for begin in range(0, len(batches), self._settings.accumulate):
            yield batches[begin : begin + self._settings.accumulate]

    def _batches(self, order: Tensor) -> Iterator[_Batch]:
        sizes = list(batch_sizes(len(order), self._settings.batch_size))
        indices = np.split(order.numpy(), np.cumsum(sizes)[:-1])
        labels = torch.split(self._labels[order].to(self._device), sizes)
        return zip(indices, labels, strict=True)

    def _parts(
        self, inputs: Inputs, indices: np.ndarray, labels: Tensor, mix: Mixer | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the forward passes of a batch: images and labels, mixed over all of it."""
        sizes = list(batch_sizes(len(indices), self._settings.micro_batch or len(indices)))
        if mix is not None:
            images, targets = mix(inputs.batch(indices), labels)
            yield from zip(torch.split(images, sizes), torch.split(targets, sizes), strict=True)
            return
        parts = np.split(indices, np.cumsum(sizes)[:-1])
        for part, part_labels in zip(parts, torch.split(labels, sizes), strict=True):
            yield inputs.batch(part), part_labels

    def _step(
        self,
        parts: Iterable[tuple[Tensor, Tensor]],
        images: int,
        pace: _Pace,
        tally: _EpochTally,
    ) -> None:
        """Take one optimizer step: the gradient of the mean loss over its images."""
        seen: list[tuple[Tensor, int]] = []
        for inputs, labels in parts:
            loss = self._loss(inputs, labels, tally)
            size = len(labels)
            seen.append((loss.detach(), size))
            (loss if size == images else loss * (size / images)).backward()  # type: ignore[no-untyped-call]
        if self._recorder is not None:
            self._recorder.note(seen, self._trainable.values(), lr=pace.lr)
        if self._settings.clip is not None:
            self._optimizer.clip(self._settings.clip)
        self._optimizer.lr = pace.lr
        self._optimizer.momentum = pace.momentum
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._average is not None:
            self._average.update()

    def _loss(self, images: Tensor, labels: Tensor, tally: _EpochTally) -> Tensor:
        logits = self._logits(aligned(images))
        loss = functional.cross_entropy(
            logits, labels, label_smoothing=self._settings.label_smoothing
        )
        tally.add(loss.detach(), logits.detach(), labels)
        return loss

    def _logits(self, images: Tensor) -> Tensor:
        try:
            with forward_precision(self._settings.precision, self._device):
                logits = self._module(images)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise TrainingError(
                f"BatchNorm learns from 2 or more images at once, found a batch of {len(images)}. "
                "Raise `batch_size` (and `micro_batch`), use more images, or set `batchnorm: "
                "frozen`."
            ) from error
        self._check_logits(logits, len(images))
        return logits.float()  # type: ignore[no-any-return]

    def _check_logits(self, logits: object, images: int) -> None:
        if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or len(logits) != images:
            found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits)
            raise TrainingError(
                f"A module in training must give logits [{images}, classes], found {found}. "
                "Build it without auxiliary outputs."
            )
        if logits.shape[1] <= self._highest_label:
            raise TrainingError(
                f"Labels must be below the number of classes, found label {self._highest_label} "
                f"and logits for {logits.shape[1]} classes. Build the model for all classes."
            )

    def _has_finite_weights(self) -> bool:
        checks = [param.detach().isfinite().all() for param in self._trainable.values()]
        return bool(torch.stack(checks).all())

    def _snapshot_function(self, epoch: int, moved: Mapping[str, Tensor]) -> Callable[[], Snapshot]:
        def snapshot() -> Snapshot:
            if self._epoch != epoch:
                raise TrainingError(
                    f"The snapshot of epoch {epoch} must be taken before the next epoch trains, "
                    f"found epoch {self._epoch}. Take it while iterating."
                )
            names, state = self._kept
            return take_snapshot(
                state,
                self._optimizer,
                epoch=epoch,
                trainable=[*self._trainable],
                names=names,
                moved=moved,
                schedule=None if self._plateau is None else self._plateau.state(),
            )

        return snapshot

    @cached_property
    def _kept(self) -> tuple[tuple[str, ...], dict[str, Tensor]]:
        """Names that a snapshot keeps, and where they are: training changes them in place."""
        names = tuple(self._snapshot_names(self._module))
        own = self._module.state_dict()
        return names, own if own.keys() >= set(names) else self._whole.state_dict()


class _EpochTally:
    """Sums of an epoch, left on the device until its end: no step waits for one."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._correct: list[Tensor] = []
        self._sizes: list[int] = []

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a forward pass: its mean loss, logits [B, C], labels [B] or their shares [B, C]."""
        wanted = labels if labels.dim() == 1 else labels.argmax(dim=1)
        self._losses.append(loss)
        self._correct.append((logits.argmax(dim=1) == wanted).sum())
        self._sizes.append(len(labels))

    def totals(self) -> tuple[float, float, bool]:
        """Return mean loss and accuracy over images, and whether every loss was finite."""
        losses = torch.stack(self._losses).cpu().double().numpy()
        correct = int(torch.stack(self._correct).sum())
        sizes = np.array(self._sizes)
        images = int(sizes.sum())
        return float(losses @ sizes) / images, correct / images, bool(np.isfinite(losses).all())


def _check_arguments(
    inputs: Inputs,
    labels: Tensor,
    settings: TrainSettings,
    learning_rates: Sequence[Sequence[float]],
    first_epoch: int,
    snapshot: Snapshot | None,
) -> None:
    images = len(inputs)
    if images == 0 or labels.shape != (images,) or labels.dtype != torch.int64:
        raise TrainingError(
            f"Training needs one int64 label per image and at least one image, found {images} "
            f"images and {labels.dtype} labels of shape {tuple(labels.shape)}. "
            "Give the labels of exactly these images."
        )
    if int(labels.min()) < 0:
        raise TrainingError(
            f"Labels are class indices from 0, found {int(labels.min())}. "
            "Number the classes from 0."
        )
    steps = steps_per_epoch(images, settings.batch_size, settings.accumulate)
    for epoch, rates in enumerate(learning_rates, start=first_epoch):
        if len(rates) != steps:
            raise TrainingError(
                f"Epoch {epoch} needs one learning rate for each of its {steps} steps ({images} "
                f"images in batches of {settings.batch_size}), found {len(rates)}. "
                "Make them with `plan.schedules.learning_rates`."
            )
    before = first_epoch - 1 if snapshot is None else snapshot.epoch
    if first_epoch < 1 or before != first_epoch - 1:
        raise TrainingError(
            f"Epochs follow each other from 1, found epoch {first_epoch} after epoch {before}. "
            "Give the snapshot of the epoch before."
        )
