"""The compiler's facts: asked of torch once, then kept per library version.

A plan that was run before is compiled without importing torch: data sets are known by their
sources' fingerprints, architectures, transforms and devices from files under `home.facts`.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from foodvision.data.selection import select
from foodvision.errors import FoodVisionError, ModelError, PlanError
from foodvision.files import read_json, write_json
from foodvision.hashing import digest, file_sha256
from foodvision.plan.facts import NO_ANSWER, Architecture, ImageSet, Part
from foodvision.plan.input_schema import Sha256
from foodvision.plan.summary import ModelSize, Operation
from tasks.devices import (
    Device,
    bfloat16_instructions,
    machine_fingerprint,
    processor_name,
)
from tasks.memory_limits import MemoryLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from foodvision.data.datasets import Dataset
    from foodvision.errors import DataError
    from foodvision.home import Home
    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.input_schema import DataChoice

Answer = TypeVar("Answer")

# Raised by hand when the meaning of a kept fact changes.
FACTS_VERSION = 1

_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class _Transform:
    size: int
    resize_to: int | None
    interpolation: str
    channels: int
    mean: list[float]
    std: list[float]


_DEVICE = TypeAdapter(Device)
_FITS = TypeAdapter(bool)
_ARCHITECTURE = TypeAdapter(Architecture)
_MODEL_SIZE = TypeAdapter(ModelSize)
_OPERATIONS = TypeAdapter(tuple[Operation, ...])
_TRANSFORM = TypeAdapter(_Transform)
_PATH = TypeAdapter(str)
_SHA256 = TypeAdapter(Sha256)
_BLOCKS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


class Answers:
    """Remembers answers, also that there is none: what failed is not tried for every cell."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def ask(self, question: Hashable, answer: Callable[[], Answer]) -> Answer:
        """Return what a question was answered with, or find it out.

        Raises:
            FoodVisionError: there is no answer (`NO_ANSWER`), now or when it was asked first.
        """
        if question not in self._known:
            try:
                self._known[question] = answer()
            except NO_ANSWER as error:
                self._known[question] = error
        found = self._known[question]
        if isinstance(found, FoodVisionError):
            raise type(found)(str(found))
        return cast("Answer", found)


class FactsFolder:
    """Small JSON files, one per question."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers = Answers()

    def ask(
        self,
        question: Mapping[str, Any],
        answer: Callable[[], Any],
        shape: TypeAdapter[Answer],
    ) -> Answer:
        """Return the kept answer to a question, or find it out and keep it.

        Args:
            question: JSON values.
            answer: finds it out, as JSON values.
            shape: of the answer; what is kept in another one is found out again.
        """

        def find() -> Answer:
            kept = self.recall(question, shape)
            return self._find_out(question, answer, shape) if kept is None else kept

        return self._answers.ask(_key(question), find)

    def recall(self, question: Mapping[str, Any], shape: TypeAdapter[Answer]) -> Answer | None:
        """Return the kept answer to a question, `None` where there is none of that shape."""
        kept = read_json(self._path(question))
        try:
            return _shaped(kept["answer"], shape)
        except (KeyError, TypeError, ValidationError):
            return None

    def _find_out(
        self,
        question: Mapping[str, Any],
        answer: Callable[[], Any],
        shape: TypeAdapter[Answer],
    ) -> Answer:
        found = answer()
        write_json(self._path(question), {"question": dict(question), "answer": found})
        return _shaped(found, shape)

    def _path(self, question: Mapping[str, Any]) -> Path:
        return self._folder / f"{_key(question)}.json"


def _key(question: Mapping[str, Any]) -> str:
    return digest({"version": FACTS_VERSION, **question})


def _shaped(found: Any, shape: TypeAdapter[Answer]) -> Answer:
    """Return JSON values as the type that they must be of; nothing is turned into a number."""
    return shape.validate_json(json.dumps(found), strict=True)


class LibraryFacts:
    """Answers the compiler's questions for one plan."""

    def __init__(
        self,
        *,
        home: Home,
        base: Path,
        datasets: Mapping[str, Dataset],
        absent: Mapping[str, DataError] | None = None,
    ) -> None:
        """Prepare.

        Args:
            home: where answers are kept.
            base: the folder that relative paths of the plan start from.
            datasets: of the plan, by name.
            absent: why others cannot be had, by name.
        """
        self._folder = FactsFolder(home.facts)
        self._base = base
        self._datasets = datasets
        self._absent = absent or {}
        self._answers = Answers()
        self.memory = MemoryLimits(home)

    def ask_ahead(self, cells: Iterable[CellSettings]) -> None:
        """Find out now what may take long: weights to download, models to build.

        Whoever holds a lock afterwards keeps nobody waiting for that. That there is no answer is
        an answer, too: it is given when the cell is compiled.

        Args:
            cells: settings that will be asked about, as they are in each phase.
        """
        asked: set[tuple[object, ...]] = set()
        for settings in cells:
            model = settings.model.model_copy(update={"lr_scale": None})
            about = (model, settings.transform, settings.data.name, settings.device)
            if about in asked:
                continue
            asked.add(about)
            with suppress(*NO_ANSWER):
                self.device(settings)
                classes = len(self._dataset(settings.data.name).classes)
                self.weights_digest(settings)
                self.architecture(settings, classes=classes)

    def fitted(self, settings: CellSettings) -> CellSettings:
        """Return the settings with a `micro_batch` for which the device has enough memory."""
        if not self.memory.limits:
            return settings
        return self.memory.fitted(settings, self.device(settings))

    def device(self, settings: CellSettings) -> Device:
        """Return the devices that the cell's `device` means here."""

        def ask() -> dict[str, Any]:
            from tasks.devices import find_device

            found = find_device(settings.device)
            return {"kind": found.kind, "capability": found.capability, "names": [*found.names]}

        question = {
            "about": "device",
            "device": settings.device,
            "torch": _version("torch"),
            "machine": _fingerprint(),
        }
        return self._folder.ask(question, ask, _DEVICE)

    def device_names(self, settings: CellSettings) -> tuple[str, ...]:
        """Return torch's names of the devices that may do the work of a cell."""
        return self.device(settings).names

    def environment(self, settings: CellSettings) -> Mapping[str, Any]:
        """Return what acts on the bits besides the recipe."""
        device = self.device(settings)
        capability = device.capability
        if device.kind == "cpu" and settings.precision == "bfloat16":
            capability = f"{capability} {bfloat16_instructions()}".strip()
        return {
            "torch": _version("torch"),
            "torchvision": _version("torchvision"),
            "device": device.kind,
            "capability": capability,
            "precision": settings.precision,
            "threads": settings.threads,
        }

    def processor(self, settings: CellSettings) -> str:
        """Return what computes the cell, by name."""
        return processor_name(self.device(settings))

    def decoder(self) -> Mapping[str, Any]:
        """Return the versions of what turns files into pixels."""
        return {"pillow": _version("pillow")}

    def image_set(self, settings: CellSettings, part: Part) -> ImageSet:
        """Return the images of one part of the cell."""
        choice = settings.test if part == "test" else settings.data
        share = _share(choice, part, settings.valid)

        def find() -> ImageSet:
            dataset = self._dataset(choice.name)
            arguments: dict[str, Any] = dict(share)
            selection = select(dataset, part, **arguments)
            return ImageSet(
                digest=selection.digest,
                images=tuple(selection.sha256),
                dataset=dataset.key,
                part=part,
                classes=dataset.classes,
                share=share,
            )

        return self._answers.ask(("images", choice.name, part, share), find)

    def _dataset(self, name: str) -> Dataset:
        if name in self._absent:
            raise self._absent[name]
        return self._datasets[name]

    def transform(self, settings: CellSettings) -> Mapping[str, Any]:
        """Return the resolved transform."""
        if settings.transform == "auto":
            return self._weights_transform(settings)
        chosen = settings.transform
        mean, std = _normalisation(chosen.normalize, chosen.channels)
        return {
            "size": chosen.size,
            "resize_to": _resize_to(chosen.resize, chosen.resize_to, chosen.size),
            "interpolation": chosen.interpolation,
            "channels": chosen.channels,
            "mean": mean,
            "std": std,
        }

    def weights_digest(self, settings: CellSettings) -> str | None:
        """Return the sha256 of the weights file; that it fits was seen once."""
        model = settings.model
        if model.weights == "none":
            return None
        about = ("weights", model.arch, model.weights, model.weights_sha256)
        path, sha256 = self._answers.ask(about, lambda: self._find_weights(settings))
        self._require_fit(settings, path, sha256)
        return sha256

    def architecture(self, settings: CellSettings, *, classes: int) -> Architecture:
        """Return the model's shape."""
        transform = self.transform(settings)
        model = settings.model
        question = {
            "about": "architecture",
            "arch": model.arch,
            "hidden": model.hidden,
            "dropout": model.dropout,
            "freeze": model.freeze,
            "batchnorm": model.batchnorm,
            "classes": classes,
            "channels": transform["channels"],
            "size": transform["size"],
            "torch": _version("torch"),
            "torchvision": _version("torchvision"),
        }

        def ask() -> dict[str, Any]:
            from foodvision.models.facts import describe

            found = describe(
                model.arch,
                num_classes=classes,
                freeze=model.freeze,
                batchnorm=model.batchnorm,
                channels=transform["channels"],
                size=transform["size"],
                dropout=model.dropout,
                hidden=model.hidden,
            ).to_json()
            self._folder.ask(_about_blocks(model.arch), lambda: found["blocks"], _BLOCKS)
            return found

        return self._folder.ask(question, ask, _ARCHITECTURE)

    def known_blocks(self, arch: str) -> tuple[str, ...] | None:
        """Return the names of an architecture's blocks, `None` where nobody asked for them yet."""
        return self._folder.recall(_about_blocks(arch), _BLOCKS)

    def model_size(self, settings: CellSettings, *, classes: int) -> ModelSize:
        """Return how large the model is, block by block."""
        shape = self._build(settings, classes)

        def ask() -> dict[str, Any]:
            from foodvision.models.summary import measure

            return asdict(measure(**shape))

        return self._folder.ask(_about_build("model size", shape), ask, _MODEL_SIZE)

    def operations(self, settings: CellSettings, *, classes: int) -> tuple[Operation, ...]:
        """Return what the model computes, operation by operation."""
        shape = self._build(settings, classes) | {"dropout": settings.model.dropout}

        def ask() -> list[dict[str, Any]]:
            from foodvision.models.architectures import BuildSettings
            from foodvision.models.operations import list_operations

            return [asdict(operation) for operation in list_operations(BuildSettings(**shape))]

        return self._folder.ask(_about_build("operations", shape), ask, _OPERATIONS)

    def _build(self, settings: CellSettings, classes: int) -> dict[str, Any]:
        transform = self.transform(settings)
        return {
            "arch": settings.model.arch,
            "num_classes": classes,
            "channels": transform["channels"],
            "size": transform["size"],
            "hidden": settings.model.hidden,
        }

    def _weights_transform(self, settings: CellSettings) -> Mapping[str, Any]:
        def ask() -> dict[str, Any]:
            from foodvision.models.weights import entry_transform

            return entry_transform(settings.model.arch, settings.model.weights)

        question = {
            "about": "transform",
            "arch": settings.model.arch,
            "weights": settings.model.weights,
            "torchvision": _version("torchvision"),
        }
        return asdict(self._folder.ask(question, ask, _TRANSFORM))

    def _find_weights(self, settings: CellSettings) -> tuple[Path, str]:
        """Find the file (this may download it), and its digest by its path, size and time."""

        def ask_path() -> str:
            from foodvision.models.weights import find_weights

            model = settings.model
            found = find_weights(
                model.arch, model.weights, base=self._base, sha256=model.weights_sha256
            )
            return str(found.path)

        question = {
            "about": "weights file",
            "arch": settings.model.arch,
            "weights": os.path.expandvars(settings.model.weights),
            "sha256": settings.model.weights_sha256,
            "base": str(self._base),
            "torch_home": os.environ.get("TORCH_HOME", ""),
            "torchvision": _version("torchvision"),
        }
        try:
            path = Path(self._folder.ask(question, ask_path, _PATH))
            if not path.is_file():
                path = Path(ask_path())  # it has moved since: find it again, or say why not
            about = path.stat()
            identity = {
                "about": "weights digest",
                "path": str(path),
                "bytes": about.st_size,
                "modified": about.st_mtime_ns,
            }
            return path, self._folder.ask(identity, lambda: file_sha256(path), _SHA256)
        except OSError as error:
            raise ModelError(
                f"model.weights {settings.model.weights} of {settings.model.arch} must be a file "
                f"that can be read, found {error}. Check the file and its permissions."
            ) from error

    def _require_fit(self, settings: CellSettings, path: Path, sha256: str) -> None:
        """See to it that the model can be built with these weights, whatever its head.

        Raises:
            ModelError: they are damaged, or another architecture's.
        """
        model, transform = settings.model, self.transform(settings)
        shape = {
            "arch": model.arch,
            "channels": transform["channels"],
            "size": transform["size"],
            "hidden": model.hidden,
        }

        def ask() -> bool:
            from foodvision.models.build import check_weights

            check_weights(path, **shape)
            return True

        question = {
            "about": "weights that fit",
            **shape,
            "weights": sha256,
            "torch": _version("torch"),
            "torchvision": _version("torchvision"),
        }
        self._folder.ask(question, ask, _FITS)


def _about_build(what: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    versions = {package: _version(package) for package in ("torch", "torchvision")}
    return {"about": what, **shape, **versions}


def _about_blocks(arch: str) -> dict[str, Any]:
    versions = {package: _version(package) for package in ("torch", "torchvision")}
    return {"about": "blocks", "arch": arch, **versions}


def _share(choice: DataChoice, part: Part, valid: float) -> tuple[tuple[str, Any], ...]:
    whole = {"valid": valid, "fraction": choice.fraction, "count": choice.count}
    if part == "valid":
        whole = {"valid": valid, "fraction": None, "count": None}
    if part == "test":
        whole["valid"] = 0
    return tuple(whole.items())


def _resize_to(resize: str, resize_to: int | None, size: int) -> int | None:
    return None if resize == "squash" else (resize_to or size)


def _normalisation(normalize: Any, channels: int) -> tuple[list[float], list[float]]:
    if normalize == "none":
        return [0.0] * channels, [1.0] * channels
    if normalize == "imagenet":
        if channels != 3:
            raise PlanError(
                f"transform.normalize: imagenet has 3 channels, found channels: {channels}. "
                "Use `normalize: none` or give `{mean: [...], std: [...]}`."
            )
        return _IMAGENET["mean"], _IMAGENET["std"]
    return list(normalize.mean), list(normalize.std)


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    return digest(machine_fingerprint())


@lru_cache(maxsize=8)
def _version(package: str) -> str:
    return version(package)
