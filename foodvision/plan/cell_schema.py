"""One cell of a plan: everything that one trained model depends on."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from foodvision.plan.augmentation import Augment  # noqa: TC001 - pydantic reads it
from foodvision.plan.clashes import find_clashes
from foodvision.plan.input_schema import ModelSettings, NamedData, Transform  # noqa: TC001 - same
from foodvision.plan.messages import show
from foodvision.plan.mixing import Mix  # noqa: TC001 - same
from foodvision.plan.stopping import StopSettings  # noqa: TC001 - same
from foodvision.plan.training_schema import (
    ClipSettings,
    ConstantSchedule,
    EmaSettings,
    LossSettings,
    Optimizer,
    Schedule,
)
from foodvision.plan.values import Count, broken_rule, broken_rules
from foodvision.plan.values import Settings as _Settings

MAX_SEED = 2**63 - 1
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+(,\d+)*)?")


def _check_device(device: str) -> str:
    if not _DEVICE.fullmatch(device):
        raise broken_rule(f"must be auto, cpu, mps, cuda or like cuda:0,2, got {device!r}")
    return device


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
        if clashes := tuple(find_clashes(self)):
            raise broken_rules(clashes)
        return self


def _epochs_of(phases: Any) -> int:
    """Return the epochs of all phases, as far as they have any; at least 1."""
    listed = phases if isinstance(phases, list | tuple) else ()
    counts = [phase.get("epochs") for phase in listed if isinstance(phase, dict)]
    return sum(count for count in counts if isinstance(count, int) and count > 0) or 1
