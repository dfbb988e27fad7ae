"""From files or arrays to a catalogue: every image checked, hashed, and given a split."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foodvision.data.array_sets import ArraySet, array_sha256, catalogued_path
from foodvision.data.images import decode_image
from foodvision.data.selection import SPLIT_SALT, set_aside
from foodvision.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from foodvision.data.layouts import ImageFile
    from foodvision.progress import Progress

OnBadImage = Literal["fail", "skip"]

CATALOGUE_FILE = "images.parquet"
ARRAYS_FILE = "arrays.npy"
FILES_FOLDER = "files"
_SHOWN_PROBLEMS = 20
_BATCH_IMAGES = 256
_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("path", pa.string()),
        ("label", pa.int64()),
        ("sha256", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
    ]
)


@dataclass(frozen=True)
class CheckedImage:
    """An image that can be read.

    Attributes:
        split: train, test, or all while it has none.
        class_name: of its class.
        path: what the catalogue calls it.
        sha256: of its file, or of its shape and bytes.
        width: in pixels, upright.
        height: in pixels, upright.
        content: its file, or its place in the draft's arrays.
    """

    split: str
    class_name: str
    path: str
    sha256: str
    width: int
    height: int
    content: Path | int


@dataclass(frozen=True, eq=False)
class Draft:
    """A set of checked images that is not in the store yet.

    Attributes:
        images: all that can be read.
        arrays: uint8 [N, H, W] or [N, H, W, 3] of an array set.
        bad_images: what is wrong with those left out.
        ignored: folders beside the splits, and files of other kinds, counted.
        may_move_files: whether the files are ours to move away.
    """

    images: Sequence[CheckedImage]
    arrays: np.ndarray | None = None
    bad_images: Sequence[str] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    may_move_files: bool = False


def draft_files(
    files: Sequence[ImageFile],
    *,
    label: str,
    on_bad_image: OnBadImage,
    sizes: Mapping[str, tuple[int, int]],
    progress: Progress,
) -> Draft:
    """Hash and decode every file, in parallel threads.

    Args:
        files: of the set.
        label: what messages and the progress call the set.
        on_bad_image: fail, or leave broken images out.
        sizes: (width, height) by sha256 of images that were checked before; not decoded again.
        progress: told of images.

    Raises:
        DataError: images are broken (all are listed, up to 20 by name), or none is left in a
            class.
    """
    bar = progress.begin(f"Checking {label}", total=len(files), unit="images")
    images: list[CheckedImage] = []
    bad: list[str] = []
    try:
        for checked in _check_all(files, sizes):
            bar.advance(1)
            if isinstance(checked, str):
                bad.append(checked)
            else:
                images.append(checked)
    finally:
        bar.close()
    if bad and on_bad_image == "fail":
        raise DataError(_bad_images_message(bad, len(files), label))
    _refuse_emptied_classes(files, images, label)
    return Draft(images=images, bad_images=bad)


def draft_arrays(source: ArraySet) -> Draft:
    """Catalogue an array set; its images are called `<split>/<class>/<number>`."""
    height, width = source.images.shape[1:3]
    images = []
    for number, (split, label) in enumerate(zip(source.splits, source.labels, strict=True)):
        name = source.class_names[label]
        sha256 = array_sha256(source.images[number])
        path = catalogued_path(split, name, f"{number:06d}")
        images.append(CheckedImage(split, name, path, sha256, width, height, number))
    return Draft(images=images, arrays=source.images)


def check_split(splits: Collection[str], split: float | None, *, label: str) -> None:
    """Check that a set has splits of its own or is given some, not both.

    Raises:
        DataError: it has neither, or both.
    """
    if split is None and "all" in splits:
        raise DataError(
            f"{label}: a data set needs a train and a test split, found only class folders. Set "
            "`split: 0.2` on the data set, or sort the images into train/ and test/."
        )
    if split is not None and "test" in splits:
        raise DataError(
            f"{label}: `split` is for sets without a test split; this one has its own. "
            f"Remove `split: {split}` from the data set."
        )


def assign_splits(
    images: Sequence[CheckedImage], split: float | None, *, label: str
) -> list[CheckedImage]:
    """Return the images with their final splits, sorted by (split, path).

    Args:
        images: checked ones.
        split: share of each class that becomes the test split; None keeps what is there.
        label: what messages call the set.

    Raises:
        DataError: `split` is missing, superfluous, or leaves a class empty.
    """
    check_split({image.split for image in images}, split, label=label)
    if split is not None:
        names = sorted({image.class_name for image in images})
        index = {name: number for number, name in enumerate(names)}
        is_test = set_aside(
            np.array([image.sha256 for image in images], dtype=str),
            np.array([index[image.class_name] for image in images], dtype=np.int64),
            split,
            salt=SPLIT_SALT,
            classes=names,
            name=f"{label}: split",
        )
        images = [
            replace(image, split="test" if chosen else "train")
            for image, chosen in zip(images, is_test.tolist(), strict=True)
        ]
    return sorted(images, key=lambda image: (image.split, image.path))


def write_catalogue(
    folder: Path, images: Sequence[CheckedImage], classes: Sequence[str], draft: Draft
) -> None:
    """Put the images and their catalogue into an empty folder.

    Args:
        folder: of the store's new entry.
        images: in their final order and splits.
        classes: sorted names; labels are indices into them.
        draft: which the images come from.

    Raises:
        DataError: a file changed since it was checked, or two have one name.
    """
    if draft.arrays is not None:
        order = np.array([image.content for image in images], dtype=np.int64)
        np.save(folder / ARRAYS_FILE, draft.arrays[order], allow_pickle=False)
    else:
        _place_files(images, folder / FILES_FOLDER, move=draft.may_move_files)
    pq.write_table(_catalogue(images, classes), folder / CATALOGUE_FILE)


def _check_all(
    files: Sequence[ImageFile], sizes: Mapping[str, tuple[int, int]]
) -> Iterator[CheckedImage | str]:
    """Check files in parallel threads (decoding frees the interpreter), in order."""
    waiting = iter(files)
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="checking") as pool:
        while batch := list(islice(waiting, _BATCH_IMAGES)):
            yield from pool.map(lambda file: _check(file, sizes), batch)


def _check(file: ImageFile, sizes: Mapping[str, tuple[int, int]]) -> CheckedImage | str:
    """Hash and decode a file; a problem comes back as its description."""
    try:
        content = file.file.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        width, height = sizes.get(sha256) or decode_image(content, name=file.path).size
    except DataError as error:
        return str(error)
    except OSError as error:
        return f"{file.path}: cannot be read ({error.strerror})"
    return CheckedImage(file.split, file.class_name, file.path, sha256, width, height, file.file)


def _bad_images_message(bad: Sequence[str], count: int, label: str) -> str:
    lines = [f"{label}: every image must be readable; {len(bad)} of {count} are not:"]
    lines += [f"  {problem}" for problem in bad[:_SHOWN_PROBLEMS]]
    if len(bad) > _SHOWN_PROBLEMS:
        lines.append(f"  and {len(bad) - _SHOWN_PROBLEMS} more")
    lines.append("Replace or remove them, or set `on_bad_image: skip` on the data set.")
    return "\n".join(lines)


def _refuse_emptied_classes(
    files: Sequence[ImageFile], good: Sequence[CheckedImage], label: str
) -> None:
    before = {(file.split, file.class_name) for file in files}
    emptied = sorted(before - {(image.split, image.class_name) for image in good})
    if emptied:
        names = ", ".join(f"{split}/{name}" for split, name in emptied[:_SHOWN_PROBLEMS])
        raise DataError(
            f"{label}: every class must have a readable image; none is left in {names}. "
            "Replace the broken images, or remove the folders."
        )


def _catalogue(images: Sequence[CheckedImage], classes: Sequence[str]) -> pa.Table:
    label_of = {name: label for label, name in enumerate(classes)}
    return pa.table(
        {
            "split": [image.split for image in images],
            "path": [image.path for image in images],
            "label": [label_of[image.class_name] for image in images],
            "sha256": [image.sha256 for image in images],
            "width": [image.width for image in images],
            "height": [image.height for image in images],
        },
        schema=_SCHEMA,
    )


def _place_files(images: Sequence[CheckedImage], folder: Path, *, move: bool) -> None:
    """Move files that we unpacked; copy the user's, and check that they still are what we saw."""
    for image in images:
        place = folder / image.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(image.content, Path):
            raise TypeError("an image of a file set has a file")
        if place.exists():
            raise DataError(f"{image.path}: two images have this name. Rename one of them.")
        if move:
            shutil.move(image.content, place)
            continue
        content = image.content.read_bytes()
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise DataError(
                f"{image.content}: images must not change while they are read; this one did. "
                "Run again."
            )
        place.write_bytes(content)
