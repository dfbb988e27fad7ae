"""What a plan may say: every key, its type, its range and its default.

The models are frozen, know no other keys, and take no text where a number belongs. Axes (`grid`,
`zip`, `exclude`, `include`, `when`) are checked here in shape only: what they mean stands in
`foodvision.plan.axes`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable  # noqa: TC003 - pydantic reads them
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from foodvision.hashing import digest
from foodvision.plan.alerts import Alerts  # noqa: TC001 - pydantic reads it
from foodvision.plan.augmentation import Augment, GaussianBlurSettings
from foodvision.plan.combination import EnsembleSettings, NamedTta, Pattern
from foodvision.plan.messages import show, suggestion
from foodvision.plan.mixing import Mix  # noqa: TC001 - pydantic reads it
from foodvision.plan.problems import Place, PlanPath
from foodvision.plan.stopping import Metric, StopSettings  # noqa: TC001 - pydantic reads them
from foodvision.plan.values import (
    MAX_COUNT,
    MAX_ITEMS,
    Clash,
    Count,
    Factor,
    NotNegative,
    Pixels,
    Positive,
    Rate,
    Share,
    broken_rule,
    broken_rules,
    check_variables,
    text_or,
)
from foodvision.plan.values import Settings as _Settings
from foodvision.plan.views import ViewChoice

MAX_NAME_CHARACTERS = 100
MAX_NAME_BYTES = 240
MAX_SEED = 2**63 - 1
MAX_BYTES = 10**18
TTA_NAME = "TTA"
_BIDIRECTIONAL = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+(,\d+)*)?")
_ENTRY = re.compile(r"[A-Z][A-Z0-9_]*")
_SOURCE_KINDS = ("https", "http", "file", "torchvision", "sklearn")


def name_problem(name: str) -> str | None:
    """Return why `name` cannot be the name of a folder, or `None`.

    Any language may be used; see `MAX_NAME_CHARACTERS` and `MAX_NAME_BYTES`.
    """
    rule = "must be safe as a folder's name"
    if not name.strip():
        return f"{rule}, got an empty text: give it a name"
    if name.strip(".") == "" or "/" in name or "\\" in name:
        return f"{rule} (no '/', no '\\', not only dots), got {name!r}: use other characters"
    if name != name.strip():
        return f"{rule}, got {name!r}: delete the spaces around it"
    if any(
        unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in _BIDIRECTIONAL for c in name
    ):
        return f"{rule}, got control characters in {name!r}: delete them"
    if len(name) > MAX_NAME_CHARACTERS or len(name.encode()) > MAX_NAME_BYTES:
        limit = f"at most {MAX_NAME_CHARACTERS} characters and {MAX_NAME_BYTES} bytes"
        return f"must have {limit}, got {len(name)} and {len(name.encode())}: shorten it"
    return None


def _check_name(name: str) -> str:
    if problem := name_problem(name):
        raise broken_rule(problem)
    return name


def _check_source(source: str) -> str:
    kind = re.match(r"([A-Za-z]{2,}):", source)
    if kind and kind[1] not in _SOURCE_KINDS:
        known = ", ".join(f"{name}:" for name in _SOURCE_KINDS)
        rule = f"must be a path or begin with one of {known}, got {source!r}"
        raise broken_rule(rule + suggestion(kind[1], _SOURCE_KINDS))
    return check_variables(source)


def _check_weights(weights: str) -> str:
    is_file = any(sign in weights for sign in "/\\.$")
    if not (is_file or weights == "none" or _ENTRY.fullmatch(weights)):
        near = next((w for w in ("none", "DEFAULT") if w.lower() == weights.lower()), None)
        hint = f"; did you mean {near!r}?" if near else "; a file in this folder is './NAME'"
        raise broken_rule(
            "must be none, DEFAULT, a torchvision entry like IMAGENET1K_V1 or a file's path, "
            f"got {weights!r}{hint}"
        )
    return check_variables(weights)


def _check_freeze(freeze: Any) -> Any:
    if isinstance(freeze, bool) or not isinstance(freeze, str | int) or freeze == "":
        rule = "must be none, backbone, early, most, a block's name or a count of blocks"
        raise broken_rule(f"{rule}, got {freeze!r}" + (": write none" if freeze is None else ""))
    if isinstance(freeze, int) and not 0 <= freeze <= MAX_COUNT:
        bound = "least 0" if freeze < 0 else f"most {MAX_COUNT}"
        raise broken_rule(f"must be at {bound} blocks, got {freeze}")
    return freeze


def _check_device(device: str) -> str:
    if not _DEVICE.fullmatch(device):
        raise broken_rule(f"must be auto, cpu, mps, cuda or like cuda:0,2, got {device!r}")
    return device


def _check_seeds(seeds: Any) -> Any:
    is_whole = isinstance(seeds, int) and not isinstance(seeds, bool)
    if is_whole and seeds > MAX_ITEMS:
        raise broken_rule(f"must be a count of at most {MAX_ITEMS}, got {seeds}")
    if is_whole and seeds >= 1:
        return seeds
    if not isinstance(seeds, list) or not seeds:
        rule = "must be a count of at least 1 or a list of seeds that is not empty"
        raise broken_rule(f"{rule}, got {seeds!r}")
    wrong = [s for s in seeds if isinstance(s, bool) or not isinstance(s, int)]
    wrong = wrong or [s for s in seeds if not 0 <= s <= MAX_SEED]
    if wrong:
        raise broken_rule(f"must be whole numbers in [0, 2**63), got {wrong[0]!r}")
    if twice := [s for s in seeds if seeds.count(s) > 1]:
        raise broken_rule(f"must be different, got {twice[0]} twice: keep one")
    return seeds


def _check_epoch(epoch: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,6}", epoch) or not 2 <= int(epoch) <= MAX_COUNT:
        rule = f"must be an epoch from 2 to {MAX_COUNT}, got {epoch!r}"
        hint = ": the rate of epoch 1 is optimizer.lr" if epoch == "1" else ""
        raise broken_rule(rule + hint)
    return epoch


def _check_rising(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise broken_rule(f"must rise from one to the next, got {list(numbers)}: sort them")
    return numbers


def _check_phases(phases: Any) -> Any:
    if phases is None:
        return ()
    if not isinstance(phases, list | tuple):
        raise broken_rule(f"must be a list of mappings, each with epochs, got {show(phases)}")
    return phases


def _check_phase(phase: Any) -> Any:
    if not isinstance(phase, dict):
        raise broken_rule(f"must be a mapping with epochs, got {show(phase)}")
    if "epochs" not in phase:
        raise broken_rule("must have epochs of its own, has none: write epochs: 5 into it")
    start = phase.get("optimizer_state", "reset")
    if start not in ("reset", "keep"):
        raise broken_rule(f"optimizer_state must be reset or keep, got {show(start)}")
    return phase


Name = Annotated[str, AfterValidator(_check_name)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DataChoice(_Settings):
    """A data set, or a stratified part of it.

    Attributes:
        name: a key of the plan's `data`.
        fraction: share of the images, in (0, 1]; `None`: all.
        count: images in all; `None`: all.
    """

    name: Annotated[str, Field(min_length=1)]
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    count: Positive | None = None


def _named(choice: Any) -> Any:
    return {"name": choice} if isinstance(choice, str) else choice


NamedData = Annotated[DataChoice, BeforeValidator(_named, json_schema_input_type=str | DataChoice)]


Freeze = Annotated[str | int, BeforeValidator(_check_freeze, json_schema_input_type=str | int)]


LrScale = Annotated[
    Annotated[Factor, Tag("number")]
    | Annotated[dict[str, Rate], Field(min_length=1), Tag("blocks")],
    Discriminator(lambda value: "blocks" if isinstance(value, dict) else "number"),
]


class ModelSettings(_Settings):
    """An architecture and what it starts from.

    Attributes:
        arch: a torchvision classification architecture, or one of our own (`tiny_vgg`, `lenet5`).
        weights: `none`, `DEFAULT`, a torchvision entry, or a file (may contain `${VARIABLE}`,
            which stays as it is here).
        weights_sha256: what the weights' file must have, 64 hex digits.
        freeze: `none`, `backbone`, `early`, `most`, a block's name or a count of leading blocks.
        batchnorm: `auto` freezes the statistics of frozen blocks, `frozen` all, `train` none.
        lr_scale: what the learning rate of a block is multiplied by. A number: from the head (1)
            forward, each block that part of the one behind it. A mapping: by block.
        dropout: probability in the new head, in [0, 1); `None`: the architecture's own.
        hidden: width of one of our own networks; `None`: its own.
    """

    arch: Annotated[str, Field(min_length=1)]
    weights: Annotated[str, AfterValidator(_check_weights)] = "none"
    weights_sha256: Sha256 | None = None
    freeze: Freeze = "none"
    batchnorm: Literal["auto", "frozen", "train"] = "auto"
    lr_scale: LrScale | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    hidden: Count | None = None


class ChannelStatistics(_Settings):
    """Mean and standard deviation per channel, of pixels in [0, 1]."""

    mean: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False, min_length=1)]


Normalize = Annotated[
    Annotated[Literal["imagenet", "none"], Tag("text")]
    | Annotated[ChannelStatistics, Tag("statistics")],
    text_or("statistics"),
]


class TransformSettings(_Settings):
    """How an image becomes the model's input.

    Attributes:
        size: pixels of the square input.
        resize: `squash` straight to size x size; `crop` resizes the shorter side, then crops.
        resize_to: with `crop`: pixels of the shorter side; `None`: `size`.
        interpolation: of the resize.
        channels: 1 (grey) or 3 (RGB).
        normalize: what is taken off and divided by, per channel.
    """

    size: Pixels
    resize: Literal["squash", "crop"] = "squash"
    resize_to: Pixels | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    channels: Literal[1, 3] = 3
    normalize: Normalize = "none"


Transform = Annotated[
    Annotated[Literal["auto"], Tag("text")] | Annotated[TransformSettings, Tag("settings")],
    text_or("settings"),
]
Betas = Annotated[
    tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
    Field(strict=False),
]


class AdamSettings(_Settings):
    """Adam (Kingma and Ba, 2015), with torch's defaults."""

    kind: Literal["adam"]
    lr: Rate
    betas: Betas = (0.9, 0.999)
    eps: Rate = 1e-8
    weight_decay: NotNegative = 0.0


class AdamWSettings(_Settings):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), with torch's defaults."""

    kind: Literal["adamw"]
    lr: Rate
    betas: Betas = (0.9, 0.999)
    eps: Rate = 1e-8
    weight_decay: NotNegative = 0.01


class SgdSettings(_Settings):
    """Stochastic gradient descent, with torch's defaults."""

    kind: Literal["sgd"]
    lr: Rate
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: NotNegative = 0.0


class RmspropSettings(_Settings):
    """RMSprop (Tieleman and Hinton, 2012), with torch's defaults.

    Attributes:
        alpha: decay of the running mean of squares, in [0, 1).
        centered: whether the running mean is taken off the squares.
    """

    kind: Literal["rmsprop"]
    lr: Rate
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    eps: Rate = 1e-8
    weight_decay: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    centered: bool = False


Optimizer = Annotated[
    AdamSettings | AdamWSettings | SgdSettings | RmspropSettings, Field(discriminator="kind")
]


class ClipSettings(_Settings):
    """Gradients are cut before a step: their common length, or each number.

    Attributes:
        norm: longest gradient of all parameters together; a longer one is scaled down.
        value: largest absolute value of a number of a gradient, in place of `norm`.
    """

    norm: Rate | None = None
    value: Rate | None = None


class EmaSettings(_Settings):
    """A moving average of the weights; it is what is scored and saved.

    Attributes:
        decay: share of the average that a step leaves, in (0, 1).
    """

    decay: Annotated[float, Field(gt=0, lt=1)]


Interval = Literal["epoch", "step"]


class WarmupSettings(_Settings):
    """The rate rises in a straight line, step by step, to what the schedule says.

    Attributes:
        epochs: that it takes.
        steps: optimizer steps that it takes, in place of `epochs`.
        start_factor: share of the schedule's rate that the first step takes, in (0, 1].
    """

    epochs: Count | None = None
    steps: Count | None = None
    start_factor: Factor = 0.1


class ConstantSchedule(_Settings):
    """The learning rate stays as it is.

    Attributes:
        warmup: how the first steps get there.
    """

    kind: Literal["constant"] = "constant"
    warmup: WarmupSettings | None = None


class PiecewiseSchedule(_Settings):
    """Any rate from any epoch on; until then the optimizer's.

    Attributes:
        rates: the rate by the epoch that it begins with, from 2.
        warmup: how the first steps get there.
    """

    kind: Literal["piecewise"]
    rates: Annotated[dict[Annotated[str, AfterValidator(_check_epoch)], Rate], Field(min_length=1)]
    warmup: WarmupSettings | None = None


class StepSchedule(_Settings):
    """The rate is multiplied after every so many epochs (torch's StepLR).

    Attributes:
        step_size: epochs between two changes.
        gamma: what it is multiplied by.
        warmup: how the first steps get there.
    """

    kind: Literal["step"]
    step_size: Count
    gamma: Rate = 0.1
    warmup: WarmupSettings | None = None


class MultiStepSchedule(_Settings):
    """The rate is multiplied after given epochs (torch's MultiStepLR).

    Attributes:
        milestones: epochs after which it changes, rising.
        gamma: what it is multiplied by.
        warmup: how the first steps get there.
    """

    kind: Literal["multi_step"]
    milestones: Annotated[
        tuple[Count, ...], Field(strict=False, min_length=1), AfterValidator(_check_rising)
    ]
    gamma: Rate = 0.1
    warmup: WarmupSettings | None = None


class ExponentialSchedule(_Settings):
    """The rate is multiplied after every epoch (torch's ExponentialLR).

    Attributes:
        gamma: what it is multiplied by.
        warmup: how the first steps get there.
    """

    kind: Literal["exponential"]
    gamma: Rate
    warmup: WarmupSettings | None = None


class CosineSchedule(_Settings):
    """Half a cosine over the whole training (Loshchilov and Hutter, 2017; CosineAnnealingLR).

    Attributes:
        min_lr: what the rate comes down to.
        interval: whether it moves after every epoch or after every step.
        warmup: how the first steps get there.
    """

    kind: Literal["cosine"]
    min_lr: NotNegative = 0.0
    interval: Interval = "epoch"
    warmup: WarmupSettings | None = None


class CosineRestartsSchedule(_Settings):
    """Half cosines, one after the other (SGDR; torch's CosineAnnealingWarmRestarts).

    Attributes:
        t_0: epochs of the first one.
        t_mult: how many times as long as the one before each following one is.
        min_lr: what the rate comes down to.
        interval: whether it moves after every epoch or after every step.
        warmup: how the first steps get there.
    """

    kind: Literal["cosine_restarts"]
    t_0: Count
    t_mult: Count = 1
    min_lr: NotNegative = 0.0
    interval: Interval = "epoch"
    warmup: WarmupSettings | None = None


class OneCycleSchedule(_Settings):
    """Up to the optimizer's rate and down to almost nothing, step by step (Smith and Topin, 2018).

    The defaults are those of torch's OneCycleLR, whose `max_lr` is the optimizer's `lr`.

    Attributes:
        pct_start: share of the steps that it rises for, in (0, 1).
        anneal: the shape of both halves.
        div_factor: the first rate is the highest one divided by it.
        final_div_factor: the last rate is the first one divided by it.
        cycle_momentum: whether the momentum (Adam's first beta) goes down and up meanwhile.
        base_momentum: the momentum where the rate is highest.
        max_momentum: the momentum at both ends.
        warmup: how the first steps get there.
    """

    kind: Literal["one_cycle"]
    pct_start: Share = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    div_factor: Annotated[float, Field(ge=1)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1)] = 10_000.0
    cycle_momentum: bool = True
    base_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.85
    max_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    warmup: WarmupSettings | None = None


class PlateauSchedule(_Settings):
    """The rate falls when a metric no longer improves (torch's ReduceLROnPlateau).

    Attributes:
        metric: what is watched; accuracy is better when larger, loss when smaller.
        factor: what the rate is multiplied by, in (0, 1).
        patience: the rate falls when more than so many epochs, one after the other, have passed
            without an improvement.
        min_delta: what is better by no more than this is no improvement.
        cooldown: epochs after a change in which nothing counts.
        min_lr: what the rate comes down to.
        warmup: how the first steps get there.
    """

    kind: Literal["plateau"]
    metric: Metric = "valid.loss"
    factor: Share = 0.1
    patience: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 10
    min_delta: NotNegative = 0.0
    cooldown: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    min_lr: NotNegative = 0.0
    warmup: WarmupSettings | None = None


Schedule = Annotated[
    ConstantSchedule
    | PiecewiseSchedule
    | StepSchedule
    | MultiStepSchedule
    | ExponentialSchedule
    | CosineSchedule
    | CosineRestartsSchedule
    | OneCycleSchedule
    | PlateauSchedule,
    Field(discriminator="kind"),
]


class LossSettings(_Settings):
    """Cross-entropy; `label_smoothing` in [0, 1)."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


PhaseSettings = Annotated[dict[str, Any], BeforeValidator(_check_phase)]
Phases = Annotated[
    tuple[PhaseSettings, ...],
    Field(strict=False),
    BeforeValidator(_check_phases, json_schema_input_type=list[dict[str, Any]] | None),
]


class CellSettings(_Settings):
    """One point of the grid, fully resolved: everything that one trained model depends on.

    Attributes:
        data: whose train split trains.
        test: whose test split scores.
        valid: share of the training images set aside first, in [0, 1).
        augment: `none`, or random changes of training images, one after the other; drawn anew for
            every image in every epoch. `standard` and `strong` stand for lists of them.
        mix: `none`, or how the images of a training batch are mixed with each other.
        epochs: passes over the training images; with `phases`, those of all phases together.
        phases: settings that hold for some epochs each, one phase after the other; each has
            `epochs`, settings of the cell by dotted path, and `optimizer_state` (`reset` or
            `keep`).
        accumulate: batches per optimizer step.
        clip: how gradients are cut before a step.
        ema: the average of the weights that is scored and saved in their place.
        stop: when training ends before its last epoch; in every phase anew.
        seed: of the new head, the order of images, dropout, augmentation, mixing; in [0, 2**63).
        precision: of forward passes in training and scoring; weights are float32 in any case.
        threads: of one training process; 1 and 2 give different last bits.
        micro_batch: images per step of accumulation; `None`: the whole batch.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:0,2`.
    """

    data: NamedData
    test: NamedData
    valid: Annotated[float, Field(ge=0, lt=1)] = 0.0
    model: ModelSettings
    transform: Transform
    augment: Augment = "none"
    mix: Mix = "none"
    batch_size: Count
    epochs: Count
    phases: Phases = ()
    optimizer: Optimizer
    schedule: Schedule = ConstantSchedule()
    accumulate: Count = 1
    clip: ClipSettings | None = None
    ema: EmaSettings | None = None
    stop: StopSettings | None = None
    loss: LossSettings = LossSettings()
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 42
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    micro_batch: Count | None = None
    device: Annotated[str, AfterValidator(_check_device)] = "auto"

    @property
    def is_random(self) -> bool:
        """Whether training sees other images in every epoch, so that nothing behind can be kept."""
        return self.augment != "none" or self.mix != "none"

    @model_validator(mode="wrap")
    @classmethod
    def _add_up_phases(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        phases = value.get("phases") if isinstance(value, dict) else None
        if phases in (None, [], ()):
            return handler(value)
        given = value.get("epochs")
        cell = handler({**value, "epochs": _epochs_of(phases)})
        if given is not None:
            message = (
                f"epochs ({show(given)}) and phases ({len(phases)}) cannot both be given: delete "
                f"epochs; a training without changes is phases: [{{epochs: {show(given)}}}]"
            )
            raise broken_rules([((("epochs",), ("phases",)), message)])
        return cell

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        dumped.pop("epochs" if self.phases else "phases", None)
        return dumped

    @model_validator(mode="after")
    def _check_across_fields(self) -> Self:
        if clashes := tuple(_clashes(self)):
            raise broken_rules(clashes)
        return self


def _epochs_of(phases: Any) -> int:
    """Return the epochs of all phases, as far as they have any; at least 1."""
    listed = phases if isinstance(phases, list | tuple) else ()
    counts = [phase.get("epochs") for phase in listed if isinstance(phase, dict)]
    return sum(count for count in counts if isinstance(count, int) and count > 0) or 1


def _clashes(cell: CellSettings) -> list[Clash]:
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


class DataSource(_Settings):
    """Where the images of one data set come from.

    Attributes:
        source: an address, an archive, a folder, `torchvision:NAME` or `sklearn:digits`; may
            contain `${VARIABLE}`, which stays as it is here.
        split: share of the images that becomes the test split of a folder without splits.
        sha256: what a downloaded archive must have, 64 hex digits.
        on_bad_image: what an image that cannot be read does.
    """

    source: Annotated[str, Field(min_length=1), AfterValidator(_check_source)]
    split: Share | None = None
    sha256: Sha256 | None = None
    on_bad_image: Literal["fail", "skip"] = "fail"


class RankBy(StrEnum):
    """What cells can be ranked by, and which end is better."""

    TEST_ACCURACY = "test.accuracy"
    TEST_LOSS = "test.loss"
    VALID_ACCURACY = "valid.accuracy"
    VALID_LOSS = "valid.loss"
    TRAIN_ACCURACY = "train.accuracy"
    TRAIN_LOSS = "train.loss"
    SECONDS = "seconds"
    PARAMS = "params"

    @property
    def direction(self) -> Literal["max", "min"]:
        """Return `max` where more is better, else `min`."""
        return "max" if self.value.endswith("accuracy") else "min"

    @property
    def part(self) -> str | None:
        """Return the part of the data that it is measured on, if any."""
        return self.value.partition(".")[0] if "." in self.value else None


RankKey = Annotated[RankBy, Field(strict=False)]


class Rank(_Settings):
    """The order of the table: by `by`, then by `then`, then in the plan's order."""

    by: RankKey = RankBy.TEST_ACCURACY
    then: RankKey | None = RankBy.TEST_LOSS

    @property
    def keys(self) -> tuple[RankBy, ...]:
        """Return both keys, the first first."""
        return (self.by,) if self.then is None else (self.by, self.then)


class Limits(_Settings):
    """What a plan may cost at most.

    Attributes:
        cells: more are refused.
        features_bytes: of cached features on disk; `None`: no limit.
    """

    cells: Positive = 10_000
    features_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)] | None = None


class EvaluateSettings(_Settings):
    """What is found out about trained models beside their scores.

    Attributes:
        latency: whether models are timed, and their memory measured, after everything else; models
            of one shape once.
    """

    latency: bool = False


class RecordSettings(_Settings):
    """What is noted of a training while it runs, beside its epochs; it acts on no result.

    Attributes:
        steps: loss and learning rates of every optimiser step.
        gradient_norm: these, and the L2 norm of all gradients before they are cut.
        tensorboard: whether files for TensorBoard are written.
    """

    steps: bool = False
    gradient_norm: bool = False
    tensorboard: bool = True

    @property
    def notes_steps(self) -> bool:
        """Whether steps are noted."""
        return self.steps or self.gradient_norm


class RandomSearch(_Settings):
    """So many different cells, drawn at random from the axes; fewer are the first of more.

    Attributes:
        n: how many, before `include` and `seeds`.
        seed: of the draws; in [0, 2**63).
    """

    kind: Literal["random"]
    n: Count
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 42


Search = Annotated[
    Annotated[Literal["grid"], Tag("text")] | Annotated[RandomSearch, Tag("random")],
    text_or("random"),
]
Seeds = Annotated[
    int | list[int], BeforeValidator(_check_seeds, json_schema_input_type=int | list[int])
]


def _named_tta(section: Any) -> Any:
    return {TTA_NAME: section} if isinstance(section, list) else section


Tta = Annotated[
    dict[Name, NamedTta],
    BeforeValidator(_named_tta, json_schema_input_type=list[ViewChoice] | dict[Name, NamedTta]),
]


class Plan(_Settings):
    """A whole plan, as the file says it after overrides.

    Attributes:
        name: names folders, runs and tables.
        data: the data sets by name.
        base: one complete cell.
        grid: choices, or ranges to draw from, by dotted path into the cell.
        zip: groups of axes that move together.
        exclude: partial matches of cells that are left out.
        include: cells that are added, each over the base.
        when: conditions under which an axis counts.
        seeds: a count (from `base.seed` on) or a list.
        rank: the order of the table.
        tta: views by name; every cell gets a row of its own for each (a list: one, named `TTA`).
        ensembles: cells that answer together, by name; each is a row of its own.
        evaluate: what else is found out about the trained models.
        record: what is noted while it trains, beside epochs.
        save: which models are kept as files.
        limits: what it may cost at most.
        search: `grid` for every combination, or some that are drawn at random.
        alerts: what is to be told of cells, and to whom.
    """

    name: Name
    description: str = ""
    data: Annotated[dict[Name, DataSource], Field(min_length=1)]
    base: CellSettings
    grid: dict[str, Any] = Field(default_factory=dict)
    zip: list[dict[str, Any]] = Field(default_factory=list)
    exclude: list[Pattern] = Field(default_factory=list)
    include: list[Pattern] = Field(default_factory=list)
    when: dict[str, Pattern] = Field(default_factory=dict)
    seeds: Seeds | None = None
    rank: Rank = Rank()
    tta: Tta = Field(default_factory=dict)
    ensembles: dict[Name, EnsembleSettings] = Field(default_factory=dict)
    evaluate: EvaluateSettings = EvaluateSettings()
    record: RecordSettings = RecordSettings()
    save: Literal["all", "best", "none"] = "all"
    limits: Limits = Limits()
    search: Search = "grid"
    alerts: Alerts = Field(default_factory=list)

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _source_path: Path | None = PrivateAttr(default=None)
    _places: Callable[[PlanPath], Place] | None = PrivateAttr(default=None)
    _order: tuple[str, ...] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.plan_id == other.plan_id

    def __hash__(self) -> int:
        return hash(self.plan_id)

    @property
    def folder(self) -> Path:
        """Return what relative paths in the plan start from; not part of its identity."""
        return self._folder

    @property
    def source_path(self) -> Path | None:
        """Return the file that the plan was read from, if any; not part of its identity."""
        return self._source_path

    @property
    def plan_id(self) -> str:
        """Return the sha256 (64 hex digits) of the plan's canonical JSON."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values: defaults included, keys without value left out."""
        whole = self.model_dump(mode="json")
        for part in ("data", "base"):
            whole[part] = self.model_dump(mode="json", include={part}, exclude_none=True)[part]
        # Sections that came when plans were kept already leave old plans' identity alone.
        defaults = {
            name: field.get_default(call_default_factory=True)
            for name, field in type(self).model_fields.items()
            if name in ("tta", "ensembles", "evaluate", "record", "alerts")
        }
        return {
            name: value
            for name, value in whole.items()
            if value is not None and (name not in defaults or getattr(self, name) != defaults[name])
        }

    def sections(self) -> dict[str, Any]:
        """Return the fields in the order in which the file has them."""
        names = dict.fromkeys((*self._order, *type(self).model_fields))
        return {name: getattr(self, name) for name in names if name in type(self).model_fields}

    def place(self, path: PlanPath) -> Place:
        """Return where in its text the plan says `path`, as far as that is known."""
        return self._places(path) if self._places else Place("")

    def placed(
        self,
        *,
        folder: Path,
        source_path: Path | None,
        places: Callable[[PlanPath], Place],
        order: Iterable[str],
    ) -> Plan:
        """Return the same plan that knows where it came from.

        Args:
            folder: what relative paths start from.
            source_path: the file, if any.
            places: tells where in the text a path of the plan stands.
            order: of the keys at the top.
        """
        copy = self.model_copy()
        copy._folder, copy._source_path, copy._places = folder, source_path, places
        copy._order = tuple(order)
        return copy
