"""Phases: stretches of a training, one after the other, each with settings of its own.

A phase is what the cell says, with the phase's own settings merged over it (not over those of the
phase before).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from foodvision.errors import PlanError
from foodvision.plan.axes import Choice, Layer, NoPlaceError, as_value, put
from foodvision.plan.cell_schema import CellSettings
from foodvision.plan.paths import with_defaults
from foodvision.plan.problems import path_text
from foodvision.plan.sections import read_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.problems import PlanPath
    from foodvision.plan.sections import Report

OptimizerState = Literal["reset", "keep"]

# What a phase may set; all else holds for the whole training.
_CHANGEABLE = (
    "epochs",
    "transform",
    "augment",
    "mix",
    "model",
    "batch_size",
    "micro_batch",
    "optimizer",
    "schedule",
    "accumulate",
    "clip",
    "ema",
    "stop",
    "loss",
)
_FIXED_INSIDE = (
    "model.arch",
    "model.weights",
    "model.weights_sha256",
    "model.hidden",
    "transform.channels",
)
# May differ between phases through which the optimizer goes on with what it knows.
_FREE_RATES = {"lr", "weight_decay"}


@dataclass(frozen=True)
class PhaseStep:
    """One phase, resolved.

    Attributes:
        settings: the cell's, as they are in the phase; `epochs` are those of the phase.
        start: what the optimizer knows when the phase begins.
    """

    settings: CellSettings
    start: OptimizerState


def phase_steps(settings: CellSettings) -> tuple[PhaseStep, ...]:
    """Return the phases of a cell, in order; a cell without any is one phase.

    Raises:
        PlanError: the settings were not checked by `load_plan` and break its rules.
    """
    if not settings.phases:
        return (PhaseStep(settings, "reset"),)
    cell = settings.model_dump(mode="json")
    steps: list[PhaseStep] = []
    for index, phase in enumerate(settings.phases):
        merged, conflict = merge_phase(cell, read_phase(phase, ("phases", index), _refuse))
        try:
            found = CellSettings.model_validate(merged)
        except ValueError as error:
            raise PlanError(f"phases[{index}]: breaks a rule, use load_plan ({error})") from error
        if conflict or (
            problem := start_problem(phase, steps[-1].settings if steps else None, found)
        ):
            raise PlanError(f"phases[{index}]: {conflict or problem}")
        steps.append(PhaseStep(found, phase_start(phase)))
    return tuple(steps)


def settings_at_end(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell as it is in its last phase, with the epochs of all.

    Args:
        cell: settings of a sound cell, plain values.
    """
    phases = cell.get("phases")
    if not phases:
        return dict(cell)
    merged, _ = merge_phase(cell, read_phase(phases[-1], (), _refuse))
    return merged | {"epochs": sum(phase["epochs"] for phase in phases)}


def phase_start(phase: Mapping[str, Any]) -> OptimizerState:
    """Return what the optimizer knows when a phase begins."""
    return "keep" if phase.get("optimizer_state") == "keep" else "reset"


def _refuse(path: PlanPath, message: str, *, at_key: bool = False) -> None:  # noqa: ARG001
    raise PlanError(f"{path_text(path)}: {message}")


def read_phase(phase: Mapping[str, Any], where: PlanPath, report: Report) -> tuple[Layer, ...]:
    """Read what a phase sets, reporting what it cannot set.

    Args:
        phase: as the plan has it.
        where: in the plan.
        report: called with each problem; the setting concerned is left out.
    """
    layers = []
    for name, value in phase.items():
        here = (*where, name)
        if name == "optimizer_state":
            continue
        path = read_path(name, here, report)
        if path is None:
            continue
        if wrong := _fixed(name, value):
            message = f"a phase cannot change {wrong}, it holds for the whole training: delete it"
            report(here, message, at_key=True)
            continue
        layers.append(Layer(path, Choice(name, name, as_value(path, value), here)))
    return tuple(layers)


def _fixed(name: str, value: Any) -> str | None:
    """Return the setting of a phase that no phase may have."""
    if name.partition(".")[0] not in _CHANGEABLE:
        return name
    inner = [f"{name}.{key}" for key in value] if isinstance(value, dict) else []
    return next((one for one in (name, *inner) if one in _FIXED_INSIDE), None)


def merge_phase(
    cell: Mapping[str, Any], layers: Sequence[Layer]
) -> tuple[dict[str, Any], tuple[Layer, NoPlaceError] | None]:
    """Merge what a phase sets over its cell: mappings first, then the settings inside them.

    Args:
        cell: plain values; its own phases and epochs do not count.
        layers: what the phase sets.

    Returns:
        The settings of the phase, unchecked, and a layer whose path leads into a value that is not
        a mapping (it is left out), if any.
    """
    merged = {name: value for name, value in cell.items() if name not in ("phases", "epochs")}
    conflict = None
    for layer in sorted(layers, key=lambda layer: layer.rank):
        try:
            merged = put(merged, layer.path, layer.choice.value)
        except NoPlaceError as error:
            conflict = (layer, error)
    return with_defaults(merged), conflict


def start_problem(
    phase: Mapping[str, Any], before: CellSettings | None, settings: CellSettings
) -> str | None:
    """Return why a phase cannot begin with the optimizer state that it asks for, if it cannot."""
    if phase_start(phase) == "reset":
        return None
    if before is None:
        return "optimizer_state: keep needs a phase before it, this is the first: delete it"
    ours, theirs = (one.optimizer.model_dump(exclude=_FREE_RATES) for one in (settings, before))
    names = dict.fromkeys((*theirs, *ours))
    changed = [name for name in names if ours.get(name) != theirs.get(name)]
    if not changed:
        return None
    return (
        f"optimizer_state: keep needs the optimizer of the phase before (lr and weight_decay may "
        f"change), found {changed[0]} {theirs.get(changed[0])} and then {ours.get(changed[0])}: "
        "write optimizer_state: reset or keep the optimizer"
    )
