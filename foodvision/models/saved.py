"""Saved models: a plain state dict that stock torchvision loads, and a JSON card beside it.

The card's own fields:

- `format`: version of this layout.
- `file`, `sha256`, `bytes`: of the state dict.
- `build`: the `BuildSettings`, from which `load_saved` makes the module again.
- `stock`: builder and arguments for torchvision alone; `null` for our own networks and for images
  of other than 3 channels.
- `versions`: of foodvision, torch and torchvision that wrote it.

Everything else (classes, transform, cell, metrics, digests) is the caller's.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import TypeAdapter, ValidationError

import foodvision
from foodvision.errors import ModelError
from foodvision.files import replacing, write_json
from foodvision.hashing import file_sha256
from foodvision.models.architectures import (
    STOCK_CHANNELS,
    BuildSettings,
    build_bare,
    stock_arguments,
    weightless,
)
from foodvision.models.build import assemble
from foodvision.models.stock import torchvision
from foodvision.models.weights import read_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from foodvision.models.blocks import BlockModel

CARD_FORMAT = 1
_OWN_FIELDS = ("format", "file", "sha256", "bytes", "build", "stock", "versions")
_SAVE_AGAIN = "Save the model again."


def save_model(folder: Path, model: BlockModel, *, name: str, card: Mapping[str, Any]) -> Path:
    """Write `NAME.pth` and `NAME.json`, each complete or not at all; the card comes last.

    Equal weights give equal bytes.

    Args:
        folder: made where it is missing.
        model: on any device; dtypes are kept.
        name: of both files, without an ending.
        card: JSON values; finite numbers only.

    Returns:
        The path of the state dict.

    Raises:
        ModelError: `name` is no plain file name, or the disk takes no more.
        ValueError: the card has a field that is written here, or is no JSON.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise ModelError(f"a saved model's name must be a plain file name, got {name!r}.")
    if taken := sorted(set(card) & set(_OWN_FIELDS)):
        raise ValueError(f"a card's fields {taken} are written by save_model; rename them")
    json.dumps(dict(card), allow_nan=False)  # before anything is written
    path = folder / f"{name}.pth"
    state = _plain_state(model.module)
    try:
        _write_state(path, state)
        write_json(path.with_suffix(".json"), {**card, **_own_fields(path, model.build)})
    except (OSError, RuntimeError) as error:
        raise _write_error(path, state, error) from error
    return path


def _write_state(path: Path, state: Mapping[str, Tensor]) -> None:
    with replacing(path) as neighbour, neighbour.open("wb") as file:
        torch.save(state, file)


def _write_error(path: Path, state: Mapping[str, Tensor], error: Exception) -> ModelError:
    # When a write fails, torch's archive writer has the last word: the reason is what it hides.
    reason = error.__context__ if isinstance(error.__context__, OSError) else error
    size = sum(tensor.nbytes for tensor in state.values())
    return ModelError(
        f"{path}: a saved model must fit on the disk, this one of {size:,} bytes could not be "
        f"written: {reason}. Make room, or set FOODVISION_HOME to another disk."
    )


def _own_fields(path: Path, build: BuildSettings) -> dict[str, Any]:
    return {
        "format": CARD_FORMAT,
        "file": path.name,
        "sha256": file_sha256(path),
        "bytes": path.stat().st_size,
        "build": asdict(build),
        "stock": _stock_builder(build),
        "versions": {
            "foodvision": foodvision.__version__,
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }


def load_saved(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a saved model.

    Args:
        path: of the state dict; its card lies beside it.

    Returns:
        The stock module on the CPU in evaluation mode, its weights laid out in memory as they were
        trained (channels last), so that it answers as it was scored, to the bit; and the card.

    Raises:
        ModelError: a file is missing, damaged or does not belong to the other.
    """
    card = read_card(path)
    settings = _read_settings(path, card)
    if not path.is_file():
        raise ModelError(f"{path}: a saved model must be there, found its card only. {_SAVE_AGAIN}")
    if (found := file_sha256(path)) != card["sha256"]:
        raise ModelError(
            f"{path}: its sha256 must be its card's {card['sha256']}, found {found}. {_SAVE_AGAIN}"
        )
    with weightless():
        module, head_layer = build_bare(settings)
        model = assemble(module, head_layer, settings)
    try:
        model.module.load_state_dict(read_state(path), assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: the state dict must be that of {settings.arch} with {settings.num_classes} "
            f"classes, as its card says: {error}. {_SAVE_AGAIN}"
        ) from error
    return model.module.to(memory_format=torch.channels_last).eval(), card


def read_card(path: Path) -> dict[str, Any]:
    """Read the card beside a saved model's state dict.

    Raises:
        ModelError: it is missing, no JSON, of another format, or incomplete.
    """
    place = path.with_suffix(".json")
    try:
        card = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: a saved model must have its card beside it, found no {place.name}. "
            "Copy both files, or save the model again."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{place}: a card must be JSON: {error}. {_SAVE_AGAIN}") from error
    lacking = [name for name in _OWN_FIELDS if not isinstance(card, dict) or name not in card]
    if lacking:
        raise ModelError(f"{place}: a card must have {', '.join(lacking)}. {_SAVE_AGAIN}")
    if card["format"] != CARD_FORMAT:
        raise ModelError(
            f"{place}: this foodvision reads cards of format {CARD_FORMAT}, found "
            f"{card['format']!r}. Use the foodvision that wrote it: {card['versions']}."
        )
    return dict(card)


def _read_settings(path: Path, card: Mapping[str, Any]) -> BuildSettings:
    try:
        return TypeAdapter(BuildSettings).validate_json(json.dumps(card["build"]), strict=True)
    except ValidationError as error:
        raise ModelError(
            f"{path.with_suffix('.json')}: `build` must be the settings of a model: {error}. "
            f"{_SAVE_AGAIN}"
        ) from error


def _plain_state(module: nn.Module) -> OrderedDict[str, Tensor]:
    """Copy the state to the CPU, each tensor with memory of its own (views would bring all)."""
    state = module.state_dict()
    plain = OrderedDict(
        (name, value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format))
        for name, value in state.items()
    )
    plain._metadata = getattr(state, "_metadata")  # type: ignore[attr-defined] # noqa: B009
    return plain


def _stock_builder(settings: BuildSettings) -> dict[str, Any] | None:
    if settings.is_own or settings.channels != STOCK_CHANNELS:
        return None
    arguments = {"num_classes": settings.num_classes, **stock_arguments(settings)}
    return {"builder": f"torchvision.models.{settings.arch}", "arguments": arguments}
