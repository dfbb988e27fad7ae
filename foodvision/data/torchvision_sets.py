"""The classification sets that torchvision publishes, by name."""

from __future__ import annotations

import difflib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foodvision.data.array_sets import ArraySet, catalogued_path
from foodvision.data.downloads import download
from foodvision.data.layouts import ImageFile
from foodvision.data.sources import find_mirrored, sources_folder
from foodvision.errors import DataError
from foodvision.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from PIL import Image

    from foodvision.home import Home
    from foodvision.progress import Bar, Progress

_FLAG: Mapping[str, Mapping[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_SPLIT: Mapping[str, Mapping[str, Any]] = {"train": {"split": "train"}, "test": {"split": "test"}}
_TRAINVAL: Mapping[str, Mapping[str, Any]] = {
    "train": {"split": "trainval"},
    "test": {"split": "test"},
}
_BALANCED: Mapping[str, Mapping[str, Any]] = {
    "train": {"split": "balanced", "train": True},
    "test": {"split": "balanced", "train": False},
}
_VAL: Mapping[str, Mapping[str, Any]] = {"train": {"split": "train"}, "test": {"split": "val"}}
_WHOLE: Mapping[str, Mapping[str, Any]] = {"all": {}}

# How each class of torchvision.datasets is asked for its splits.
SETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST", "QMNIST", "USPS"), _FLAG),
    **dict.fromkeys(("CIFAR10", "CIFAR100"), _FLAG),
    **dict.fromkeys(("Food101", "SVHN", "STL10", "GTSRB", "DTD", "Flowers102"), _SPLIT),
    **dict.fromkeys(("Country211", "FER2013", "PCAM", "RenderedSST2", "StanfordCars"), _SPLIT),
    **dict.fromkeys(("OxfordIIITPet", "FGVCAircraft"), _TRAINVAL),
    "EMNIST": _BALANCED,
    "Imagenette": _VAL,
    **dict.fromkeys(("EuroSAT", "SEMEION", "Caltech101", "Caltech256", "SUN397"), _WHOLE),
}
# Small images of one size, kept as one array.
# What torchvision raises, or lets through, where a file is not what it should be.
_UNREADABLE = (AssertionError, EOFError, LookupError, OSError, RuntimeError, ValueError)
_ARRAYS = frozenset(
    {"MNIST", "FashionMNIST", "KMNIST", "QMNIST", "EMNIST", "USPS", "SEMEION", "FER2013"}
    | {"CIFAR10", "CIFAR100", "SVHN", "STL10"}
)
_HAS_NO_DOWNLOAD = frozenset({"FER2013"})


@dataclass(frozen=True)
class PublishedSet:
    """What torchvision gave.

    Attributes:
        content: arrays, or image files.
        watched: the folder of `FOODVISION_SOURCES` that it was read from; None for a download,
            whose files torchvision checks by their published digests.
    """

    content: ArraySet | Sequence[ImageFile]
    watched: Path | None


def load_published(name: str, *, home: Home, scratch: Path, progress: Progress) -> PublishedSet:
    """Load a set: from `FOODVISION_SOURCES` if it lies there, else from (or into) the downloads.

    In `FOODVISION_SOURCES` it may lie as torchvision unpacks it (`FashionMNIST/raw/...`,
    `cifar-10-batches-py/...`), or as the files that torchvision would download.

    Args:
        name: of a class in torchvision.datasets, exactly.
        home: where downloads are kept.
        scratch: an empty folder for images that have to be written anew.
        progress: told of bytes and images.

    Raises:
        DataError: there is no such set, or it can neither be found nor downloaded.
    """
    if name not in SETS:
        near = difflib.get_close_matches(name, SETS, n=1, cutoff=0.4)
        hint = f"Did you mean torchvision:{near[0]}?" if near else f"Known: {', '.join(SETS)}."
        raise DataError(f"source 'torchvision:{name}': no classification set of that name. {hint}")
    mirror = sources_folder()
    for root in [mirror, mirror / "torchvision", mirror / name] if mirror else []:
        splits = _open_splits(name, root)
        if splits is not None:
            return PublishedSet(_read(name, splits, scratch, progress), _folder_of(splits, root))
    splits = _download(name, home, progress)
    return PublishedSet(_read(name, splits, scratch, progress), None)


def _open_splits(name: str, root: Path) -> dict[str, Any] | None:
    """Open every split of a set that is there already; None if it is not, or not whole."""
    try:
        return {split: _open(name, root, options) for split, options in SETS[name].items()}
    except _UNREADABLE:
        return None


def _open(name: str, root: Path, options: Mapping[str, Any]) -> Any:
    import torchvision.datasets

    published = getattr(torchvision.datasets, name)
    if "loader" in _parameters(published):
        options = {**options, "loader": Path}  # the file itself, not a decoded copy of it
    return published(root=root, **options)


def _parameters(published: Any) -> frozenset[str]:
    import inspect

    return frozenset(inspect.signature(published.__init__).parameters)


def _download(name: str, home: Home, progress: Progress) -> dict[str, Any]:
    root = home.downloads / "torchvision"
    splits = _open_splits(name, root)
    if splits is not None:
        return splits
    root.mkdir(parents=True, exist_ok=True)
    try:
        _fetch_files(name, root, home, progress)
        extra: dict[str, Any] = {} if name in _HAS_NO_DOWNLOAD else {"download": True}
        return {
            split: _open(name, root, {**options, **extra}) for split, options in SETS[name].items()
        }
    except _UNREADABLE as error:
        raise DataError(
            f"source 'torchvision:{name}': could not be downloaded ({error}). Check the network, "
            "or put the set, as torchvision unpacks it, into the folder that FOODVISION_SOURCES "
            "names."
        ) from error


def _fetch_files(name: str, root: Path, home: Home, progress: Progress) -> None:
    """Fetch what torchvision would, by our own means (it neither resumes nor retries).

    torchvision then finds the files, checks their MD5 and unpacks them.
    """
    for url, place in _published_files(name, root):
        if place.is_file():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        found = find_mirrored(place.name)
        if found is None:
            folder = home.downloads / digest({"kind": "url", "value": url})
            found = download(url, folder, label=place.name, progress=progress).path
        shutil.copyfile(found, place)


def _published_files(name: str, root: Path) -> Iterator[tuple[str, Path]]:
    import torchvision.datasets

    published = getattr(torchvision.datasets, name)
    if name in {"MNIST", "FashionMNIST", "KMNIST"}:
        for file_name, _ in published.resources:
            yield f"{published.mirrors[0]}{file_name}", root / name / "raw" / file_name
    elif name in {"CIFAR10", "CIFAR100"}:
        yield published.url, root / published.filename


def _folder_of(splits: Mapping[str, Any], root: Path) -> Path:
    """Return the folder below `root` that a set was read from: what to watch for changes."""
    dataset = next(iter(splits.values()))
    raw = getattr(dataset, "raw_folder", None)
    if raw is not None:
        return Path(raw)
    base = getattr(dataset, "base_folder", None)
    if isinstance(base, str) and (root / base).is_dir():
        return root / base
    return root


def _read(
    name: str, splits: Mapping[str, Any], scratch: Path, progress: Progress
) -> ArraySet | list[ImageFile]:
    total = sum(len(dataset) for dataset in splits.values())
    bar = progress.begin(f"Reading {name}", total=total, unit="images")
    examples = _watched(splits, bar)
    try:
        if name in _ARRAYS:
            return _to_arrays(splits, examples)
        return [
            _to_file(number, split, image, _class_names(splits)(label), scratch)
            for number, (split, image, label) in enumerate(examples)
        ]
    except (LookupError, ValueError) as error:
        raise DataError(
            f"source 'torchvision:{name}': every image must have its label, and the files be "
            f"whole; these cannot be read ({type(error).__name__}: {error}). Get them again."
        ) from error
    finally:
        bar.close()


def _watched(splits: Mapping[str, Any], bar: Bar) -> Iterator[tuple[str, Any, int]]:
    for split, dataset in splits.items():
        for position in range(len(dataset)):
            image, label = dataset[position]
            yield split, image, int(label)
            bar.advance(1)


def _to_arrays(splits: Mapping[str, Any], examples: Iterator[tuple[str, Any, int]]) -> ArraySet:
    names, images, labels = [], [], []
    for split, image, label in examples:
        names.append(split)
        images.append(np.asarray(image if image.mode == "L" else image.convert("RGB")))
        labels.append(label)
    name_of = _class_names(splits)
    return ArraySet(
        images=np.stack(images),
        labels=np.array(labels, dtype=np.int64),
        splits=names,
        class_names=tuple(name_of(label) for label in range(max(labels) + 1)),
    )


def _to_file(
    number: int, split: str, image: Image.Image | Path, class_name: str, scratch: Path
) -> ImageFile:
    """Return an image's own file, or write one without loss where the set keeps no such files."""
    if isinstance(image, Path):
        file = image
    else:
        file = scratch / f"{number:06d}.png"
        (image if image.mode in {"L", "RGB"} else image.convert("RGB")).save(file)
    return ImageFile(split, class_name, catalogued_path(split, class_name, file.name), file)


def _class_names(splits: Mapping[str, Any]) -> Callable[[int], str]:
    """Return how to name a label; sets without names get numbers that sort as numbers do."""
    dataset = next(iter(splits.values()))
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    return (lambda label: f"{label:03d}") if names is None else (lambda label: str(names[label]))
