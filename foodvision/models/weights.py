"""Initial weights: what a plan's `weights` means, where the file lies, and what is in it."""

from __future__ import annotations

import os
import pickle
import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import torch
from rapidfuzz import process
from safetensors import SafetensorError
from safetensors.torch import load_file

from foodvision.errors import ModelError
from foodvision.hashing import digest, file_sha256
from foodvision.models.architectures import check_architecture
from foodvision.models.networks import NETWORKS
from foodvision.models.stock import torchvision
from foodvision.models.weights_files import NO_WEIGHTS, is_entry_name, weights_file

if TYPE_CHECKING:
    from torchvision.models import Weights as Entry

_DEFAULT = "DEFAULT"
_SAFETENSORS = ".safetensors"
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.")
_WHAT_A_FILE_IS = "a state dict saved by torch.save(module.state_dict(), ...) or as .safetensors"


@dataclass(frozen=True)
class Weights:
    """Where initial weights come from.

    Attributes:
        path: the file; `None`: random weights, drawn from the cell's seed.
        sha256: the file's digest, 64 hex digits; `None` with random weights.
        entry: the torchvision entry that the file is, whether it was asked for by its name or the
            file has the digest that the entry's address tells; `None` for any other file.
    """

    path: Path | None = None
    sha256: str | None = None
    entry: str | None = None


RANDOM = Weights()


def find_weights(
    arch: str, weights: str, *, base: Path, sha256: str | None = None, cache: Path | None = None
) -> Weights:
    """Find out what a plan's `weights` means, and fetch it where it has to be fetched.

    Args:
        arch: the architecture.
        weights: `none`; `DEFAULT` or the name of one of the architecture's torchvision entries,
            looked for in and downloaded to torch.hub's folder; or the path of a file, in which
            `${NAME}` stands for an environment variable.
        base: what a relative path starts from.
        sha256: the digest that the file must have; `None` takes any.
        cache: folder in which to remember digests by path, size and time of change; `None` reads
            the file each time.

    Raises:
        ModelError: no such architecture, entry, variable or file; the file has another digest; or
            it cannot be downloaded.
    """
    check_architecture(arch)
    if weights == NO_WEIGHTS:
        if sha256 is not None:
            raise ModelError(
                "model.weights_sha256 checks a file, but model.weights is none. "
                "Name the file, or leave the digest out."
            )
        return RANDOM
    if is_entry_name(weights):
        entry = _find_entry(arch, weights)
        path = _fetch(entry, arch)
    else:
        entry = None
        path = weights_file(weights, base=base)
    found = _digest_of(path, cache)
    if sha256 is not None and sha256.lower() != found:
        raise ModelError(
            f"{path}: its sha256 must be {sha256}, found {found}. "
            "Fetch the file again, or correct model.weights_sha256."
        )
    name = entry.name if entry is not None else _entry_with_digest(arch, found)
    return Weights(path=path, sha256=found, entry=name)


def entry_transform(arch: str, weights: str | None) -> dict[str, Any]:
    """Return how a torchvision entry wants its images: the fields of a `Transform`.

    Args:
        arch: the architecture.
        weights: `DEFAULT`, an entry's name, or `Weights.entry`.

    Returns:
        `size` and `resize_to` in pixels, `interpolation`, `channels`, `mean` and `std`.

    Raises:
        ModelError: the weights are no entry that torchvision publishes.
    """
    check_architecture(arch)
    if weights is None or not is_entry_name(weights) or weights == NO_WEIGHTS:
        raise ModelError(
            "transform: auto takes the transform of weights that torchvision publishes, found "
            f"{weights or 'a file of another kind'!r}. Write the transform out: "
            "{size: 224, normalize: imagenet}."
        )
    preset = _find_entry(arch, weights).transforms()
    return {
        "size": int(preset.crop_size[0]),
        "resize_to": int(preset.resize_size[0]),
        "interpolation": str(preset.interpolation.value),
        "channels": len(preset.mean),
        "mean": [float(value) for value in preset.mean],
        "std": [float(value) for value in preset.std],
    }


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict without running any code that the file may hold.

    Returns:
        Tensors on the CPU by name; versions that torch keeps beside them stay attached.

    Raises:
        ModelError: the file cannot be read, holds more than tensors, or no state dict.
    """
    try:
        state = _load(path)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: weights must be {_WHAT_A_FILE_IS}, found a pickle that is damaged or would "
            "run code. Do not load it elsewhere unless you trust its origin; ask for the plain "
            "state dict."
        ) from error
    except (EOFError, KeyError, OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise ModelError(
            f"{path}: weights must be {_WHAT_A_FILE_IS}, found a file that cannot be read "
            f"({_first_line(error)}). Fetch it again."
        ) from error
    if not isinstance(state, dict) or not state or not _holds_tensors(state):
        raise ModelError(
            f"{path}: weights must be {_WHAT_A_FILE_IS}, found {_describe(state)}. "
            "Save the state dict alone."
        )
    return state


def _load(path: Path) -> Any:
    if path.suffix == _SAFETENSORS:
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _holds_tensors(state: dict[Any, Any]) -> bool:
    return all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    )


def _describe(state: object) -> str:
    if isinstance(state, dict):
        return f"a mapping with {', '.join(sorted(map(str, state))[:5]) or 'nothing in it'}"
    return f"a {type(state).__name__}"


def _find_entry(arch: str, name: str) -> Entry:
    if arch in NETWORKS:
        raise ModelError(
            f"{arch} is our own network, without published weights; found model.weights: {name}. "
            "Take none or a file."
        )
    entries = torchvision.models.get_model_weights(arch)
    if name not in entries.__members__:
        nearest, _, _ = process.extract(name, list(entries.__members__), limit=1)[0]
        raise ModelError(
            f"model.weights must be none, a file, or one of {', '.join(entries.__members__)} for "
            f"{arch}; found {name!r}. Did you mean {nearest}?"
        )
    return entries[name]


def _entry_with_digest(arch: str, sha256: str) -> str | None:
    """Return the entry that a file is: torch's addresses tell the beginning of the digest."""
    if arch in NETWORKS:
        return None
    for entry in torchvision.models.get_model_weights(arch):
        told = _HASH_IN_NAME.search(entry.url)
        if told and sha256.startswith(told.group(1)):
            return str(entry.name)
    return None


def _fetch(entry: Entry, arch: str) -> Path:
    path = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(entry.url).path).name)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(entry.url, path)
    except (HTTPException, OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"model.weights {entry.name} of {arch} must be at {path} or be downloaded from "
            f"{entry.url}, which failed: {_first_line(error)}. On a machine with a network, "
            "download that file and put it there (TORCH_HOME moves the folder), or name the file "
            "in model.weights."
        ) from error
    return path


def _download(url: str, path: Path) -> None:
    told = _HASH_IN_NAME.search(path.name)
    torch.hub.download_url_to_file(
        url, str(path), hash_prefix=told.group(1) if told else None, progress=False
    )


def _digest_of(path: Path, cache: Path | None) -> str:
    if cache is None:
        return file_sha256(path)
    status = path.stat()
    known = cache / digest([str(path.resolve()), status.st_size, status.st_mtime_ns])
    if known.is_file():
        return known.read_text()
    sha256 = file_sha256(path)
    cache.mkdir(parents=True, exist_ok=True)
    fresh = cache / f"{known.name}.{os.getpid()}"
    fresh.write_text(sha256)
    fresh.replace(known)
    return sha256


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
