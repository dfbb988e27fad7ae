"""Settings of one cell that are right alone and do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.plan.augmentation import GaussianBlurSettings
from foodvision.plan.input_schema import ChannelStatistics, Normalize, TransformSettings
from foodvision.plan.training_schema import (
    CosineRestartsSchedule,
    MultiStepSchedule,
    OneCycleSchedule,
    PiecewiseSchedule,
    PlateauSchedule,
    SgdSettings,
    StepSchedule,
)

if TYPE_CHECKING:
    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.values import Clash


def find_clashes(cell: CellSettings) -> list[Clash]:
    """Return the paths that do not go together, and why, with all values."""
    return [
        *_data_clashes(cell),
        *_model_clashes(cell),
        *_augment_clashes(cell),
        *_step_clashes(cell),
        *_schedule_clashes(cell),
        *_watch_clashes(cell),
    ]


def _data_clashes(cell: CellSettings) -> list[Clash]:
    return [
        (
            ((part, "fraction"), (part, "count")),
            f"fraction ({choice.fraction}) and count ({choice.count}) cannot both be given: "
            "delete one (or set it to null)",
        )
        for part, choice in (("data", cell.data), ("test", cell.test))
        if choice.fraction is not None and choice.count is not None
    ]


def _model_clashes(cell: CellSettings) -> list[Clash]:
    found: list[Clash] = []
    model, transform = cell.model, cell.transform
    if model.weights == "none" and model.weights_sha256:
        paths = (("model", "weights_sha256"), ("model", "weights"))
        message = "weights_sha256 is given and weights is 'none': name the file in weights"
        found.append((paths, message))
    if not isinstance(transform, TransformSettings):
        if model.weights == "none":
            message = "transform is 'auto' (the weights' own) and model.weights is 'none': "
            both = (("transform",), ("model", "weights"))
            found.append((both, f"{message}write transform: {{size: 224}} or name weights"))
        return found
    return found + _transform_clashes(transform)


def _transform_clashes(transform: TransformSettings) -> list[Clash]:
    found: list[Clash] = []
    resize, resize_to, size = ("transform", "resize"), ("transform", "resize_to"), transform.size
    if transform.resize_to is not None and transform.resize == "squash":
        message = f"resize_to ({transform.resize_to}) and resize ('squash') do not go together: "
        found.append(((resize_to, resize), f"{message}write resize: crop or delete resize_to"))
    elif transform.resize_to is not None and transform.resize_to < size:
        message = f"resize_to ({transform.resize_to}) must be at least size ({size})"
        found.append(((resize_to, ("transform", "size")), f"{message}: make it larger"))
    channels, normalize = ("transform", "channels"), ("transform", "normalize")
    for name, count in _normalized_channels(transform.normalize):
        if count != transform.channels:
            message = f"{name} has {count} channels and channels is {transform.channels}"
            found.append(((normalize, channels), f"{message}: make them equal"))
    return found


def _augment_clashes(cell: CellSettings) -> list[Clash]:
    if cell.augment == "none" or not isinstance(cell.transform, TransformSettings):
        return []
    size = cell.transform.size
    return [
        (
            (("augment",), ("transform", "size")),
            f"gaussian_blur: kernel_size ({step.kernel_size}) must be smaller than twice the size "
            f"of the image ({size}): make it smaller",
        )
        for step in cell.augment
        if isinstance(step, GaussianBlurSettings) and step.kernel_size // 2 >= size
    ]


def _normalized_channels(normalize: Normalize) -> list[tuple[str, int]]:
    if isinstance(normalize, ChannelStatistics):
        return [("mean", len(normalize.mean)), ("std", len(normalize.std))]
    return [("normalize: imagenet", 3)] if normalize == "imagenet" else []


def _step_clashes(cell: CellSettings) -> list[Clash]:
    found: list[Clash] = []
    if cell.micro_batch is not None and cell.micro_batch > cell.batch_size:
        message = f"micro_batch ({cell.micro_batch}) must be at most batch_size ({cell.batch_size})"
        found.append(((("micro_batch",), ("batch_size",)), f"{message}: make it smaller"))
    if cell.mix != "none" and cell.batch_size == 1:
        message = f"mix ({cell.mix.kind}) needs 2 or more images in a batch, batch_size is 1: "
        found.append(((("batch_size",), ("mix",)), f"{message}make it larger or write mix: none"))
    clip, optimizer = cell.clip, cell.optimizer
    if clip is not None and clip.norm is not None and clip.value is not None:
        message = f"norm ({clip.norm:g}) and value ({clip.value:g}) cannot both be given: "
        paths = (("clip", "value"), ("clip", "norm"))
        found.append((paths, f"{message}delete one (or set it to null)"))
    elif clip is not None and clip.norm is None and clip.value is None:
        found.append(((("clip",),), "needs norm or value, got neither: write clip: {norm: 1}"))
    if isinstance(optimizer, SgdSettings) and optimizer.nesterov and optimizer.momentum == 0:
        paths = (("optimizer", "nesterov"), ("optimizer", "momentum"))
        message = "nesterov (true) needs momentum above 0, got momentum 0: write momentum: 0.9"
        found.append((paths, message))
    return found


def _schedule_clashes(cell: CellSettings) -> list[Clash]:
    return [*_length_clashes(cell), *_warmup_clashes(cell), *_rate_clashes(cell)]


def _length_clashes(cell: CellSettings) -> list[Clash]:
    """Refuse what would come after the last epoch."""
    schedule, epochs = cell.schedule, cell.epochs
    reach: dict[tuple[str, ...], int] = {}
    if isinstance(schedule, StepSchedule):
        reach = {("step_size",): schedule.step_size}
    elif isinstance(schedule, MultiStepSchedule):
        reach = {("milestones",): schedule.milestones[-1]}
    elif isinstance(schedule, CosineRestartsSchedule):
        reach = {("t_0",): schedule.t_0}
    elif isinstance(schedule, PiecewiseSchedule):
        reach = {("rates", epoch): int(epoch) for epoch in schedule.rates}
    if schedule.warmup is not None and schedule.warmup.epochs is not None:
        reach |= {("warmup", "epochs"): schedule.warmup.epochs}
    return [
        (
            (("schedule", *path), ("epochs",)),
            f"schedule.{path[0]} reaches epoch {last} and epochs is {epochs}: train longer, or "
            "make the schedule shorter",
        )
        for path, last in reach.items()
        if last > epochs
    ]


def _warmup_clashes(cell: CellSettings) -> list[Clash]:
    warmup = cell.schedule.warmup
    if warmup is None or (warmup.epochs is None) != (warmup.steps is None):
        return []
    epochs, steps = ("schedule", "warmup", "epochs"), ("schedule", "warmup", "steps")
    if warmup.epochs is None:
        return [((("schedule", "warmup"),), "needs epochs or steps, got neither: write epochs: 1")]
    message = f"epochs ({warmup.epochs}) and steps ({warmup.steps}) cannot both be given: "
    return [((steps, epochs), f"{message}delete one (or set it to null)")]


def _rate_clashes(cell: CellSettings) -> list[Clash]:
    schedule, optimizer = cell.schedule, cell.optimizer
    found: list[Clash] = []
    lowest = getattr(schedule, "min_lr", 0.0)
    if lowest > optimizer.lr:
        message = f"schedule.min_lr ({lowest:g}) must be at most optimizer.lr ({optimizer.lr:g})"
        found.append(((("schedule", "min_lr"), ("optimizer", "lr")), f"{message}: make it smaller"))
    if not isinstance(schedule, OneCycleSchedule) or not schedule.cycle_momentum:
        return found
    low, high = schedule.base_momentum, schedule.max_momentum
    if low > high:
        paths = (("schedule", "base_momentum"), ("schedule", "max_momentum"))
        message = f"base_momentum ({low:g}) must be at most max_momentum ({high:g}): swap them"
        found.append((paths, message))
    if getattr(optimizer, "momentum", None) == 0:
        paths = (("optimizer", "momentum"), ("schedule", "cycle_momentum"))
        message = (
            f"one_cycle moves the momentum between {low:g} and {high:g} and optimizer.momentum is "
            "0: write momentum: 0.9, or cycle_momentum: false in the schedule"
        )
        found.append((paths, message))
    return found


def _watch_clashes(cell: CellSettings) -> list[Clash]:
    """Refuse to watch a metric that is not measured."""
    watched: dict[str, str] = {}
    if cell.stop is not None:
        watched["stop"] = cell.stop.metric
    if isinstance(cell.schedule, PlateauSchedule):
        watched["schedule"] = cell.schedule.metric
    return [
        (
            ((section, "metric"), (section,), ("valid",)),
            f"metric ({metric}) is measured on images set aside, and valid is 0: write valid: 0.2, "
            f"or metric: {metric.replace('valid', 'train')}",
        )
        for section, metric in watched.items()
        if metric.startswith("valid.") and not cell.valid
    ]
