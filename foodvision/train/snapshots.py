"""Snapshots: all that the next epoch needs, as named tensors in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, TensorSpec, safe_open, serialize_file

from foodvision.errors import StoreError, TrainingError
from foodvision.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from foodvision.train.optimizers import Optimizer

_FORMAT = "foodvision-snapshot-2"
_METADATA = "foodvision"
_MODEL = "model."
_OPTIMIZER = "optimizer."
_MOVED = "moved."
_SCHEDULE = "schedule."


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What training has reached after an epoch; all tensors are copies on the CPU.

    Attributes:
        epoch: the last epoch that was trained, from 1.
        model: entries of the module's state dict that training may have changed.
        optimizer: `<parameter name>.<state name>` (`0.weight.exp_avg`, `0.weight.step`).
        moved: the entries as the optimizer moves them, where `model` holds their average; empty
            without one.
        schedule: what the schedule of the learning rate has seen, where it watches a metric.
    """

    epoch: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    moved: dict[str, Tensor] = field(default_factory=dict)
    schedule: dict[str, Tensor] = field(default_factory=dict)


def changing_names(module: nn.Module) -> tuple[str, ...]:
    """Name the entries of a state dict that training may change: trainable parameters, buffers.

    Parameters that take no gradient are left out: whoever restores a snapshot builds them again
    from the weights that training began with.
    """
    frozen = {
        name
        for name, param in module.named_parameters(remove_duplicate=False)
        if not param.requires_grad
    }
    return tuple(name for name in module.state_dict() if name not in frozen)


def take_snapshot(
    state: Mapping[str, Tensor],
    optimizer: Optimizer,
    *,
    epoch: int,
    trainable: Sequence[str],
    names: Iterable[str],
    moved: Mapping[str, Tensor] | None = None,
    schedule: Mapping[str, Tensor] | None = None,
) -> Snapshot:
    """Copy what training has reached.

    Args:
        state: of the module in training; its entries share the module's memory.
        optimizer: of the parameters `trainable`, in this order.
        epoch: that has just ended, from 1.
        trainable: names of the optimizer's parameters.
        names: entries of `state` to keep.
        moved: as in `Snapshot`.
        schedule: as in `Snapshot`.

    Raises:
        TrainingError: a name is no entry of `state`.
    """
    wanted = list(names)
    _check_known(wanted, state)
    return Snapshot(
        epoch=epoch,
        model={name: _copy(state[name]) for name in wanted},
        optimizer={
            f"{name}.{kind}": _copy(value)
            for name, states in zip(trainable, optimizer.states(), strict=True)
            for kind, value in states.items()
        },
        moved={name: _copy(value) for name, value in (moved or {}).items() if name in state},
        schedule=dict(schedule or {}),
    )


def restore_snapshot(
    snapshot: Snapshot,
    module: nn.Module,
    optimizer: Optimizer,
    *,
    trainable: Sequence[str],
) -> None:
    """Bring a module and a fresh optimizer to where a snapshot was taken, to the bit.

    Memory layouts (channels-last) stay as they are in `module`; values move to its device.

    Args:
        snapshot: of a module with the same names.
        module: with the weights that training began with.
        optimizer: of the parameters `trainable`, in this order.
        trainable: names of the optimizer's parameters.

    Raises:
        TrainingError: the snapshot belongs to another model or optimizer.
    """
    _check_complete(snapshot, trainable)
    restore_weights(snapshot, module)
    _restore_optimizer(snapshot.optimizer, optimizer, trainable)


def carry_optimizer(snapshot: Snapshot, optimizer: Optimizer, *, trainable: Sequence[str]) -> None:
    """Give a fresh optimizer what a snapshot's knew of the parameters that both train.

    Args:
        snapshot: of training with other settings, whose optimizer is of the same kind.
        optimizer: of the parameters `trainable`, in this order.
        trainable: names of the optimizer's parameters.

    Raises:
        TrainingError: the snapshot's optimizer keeps other states.
    """
    wanted = set(trainable)
    known = {
        key: value for key, value in snapshot.optimizer.items() if key.rpartition(".")[0] in wanted
    }
    _restore_optimizer(known, optimizer, trainable)


def restore_weights(snapshot: Snapshot, module: nn.Module) -> None:
    """Copy a snapshot's weights and buffers into a module, whatever device it is on.

    Values are copied one by one: `load_state_dict` would run each module's upgrade of old files,
    which reads versions that a snapshot does not have (MNASNet's refuses).

    Raises:
        TrainingError: the snapshot belongs to another model.
    """
    _restore(snapshot.model, module)


def restore_moved(snapshot: Snapshot, module: nn.Module) -> None:
    """Copy what the optimizer moved, where that is not what the snapshot's model holds.

    Raises:
        TrainingError: the snapshot belongs to another model.
    """
    _restore(snapshot.moved, module)


def _restore(values: Mapping[str, Tensor], module: nn.Module) -> None:
    state = module.state_dict()
    _check_known(values, state)
    with torch.no_grad():
        for name, value in values.items():
            if value.shape != state[name].shape:
                raise _foreign(
                    f"{name} has the shape {tuple(state[name].shape)}, the snapshot's has "
                    f"{tuple(value.shape)}"
                )
            state[name].copy_(value)


def save_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot as safetensors, beside its place first, then renamed."""
    save_snapshots(path, {snapshot.epoch: snapshot})


def save_snapshots(path: Path, snapshots: Mapping[int, Snapshot]) -> None:
    """Write the snapshots of several epochs into one file; see `save_snapshot`.

    Tensors are handed over as they lie in memory: `safetensors.torch.save_file` looks for shared
    and sparse ones first, which takes as long as training a small head for an epoch.
    """
    tensors = {
        f"{epoch}.{name}": tensor
        for epoch, snapshot in snapshots.items()
        for name, tensor in _named_tensors(snapshot).items()
    }
    # One entry only: safetensors keeps metadata in a hash map, and equal snapshots shall be equal
    # files.
    about = json.dumps({"format": _FORMAT, "epochs": sorted(snapshots)}, sort_keys=True)
    with replacing(path) as neighbour:
        specs = {name: _spec(tensor) for name, tensor in tensors.items()}
        serialize_file(specs, neighbour, metadata={_METADATA: about})


def load_snapshot(path: Path, epoch: int | None = None) -> Snapshot:
    """Read a snapshot.

    Args:
        path: of the file.
        epoch: one of those in the file; `None`: the last one.

    Raises:
        StoreError: the file is missing, damaged, holds no snapshots or none of that epoch.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
            _check_format(path, about)
            wanted = about["epochs"][-1] if epoch is None else epoch
            names = [name for name in file.keys() if name.startswith(f"{wanted}.")]  # noqa: SIM118
            tensors = {name.partition(".")[2]: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(
            f"{path}: a snapshot must be a whole safetensors file, found: {error}. Remove the "
            "entry that it belongs to and run again; it is computed anew."
        ) from error
    if wanted not in about["epochs"]:
        raise StoreError(
            f"{path}: must hold the snapshot of epoch {wanted}, found those of "
            f"{', '.join(map(str, about['epochs']))}. Remove the entry that it belongs to and run "
            "again; it is computed anew."
        )
    return Snapshot(
        epoch=wanted,
        model=_stripped(tensors, _MODEL),
        optimizer=_stripped(tensors, _OPTIMIZER),
        moved=_stripped(tensors, _MOVED),
        schedule=_stripped(tensors, _SCHEDULE),
    )


def _spec(tensor: Tensor) -> TensorSpec:
    """Say where a snapshot's tensor lies: contiguous, in the CPU's memory."""
    return TensorSpec(
        dtype=str(tensor.dtype).removeprefix("torch."),
        shape=list(tensor.shape),
        data_ptr=tensor.data_ptr(),
        data_len=tensor.nbytes,
    )


def _named_tensors(snapshot: Snapshot) -> dict[str, Tensor]:
    parts = {
        _MODEL: snapshot.model,
        _OPTIMIZER: snapshot.optimizer,
        _MOVED: snapshot.moved,
        _SCHEDULE: snapshot.schedule,
    }
    return {
        prefix + name: tensor
        for prefix, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def _check_format(path: Path, about: Mapping[str, Any]) -> None:
    if about.get("format") != _FORMAT:
        raise StoreError(
            f"{path}: a snapshot must have the format {_FORMAT}, found {about.get('format')}. "
            "Remove the entry that it belongs to and run again; it is computed anew."
        )


def _stripped(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _copy(value: Tensor) -> Tensor:
    """Copy to contiguous memory of the CPU, also where it lies there already."""
    copy = torch.empty(value.shape, dtype=value.dtype, device="cpu")
    return copy.copy_(value.detach())


def _restore_optimizer(
    flat: Mapping[str, Tensor], optimizer: Optimizer, trainable: Sequence[str]
) -> None:
    states: dict[str, dict[str, Tensor]] = {}
    for key, value in flat.items():
        name, _, kind = key.rpartition(".")
        states.setdefault(name, {})[kind] = value
    positions = {name: position for position, name in enumerate(trainable)}
    _check_known(states, positions)
    for name, state in states.items():
        optimizer.restore(positions[name], state)


def _check_known(names: Iterable[str], state: Mapping[str, object]) -> None:
    unknown = [name for name in names if name not in state]
    if unknown:
        raise _foreign(f"{', '.join(unknown[:5])}, which the model does not have or does not train")


def _check_complete(snapshot: Snapshot, trainable: Iterable[str]) -> None:
    missing = [name for name in trainable if name not in snapshot.model]
    if missing:
        raise _foreign(f"no {', '.join(missing[:5])}, which the model trains")


def _foreign(found: str) -> TrainingError:
    return TrainingError(
        f"A snapshot must belong to the model and the optimizer that go on from it, found {found}. "
        "Go on with the settings that it was taken with, or train from the start."
    )
