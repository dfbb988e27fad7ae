"""Data sets that are arrays rather than files: small images of one size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foodvision.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

EMBEDDED = ("digits",)
EMBEDDED_SPLIT = 0.2
_DIGITS_WHITE = 16


@dataclass(frozen=True, eq=False)
class ArraySet:
    """Images of one size, in memory.

    Attributes:
        images: uint8 [N, H, W] (grey) or [N, H, W, 3].
        labels: int64 [N], indices of `class_names`.
        splits: N of train, test or all.
        class_names: by label, in the publisher's order.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: Sequence[str]
    class_names: tuple[str, ...]


def array_sha256(image: np.ndarray) -> str:
    """Return the sha256 of an image's shape and bytes, uint8 [H, W] or [H, W, 3]."""
    shape = "x".join(map(str, image.shape))
    return hashlib.sha256(f"uint8 {shape}\n".encode() + image.tobytes()).hexdigest()


def catalogued_path(split: str, class_name: str, name: str) -> str:
    """Return what an image without a place of its own is called: `<split>/<class>/<name>`.

    Without the split where it is "all"; a slash in the class becomes a dash.
    """
    folder = class_name.replace("/", "-")
    return f"{folder}/{name}" if split == "all" else f"{split}/{folder}/{name}"


def load_embedded(name: str) -> ArraySet:
    """Load a set that ships with scikit-learn and needs no network.

    `digits`: 1,797 handwritten digits of 8 x 8 pixels (UCI, Alpaydin and Kaynak, 1998). Its grey
    levels 0 to 16 become 0 to 255. It has no splits of its own.

    Raises:
        DataError: there is no such set.
    """
    if name not in EMBEDDED:
        raise DataError(
            f"source 'sklearn:{name}': embedded sets are {', '.join(EMBEDDED)}. "
            "Write sklearn:digits."
        )
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / _DIGITS_WHITE)).astype(np.uint8)
    return ArraySet(
        images=images,
        labels=digits.target.astype(np.int64),
        splits=["all"] * len(images),
        class_names=tuple(str(number) for number in digits.target_names),
    )
