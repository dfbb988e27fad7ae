"""Which images of a data set a cell trains on, validates on and is tested on.

Every choice follows the images' digests and a salt: it depends neither on names, nor on the order
in which images were found, nor on a random generator.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from foodvision.errors import DataError
from foodvision.hashing import digest_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.data.datasets import Dataset

Part = Literal["train", "valid", "test"]

SPLIT_SALT = "foodvision split 1"
VALID_SALT = "foodvision valid 1"
TAKE_SALT = "foodvision take 1"


@dataclass(frozen=True, eq=False)
class Selection:
    """Chosen images of one data set.

    Attributes:
        dataset: key of the data set.
        part: train, valid or test.
        rows: int64 [N], rows of the data set's table, ordered by (sha256, label).
        sha256: N digests of the images.
        labels: int64 [N], class indices.
        digest: sha256 over the ordered (sha256, label) lines: what a key should hold.
    """

    dataset: str
    part: str
    rows: np.ndarray
    sha256: tuple[str, ...]
    labels: np.ndarray
    digest: str

    def __len__(self) -> int:
        return len(self.sha256)


def select(
    dataset: Dataset,
    part: Part,
    *,
    valid: float = 0,
    fraction: float | None = None,
    count: int | None = None,
) -> Selection:
    """Choose a part of a data set: stratified, nested, and decided by the images alone.

    `valid` first sets a stratified share of the training images aside; `fraction` or `count` then
    takes from the rest. Of two choices from the same rest the smaller one is part of the larger
    one, whichever way each was asked for. With `part="valid"`, `fraction` and `count` change
    nothing; with `part="test"`, `valid` does not.

    Args:
        dataset: to choose from.
        part: `train` and `valid` come from the split "train", `test` from the split "test".
        valid: share of each class set aside, in [0, 1).
        fraction: share to take, in (0, 1]; classes keep their proportions (Sainte-Lague).
        count: images to take in all, >= number of classes.

    Raises:
        DataError: a number is out of range, more is asked for than there is, or a class would
            be left without an image.
    """
    _check_request(part, valid=valid, fraction=fraction, count=count)
    rows = _rows_of_split(dataset, "test" if part == "test" else "train")
    sha256, labels = _columns(dataset, rows)
    if part != "test" and valid:
        is_valid = set_aside(
            sha256, labels, valid, salt=VALID_SALT, classes=dataset.classes, name="valid"
        )
        keep = is_valid if part == "valid" else ~is_valid
        rows, sha256, labels = rows[keep], sha256[keep], labels[keep]
    if part != "valid":
        wanted = _wanted(len(rows), fraction=fraction, count=count)
        taken = take(sha256, labels, wanted, classes=dataset.classes)
        rows, sha256, labels = rows[taken], sha256[taken], labels[taken]
    order = np.lexsort((rows, labels, sha256))
    return _selection(dataset, part, rows[order], sha256[order], labels[order])


def set_aside(
    sha256: np.ndarray,
    labels: np.ndarray,
    share: float,
    *,
    salt: str,
    classes: Sequence[str],
    name: str,
) -> np.ndarray:
    """Mark a stratified share of the images; equal images are marked together.

    So no image lies on both sides, also where it is filed under two classes; of such classes a
    little more than the share may be set aside.

    Args:
        sha256: str [N].
        labels: int64 [N].
        share: of each class, in (0, 1); rounded to whole images, halves up.
        salt: makes this choice independent of others.
        classes: names by label, for messages.
        name: what messages call the share ("valid", "split").

    Returns:
        bool [N], true where the image is set aside.

    Raises:
        DataError: a class would have no image on one of the two sides.
    """
    ranks = _ranks(sha256, salt)
    marked = np.zeros(len(sha256), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.lexsort((sha256[members], ranks[members]))]
        cut = _cut_between_different(sha256[members], math.floor(share * len(members) + 0.5))
        marked[members[:cut]] = True
    marked |= np.isin(sha256, sha256[marked])  # an image filed under two classes
    for label in np.unique(labels):
        _check_sides(sha256[labels == label], marked[labels == label], classes[label], share, name)
    return marked


def _check_sides(
    sha256: np.ndarray, marked: np.ndarray, class_name: str, share: float, name: str
) -> None:
    if not 0 < marked.sum() < len(marked):
        raise DataError(
            f"{name}: {share} must leave every class an image on both sides; of the "
            f"{len(marked)} (different: {len(set(sha256))}) of class {class_name!r} it sets "
            f"{marked.sum()} aside. Add images, or choose another share."
        )


def take(
    sha256: np.ndarray, labels: np.ndarray, wanted: int, *, classes: Sequence[str]
) -> np.ndarray:
    """Return the positions of `wanted` images, classes in proportion, nested over `wanted`.

    Seats go to classes by the Sainte-Lague method (each next one to the class with the largest
    n / (2k + 1), k being the seats it has): unlike methods of largest remainders, one image more
    never takes one from another class, so smaller choices are parts of larger ones.

    Raises:
        DataError: a class would be left without an image.
    """
    turns = np.empty(len(sha256), dtype=np.float64)
    ranks = _ranks(sha256, TAKE_SALT)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.lexsort((members, sha256[members], ranks[members]))]
        turns[members] = (2 * np.arange(len(members)) + 1) / len(members)
    order = np.lexsort((labels, turns))
    chosen = order[:wanted]
    left_out = sorted(set(labels.tolist()) - set(labels[chosen].tolist()))
    if left_out:
        needed = _first_complete(labels[order])
        raise DataError(
            f"every class needs an image; {wanted} of {len(sha256)} leave out "
            f"{', '.join(repr(classes[label]) for label in left_out[:5])}. "
            f"Take at least {needed} (fraction {_round_up(needed / len(sha256))})."
        )
    return np.sort(chosen)


def _round_up(share: float) -> float:
    return min(1.0, math.ceil(share * 1000) / 1000)


def _first_complete(labels: np.ndarray) -> int:
    _, first = np.unique(labels, return_index=True)
    return int(first.max()) + 1


def _cut_between_different(sha256: np.ndarray, cut: int) -> int:
    """Move the cut up (at the end: down) until equal images lie on one side."""
    start = cut
    while 0 < cut < len(sha256) and sha256[cut - 1] == sha256[cut]:
        cut += 1
    if cut == len(sha256) > start > 0:
        cut = start
        while cut > 0 and sha256[cut - 1] == sha256[cut]:
            cut -= 1
    return cut


def _ranks(sha256: np.ndarray, salt: str) -> np.ndarray:
    return np.array(
        [
            int.from_bytes(hashlib.sha256(f"{salt}:{image}".encode()).digest()[:8], "big")
            for image in sha256
        ],
        dtype=np.uint64,
    )


def _wanted(available: int, *, fraction: float | None, count: int | None) -> int:
    if count is not None:
        if count > available:
            raise DataError(
                f"count: {count} images were asked for, there are {available}. "
                "Lower `count`, or leave it out to take all."
            )
        return count
    return available if fraction is None else math.floor(fraction * available + 0.5)


def _check_request(part: str, *, valid: float, fraction: float | None, count: int | None) -> None:
    if part not in ("train", "valid", "test"):
        raise DataError(f"part must be train, valid or test, got {part!r}.")
    if not 0 <= valid < 1:
        raise DataError(f"valid must be a share in [0, 1), got {valid}.")
    if part == "valid" and not valid:
        raise DataError("valid: nothing was set aside. Set `valid: 0.2` in the plan's base.")
    if fraction is not None and count is not None:
        raise DataError(
            f"fraction ({fraction}) and count ({count}) exclude each other. Leave one of them out."
        )
    if fraction is not None and not 0 < fraction <= 1:
        raise DataError(f"fraction must be in (0, 1], got {fraction}.")
    if count is not None and count < 1:
        raise DataError(f"count must be at least 1, got {count}.")


def _rows_of_split(dataset: Dataset, split: str) -> np.ndarray:
    splits = np.asarray(dataset.table.column("split").to_pylist(), dtype=str)
    rows = np.flatnonzero(splits == split).astype(np.int64)
    if not len(rows):
        raise DataError(
            f"data set {dataset.key[:12]}: has no {split} images (its splits: "
            f"{', '.join(sorted(set(splits.tolist())))}). Set `split: 0.2` on the data set, or "
            f"name another one for `{'test' if split == 'test' else 'data'}`."
        )
    return rows


def _columns(dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    part = dataset.table.select(["sha256", "label"]).take(rows)
    sha256 = np.asarray(part.column("sha256").to_pylist(), dtype=str)
    return sha256, np.asarray(part.column("label").to_pylist(), dtype=np.int64)


def _selection(
    dataset: Dataset, part: str, rows: np.ndarray, sha256: np.ndarray, labels: np.ndarray
) -> Selection:
    images = tuple(sha256.tolist())
    lines = (f"{image} {label}" for image, label in zip(images, labels.tolist(), strict=True))
    return Selection(
        dataset=dataset.key,
        part=part,
        rows=rows,
        sha256=images,
        labels=labels,
        digest=digest_lines(lines),
    )
