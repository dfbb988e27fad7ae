"""Rows of numbers per image under one recipe, computed once and shared by all who ask.

A bank is the mechanism behind `pixels` and `features`: its rows lie in shards, entries of the
store that are never changed. What is missing when somebody asks becomes one more shard.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foodvision.errors import DiskFullError, StoreError
from foodvision.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from foodvision.store import Store

ROWS_FILE = "rows.npy"
IMAGES_FILE = "images.parquet"
IN_MEMORY_BYTES = 256 << 20


@dataclass(frozen=True)
class _Shard:
    key: str
    path: Path
    positions: Mapping[str, int]

    def rows(self) -> np.ndarray:
        rows: np.ndarray = np.load(self.path / ROWS_FILE, mmap_mode="r", allow_pickle=False)
        return rows


class Rows:
    """Rows of a list of images, in the order of the list; equal images share a row on disk."""

    def __init__(
        self,
        shards: Sequence[np.ndarray],
        shard_of: np.ndarray,
        position_of: np.ndarray,
        row_shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        """Lay a list over shards.

        Args:
            shards: arrays [M, *row_shape], usually memory-mapped.
            shard_of: int64 [N], which shard holds the row of each image.
            position_of: int64 [N], where in that shard.
            row_shape: of one row.
            dtype: of the rows.
        """
        self._shards = shards
        self._shard_of = shard_of
        self._position_of = position_of
        self._gathered: np.ndarray | None = None
        self.row_shape = row_shape
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self._shard_of)

    @property
    def size_bytes(self) -> int:
        """Bytes that `all()` returns."""
        return len(self) * math.prod(self.row_shape) * self.dtype.itemsize

    @property
    def fits_in_memory(self) -> bool:
        """Whether the rows are few enough (256 MiB) to be kept in memory once read."""
        return self.size_bytes <= IN_MEMORY_BYTES

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows at `indices`.

        Small sets of rows are read once and kept in memory; large ones come from the disk.

        Args:
            indices: int64 [n], positions in the list.

        Returns:
            A new array [n, *row_shape].
        """
        if not self.fits_in_memory:
            return self._read(np.asarray(indices, dtype=np.int64))
        if self._gathered is None:
            self._gathered = self._read(np.arange(len(self)))
        rows: np.ndarray = self._gathered[indices]
        return rows

    def all(self) -> np.ndarray:
        """Return every row, [N, *row_shape], as a new array."""
        return self._read(np.arange(len(self)))

    def _read(self, indices: np.ndarray) -> np.ndarray:
        rows = np.empty((len(indices), *self.row_shape), dtype=self.dtype)
        shard_of, position_of = self._shard_of[indices], self._position_of[indices]
        for number in np.unique(shard_of):
            places = np.flatnonzero(shard_of == number)
            rows[places] = self._shards[number][position_of[places]]
        return rows


class Bank:
    """All rows that one recipe ever gave, by the sha256 of the image."""

    def __init__(
        self, store: Store, kind: str, recipe: str, row_shape: tuple[int, ...], dtype: str
    ) -> None:
        """Open a bank; nothing is read yet.

        Args:
            store: where shards lie, as entries of the kind `<kind>-shard`.
            kind: `pixels` or `features`.
            recipe: key of everything that decides a row, besides the image.
            row_shape: of one row.
            dtype: numpy's name of the rows' type.
        """
        self.store = store
        self.kind = kind
        self.recipe = recipe
        self.row_shape = tuple(row_shape)
        self.dtype = np.dtype(dtype)
        self._read_shards: dict[str, _Shard | None] = {}

    def missing(self, sha256: Iterable[str]) -> list[str]:
        """Return the images without a row, each once, in the order of their first mention."""
        known = {image for shard in self._shards() for image in shard.positions}
        return [image for image in dict.fromkeys(sha256) if image not in known]

    def add(
        self,
        sha256: Sequence[str],
        compute: Callable[[Sequence[str]], Iterator[np.ndarray]],
        *,
        inputs: Mapping[str, Any],
        code_version: int,
    ) -> int:
        """Compute the rows that are missing, once among all processes.

        Args:
            sha256: images wanted; those that have a row, and repetitions, cost nothing.
            compute: gets the images to compute, yields blocks [n, *row_shape] in their order.
            inputs: what the recipe's key was made of, for the manifest.
            code_version: of the stage.

        Returns:
            Rows computed by this call. While it waits for another process that computes the
            same, it does nothing; what that one computed does not count.

        Raises:
            StoreError: `compute` gave rows of another shape or number. Nothing is kept then.
        """
        with self.store.lock(f"{self.kind}-{self.recipe}"):
            self._set_damaged_aside()
            wanted = self.missing(sha256)
            if wanted:
                self._write_shard(wanted, compute(wanted), inputs, code_version)
            return len(wanted)

    def open(self, sha256: Sequence[str]) -> Rows:
        """Return the rows of a list of images, in its order; repetitions are fine.

        Raises:
            StoreError: an image has no row yet.
        """
        shards = list(self._shards())
        places: dict[str, tuple[int, int]] = {}
        for number, shard in enumerate(shards):
            for image, position in shard.positions.items():
                places.setdefault(image, (number, position))
        absent = [image for image in dict.fromkeys(sha256) if image not in places]
        if absent:
            raise StoreError(
                f"{self.kind} {self.recipe[:12]}: every image must have its row; {len(absent)} of "
                f"{len(set(sha256))} have none (first: {absent[0][:12]}). Run the plan again."
            )
        found = np.array([places[image] for image in sha256], dtype=np.int64).reshape(-1, 2)
        arrays = [shard.rows() for shard in shards]
        return Rows(arrays, found[:, 0], found[:, 1], self.row_shape, self.dtype)

    def _write_shard(
        self,
        images: Sequence[str],
        blocks: Iterator[np.ndarray],
        inputs: Mapping[str, Any],
        code_version: int,
    ) -> None:
        key = digest({"recipe": self.recipe, "images": list(images)})
        stated = {**inputs, "recipe": self.recipe, "images": digest(list(images))}
        with self.store.writing(
            self._shard_kind, key, inputs=stated, code_version=code_version
        ) as writer:
            self._write_rows(writer.path / ROWS_FILE, len(images), blocks)
            table = pa.table({"sha256": pa.array(images, pa.string())})
            pq.write_table(table, writer.path / IMAGES_FILE)
            writer.notes["recipe"] = self.recipe
            writer.work["images"] = len(images)

    def _write_rows(self, path: Path, count: int, blocks: Iterator[np.ndarray]) -> None:
        rows = self._allot(path, count)
        written = 0
        for block in blocks:
            self._check_block(block, room=count - written)
            rows[written : written + len(block)] = block
            written += len(block)
        if written != count:
            raise StoreError(
                f"{self.kind} {self.recipe[:12]}: {count} images must give as many rows, "
                f"got {written}. This is a defect of the stage, please report it."
            )
        rows.flush()

    def _allot(self, path: Path, count: int) -> np.memmap[Any, np.dtype[Any]]:
        """Make the file and take its space: a mapped file that grows on a full disk kills."""
        size = count * math.prod(self.row_shape) * self.dtype.itemsize
        free = shutil.disk_usage(path.parent).free
        try:
            if free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            rows = np.lib.format.open_memmap(
                path, mode="w+", dtype=self.dtype, shape=(count, *self.row_shape)
            )
            if hasattr(os, "posix_fallocate"):
                with path.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise DiskFullError(
                f"{self.kind} {self.recipe[:12]}: its rows need {size:,} bytes on the disk of "
                f"{self.store.root}, which has {free:,} free ({error.strerror}). Make room "
                "(`foodvision store gc`), or set FOODVISION_HOME to a larger disk."
            ) from error
        return rows

    def _check_block(self, block: np.ndarray, *, room: int) -> None:
        fits = block.shape[1:] == self.row_shape and block.dtype == self.dtype
        if not fits or len(block) > room:
            raise StoreError(
                f"{self.kind} {self.recipe[:12]}: blocks must be {self.dtype} "
                f"[at most {room}, {', '.join(map(str, self.row_shape))}], got {block.dtype} "
                f"{list(block.shape)}. This is a defect of the stage, please report it."
            )

    @property
    def _shard_kind(self) -> str:
        return f"{self.kind}-shard"

    def _shards(self) -> Iterator[_Shard]:
        """Yield the whole shards of this recipe; an entry is read once per bank object."""
        for key in self.store.keys(self._shard_kind):
            if key not in self._read_shards:
                try:
                    self._read_shards[key] = self._read_shard(key)
                except StoreError:
                    self._read_shards[key] = None  # its rows are missing; `add` sets it aside
            shard = self._read_shards[key]
            if shard is not None:
                yield shard

    def _read_shard(self, key: str) -> _Shard | None:
        """Return a shard of this recipe, `None` if it is of another one.

        Raises:
            StoreError: it is damaged.
        """
        entry = self.store.get(self._shard_kind, key)
        if entry.notes.get("recipe") != self.recipe:
            return None
        if problems := self.store.verify(self._shard_kind, key, checksums=False):
            raise StoreError(problems[0])
        return _Shard(key, entry.path, _positions(entry.path / IMAGES_FILE))

    def _set_damaged_aside(self) -> None:
        for key in list(self.store.keys(self._shard_kind)):
            try:
                self._read_shards[key] = self._read_shard(key)
            except StoreError as damage:
                self._read_shards.pop(key, None)
                with contextlib.suppress(FileNotFoundError):  # another process was quicker
                    aside = self.store.set_aside(self._shard_kind, key)
                    warnings.warn(
                        f"{self.kind} {self.recipe[:12]}: a damaged shard was set aside ({aside}); "
                        f"its rows are computed again. {damage}",
                        stacklevel=3,
                    )


def _positions(path: Path) -> dict[str, int]:
    try:
        images = pq.read_table(path).column("sha256").to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise StoreError(
            f"{path}: a shard lists its images in a column sha256, this one cannot be read "
            f"({error}). Run `foodvision store verify`: it sets damaged entries aside."
        ) from error
    return {image: position for position, image in enumerate(images)}
