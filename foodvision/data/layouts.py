"""Folders of images: which of them are splits, which are classes, and what is wrong with them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foodvision.data.archives import is_junk
from foodvision.data.images import IMAGE_SUFFIXES
from foodvision.data.sources import walk_files
from foodvision.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_TRAIN = "train"
_TEST = "test"
_STAND_INS = ("val", "valid", "validation")
_KINDS = "jpg, jpeg, png, webp, bmp, gif, tif"


@dataclass(frozen=True)
class ImageFile:
    """An image file of a data set.

    Attributes:
        split: train, test, or all where the set has no splits of its own.
        class_name: its folder's name, in Unicode's composed form.
        path: relative to the set, with `/`; what the manifest and the digest call it.
        file: where it lies now.
    """

    split: str
    class_name: str
    path: str
    file: Path


@dataclass(frozen=True)
class Layout:
    """The images of a folder.

    Attributes:
        images: sorted by (split, path).
        ignored: names of folders beside the splits, and how many files of other kinds there are.
    """

    images: tuple[ImageFile, ...]
    ignored: Mapping[str, int]


def read_layout(root: Path, *, label: str) -> Layout:
    """Find the images of a folder: `train/<class>/*` and `test/<class>/*`, or `<class>/*`.

    A folder that holds nothing but one other folder is passed through. Where there is no `test`,
    `val`, `valid` or `validation` (the first that exists) is taken as the test split; where there
    is one, they are left out. `train` or `test` alone is fine: another data set may bring the
    other half. Images may lie in folders below their class.

    Args:
        root: of the set.
        label: what messages call it.

    Raises:
        DataError: there are no images or no class folders, a class is empty.
    """
    root = _unwrap(root)
    folders = _folders(root)
    names = {folder.name.casefold(): folder for folder in folders}
    splits = _split_folders(names)
    if splits:
        images = [
            image for split, place in splits.items() for image in _read_classes(place, split, root)
        ]
        used = set(splits.values())
        aside = {place.name: _count_images(place) for place in folders if place not in used}
    else:
        images, aside = _read_classes(root, "all", root), {}
    others = sum(1 for place in walk_files(root) if not _is_image(place))
    _check_classes(root, splits or {"all": root}, images, label)
    if others:
        aside["files of other kinds"] = others
    return Layout(tuple(sorted(images, key=lambda image: (image.split, image.path))), aside)


def check_classes(images: Iterable[tuple[str, str]], *, label: str) -> tuple[str, ...]:
    """Check the classes of (split, class name) pairs; return them sorted.

    Raises:
        DataError: there is one class only, or train and test have different ones.
    """
    by_split: dict[str, set[str]] = {}
    for split, class_name in images:
        by_split.setdefault(split, set()).add(class_name)
    classes = sorted(set().union(*by_split.values()))
    if len(classes) < 2:
        raise DataError(
            f"{label}: a classifier needs at least two classes, found "
            f"{', '.join(map(repr, classes)) or 'none'}. Add a folder of images per class."
        )
    if _TRAIN in by_split and _TEST in by_split and by_split[_TRAIN] != by_split[_TEST]:
        raise DataError(
            f"{label}: train and test must have the same classes; only in train: "
            f"{_listed(by_split[_TRAIN] - by_split[_TEST])}; only in test: "
            f"{_listed(by_split[_TEST] - by_split[_TRAIN])}. Rename or remove the odd folders."
        )
    return tuple(classes)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "none"


def _unwrap(root: Path) -> Path:
    while True:
        inside = [place for place in root.iterdir() if not is_junk(place.name)]
        is_wrapper = (
            len(inside) == 1
            and inside[0].is_dir()
            and inside[0].name.casefold() not in (_TRAIN, _TEST, *_STAND_INS)
            and any(_folders(inside[0]))
        )
        if not is_wrapper:
            return root
        root = inside[0]


def _folders(root: Path) -> list[Path]:
    return sorted(place for place in root.iterdir() if place.is_dir() and not is_junk(place.name))


def _split_folders(names: Mapping[str, Path]) -> dict[str, Path]:
    test = next((name for name in (_TEST, *_STAND_INS) if name in names), None)
    found = {_TRAIN: names.get(_TRAIN), _TEST: names[test] if test else None}
    return {split: place for split, place in found.items() if place is not None}


def _read_classes(place: Path, split: str, root: Path) -> list[ImageFile]:
    return [
        ImageFile(
            split=split,
            class_name=unicodedata.normalize("NFC", folder.name),
            path=unicodedata.normalize("NFC", file.relative_to(root).as_posix()),
            file=file,
        )
        for folder in _folders(place)
        for file in walk_files(folder)
        if _is_image(file)
    ]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _count_images(folder: Path) -> int:
    return sum(1 for file in walk_files(folder) if _is_image(file))


def _check_classes(
    root: Path, places: Mapping[str, Path], images: list[ImageFile], label: str
) -> None:
    if not images:
        loose = _count_images(root)
        found = f"{loose} images outside of class folders" if loose else "no images"
        raise DataError(
            f"{label}: images ({_KINDS}) must lie in train/<class>/ and test/<class>/, or in "
            f"<class>/; found {found}. Put one folder per class there."
        )
    counts = Counter((image.split, image.class_name) for image in images)
    empty = [
        folder
        for split, place in places.items()
        for folder in _folders(place)
        if not counts[split, unicodedata.normalize("NFC", folder.name)]
    ]
    if empty:
        raise DataError(
            f"{label}: every class must have an image ({_KINDS}); empty: "
            f"{', '.join(_described(folder, root) for folder in empty[:20])}. "
            "Add images, or remove the folders."
        )


def _described(folder: Path, root: Path) -> str:
    kinds = sorted({file.suffix.lower() or file.name for file in walk_files(folder)})
    inside = f" (holds {', '.join(kinds[:5])})" if kinds else ""
    return f"{folder.relative_to(root).as_posix()}{inside}"
