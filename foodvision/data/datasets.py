"""The dataset stage: a source in, a checked and catalogued set of images in the store out."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from foodvision.data.archives import extract
from foodvision.data.array_sets import EMBEDDED_SPLIT, ArraySet, load_embedded
from foodvision.data.catalogue import (
    ARRAYS_FILE,
    CATALOGUE_FILE,
    FILES_FOLDER,
    CheckedImage,
    Draft,
    OnBadImage,
    assign_splits,
    check_split,
    draft_arrays,
    draft_files,
    write_catalogue,
)
from foodvision.data.images import read_image
from foodvision.data.layouts import check_classes, read_layout
from foodvision.data.sources import (
    Finding,
    Location,
    fingerprint,
    locate,
    read_finding,
    write_finding,
)
from foodvision.errors import DataError
from foodvision.hashing import digest, digest_lines, file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from foodvision.data.layouts import ImageFile
    from foodvision.home import Home
    from foodvision.progress import Progress
    from foodvision.store import Store

logger = logging.getLogger(__name__)

KIND = "dataset"
CODE_VERSION = 2  # 2: equal images are split together, whatever their classes


@dataclass(frozen=True, eq=False)
class Dataset:
    """A catalogued set of images in the store.

    Attributes:
        key: of the store's entry of kind "dataset"; its notes hold digest, classes, source,
            splits (images per split), bad_images and ignored.
        digest: sha256 over the sorted "relative path<space>sha256" lines of its images.
        classes: class names, sorted; a label is an index into them.
        table: one row per image, sorted by (split, path): split (train or test), path (relative,
            with `/`), label (int64), sha256 (of the file; of shape and bytes for arrays), width
            and height (int64, pixels, upright).
        folder: where the entry lies.
    """

    key: str
    digest: str
    classes: tuple[str, ...]
    table: pa.Table
    folder: Path

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def read(self, row: int) -> Image.Image:
        """Read one image: upright, "RGB"; or "L" in a grey array set.

        Args:
            row: of the table.

        Raises:
            DataError: the file cannot be read or is broken.
        """
        if self._arrays is not None:
            return Image.fromarray(np.ascontiguousarray(self._arrays[row]))
        return read_image(self.folder / FILES_FOLDER / self._paths[row])

    @cached_property
    def _paths(self) -> list[str]:
        paths: list[str] = self.table.column("path").to_pylist()
        return paths

    @cached_property
    def _arrays(self) -> np.ndarray | None:
        path = self.folder / ARRAYS_FILE
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None


def fetch_dataset(
    source: str,
    *,
    store: Store,
    home: Home,
    base: Path,
    split: float | None,
    sha256: str | None,
    on_bad_image: OnBadImage,
    progress: Progress,
    refresh: bool,
) -> Dataset:
    """Fetch a source, check every image and put the set into the store; or find all that done.

    Folder layouts are those of `layouts.read_layout` (so `val`, `valid` or `validation` stand in
    for a missing `test`). A set without a test split gets one from `split`: a stratified share,
    chosen by image digests. `sklearn:digits` has no splits either; there, `split` is 0.2 unless
    it is given.

    Args:
        source: see `sources.locate`.
        store: where the set goes.
        home: where downloads and the index of sources lie.
        base: folder that relative paths start from.
        split: share of each class, in (0, 1), for a test split; None where the set has its own.
        sha256: that the archive must have; for folders, torchvision's and embedded sets, which
            are no single file, the digest of the data set.
        on_bad_image: fail with a list of all broken images, or leave them out (and note them).
        progress: told of bytes and images.
        refresh: ask a web server again whether a file that is known has changed. Local files are
            always looked at.

    Raises:
        DataError: the source cannot be had, is not what sha256 says, or is no usable data set.
    """
    location, split, sha256 = _resolve(source, base, split, sha256)
    with store.lock(f"source-{location.identity[:32]}"):
        known = _known(location, store, home, split, sha256, on_bad_image)
        if known is not None and not (refresh and location.kind == "url"):
            return known
        request = _Request(location, store, home, split, sha256, on_bad_image, progress, refresh)
        return request.fulfil()


def known_dataset(
    source: str,
    *,
    store: Store,
    home: Home,
    base: Path,
    split: float | None,
    sha256: str | None,
    on_bad_image: OnBadImage,
) -> Dataset | None:
    """Return what a source was found to be, if it is still in the store; None if unknown.

    Asks no network and reads no image; of local files it looks at sizes and times.

    Raises:
        DataError: the source or `split` cannot mean anything.
    """
    location, split, sha256 = _resolve(source, base, split, sha256)
    return _known(location, store, home, split, sha256, on_bad_image)


def open_dataset(store: Store, key: str) -> Dataset:
    """Open a data set of the store; reads its catalogue, no image.

    Raises:
        StoreError: there is none.
        DataError: its catalogue is damaged.
    """
    entry = store.get(KIND, key)
    try:
        table = pq.read_table(entry.path / CATALOGUE_FILE, memory_map=False)
        return Dataset(
            key=key,
            digest=entry.notes["digest"],
            classes=tuple(entry.notes["classes"]),
            table=table,
            folder=entry.path,
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DataError(
            f"{entry.path}: the data set's catalogue cannot be read ({error}). Run "
            "`foodvision store verify`, then the plan again."
        ) from error


def _resolve(
    source: str, base: Path, split: float | None, sha256: str | None
) -> tuple[Location, float | None, str | None]:
    location = locate(source, base=base)
    if split is not None and not 0 < split < 1:
        raise DataError(f"{source}: split must be a share in (0, 1), got {split}.")
    if split is None and location.kind == "sklearn":
        split = EMBEDDED_SPLIT
    return location, split, sha256.lower() if sha256 else None


def _index_name(location: Location, split: float | None, on_bad_image: str) -> str:
    return digest(
        {
            "place": location.identity,
            "split": split,
            "on_bad_image": on_bad_image,
            "code_version": CODE_VERSION,
        }
    )


def _known(
    location: Location,
    store: Store,
    home: Home,
    split: float | None,
    sha256: str | None,
    on_bad_image: str,
) -> Dataset | None:
    finding = read_finding(home.sources, _index_name(location, split, on_bad_image))
    if finding is None or not store.has(KIND, finding.key):
        return None
    if not finding.satisfies(sha256) or not finding.is_current():
        return None
    if problems := store.verify(KIND, finding.key, checksums=False):
        kept = store.set_aside(KIND, finding.key)
        logger.warning("a data set is damaged and is fetched again (%s): %s", problems[0], kept)
        return None
    return open_dataset(store, finding.key)


@dataclass(frozen=True)
class _Request:
    """One call of `fetch_dataset`, with the source's lock held."""

    location: Location
    store: Store
    home: Home
    split: float | None
    sha256: str | None
    on_bad_image: OnBadImage
    progress: Progress
    refresh: bool

    @property
    def label(self) -> str:
        return self.location.written

    @property
    def index_name(self) -> str:
        return _index_name(self.location, self.split, self.on_bad_image)

    def fulfil(self) -> Dataset:
        ways = {"url": self._fetch_url, "path": self._fetch_path}
        try:
            return ways.get(self.location.kind, self._fetch_set)()
        except OSError as error:
            raise DataError(
                f"{self.label}: could not be read, or not be kept ({error}). Check that the files "
                f"are still there, their permissions, and the space on the disk of "
                f"{self.home.root}."
            ) from error

    def _fetch_url(self) -> Dataset:
        from foodvision.data.downloads import download

        fetched = download(
            self.location.value,
            self.home.downloads / self.location.identity,
            label=self.label,
            sha256=self.sha256,
            refresh=self.refresh,
            progress=self.progress,
        )
        return self._open_archive(fetched.path, fetched.sha256, watched=None, seen=None)

    def _fetch_path(self) -> Dataset:
        path = self.location.path
        seen = fingerprint(path)  # before reading: a change while we read is then noticed later
        if seen is None:
            raise self.location.nothing_there()
        if path.is_file():
            return self._open_archive(path, file_sha256(path), watched=path, seen=seen)
        draft = self._read_folder(path, may_move_files=False)
        return self._conclude(draft, content=None, watched=path, seen=seen)

    def _fetch_set(self) -> Dataset:
        if self.location.kind == "sklearn":
            draft = draft_arrays(load_embedded(self.location.value))
            return self._conclude(draft, content=None, watched=None, seen=None)
        from foodvision.data.torchvision_sets import load_published

        with self._scratch() as scratch:
            published = load_published(
                self.location.value, home=self.home, scratch=scratch, progress=self.progress
            )
            watched = published.watched
            seen = fingerprint(watched) if watched is not None else None
            if isinstance(published.content, ArraySet):
                draft = draft_arrays(published.content)
            else:
                draft = self._draft_files(published.content)
            return self._conclude(draft, content=None, watched=watched, seen=seen)

    def _open_archive(
        self, archive: Path, content: str, *, watched: Path | None, seen: str | None
    ) -> Dataset:
        if self.sha256 is not None and content != self.sha256:
            raise DataError(
                f"{self.label}: the file's sha256 must be {self.sha256}, {archive} has {content}. "
                "If the file changed on purpose, put the new sha256 into the plan."
            )
        known = read_finding(self.home.sources, self.index_name)
        if known is not None and known.content == content and self.store.has(KIND, known.key):
            self._remember(replace(known, watched=_text(watched), fingerprint=seen))
            return open_dataset(self.store, known.key)
        with self._scratch() as scratch:
            extract(archive, scratch, label=self.label, progress=self.progress)
            draft = self._read_folder(scratch, may_move_files=True)
            return self._conclude(draft, content=content, watched=watched, seen=seen)

    def _read_folder(self, folder: Path, *, may_move_files: bool) -> Draft:
        layout = read_layout(folder, label=self.label)
        draft = self._draft_files(layout.images)
        return replace(draft, ignored=layout.ignored, may_move_files=may_move_files)

    def _draft_files(self, files: Sequence[ImageFile]) -> Draft:
        check_split({file.split for file in files}, self.split, label=self.label)
        check_classes(((file.split, file.class_name) for file in files), label=self.label)
        return draft_files(
            files,
            label=self.label,
            on_bad_image=self.on_bad_image,
            sizes=self._sizes_known(),
            progress=self.progress,
        )

    def _sizes_known(self) -> dict[str, tuple[int, int]]:
        """Return sizes by digest of what this source held before: images that were checked."""
        known = read_finding(self.home.sources, self.index_name)
        if known is None or not self.store.has(KIND, known.key):
            return {}
        table = open_dataset(self.store, known.key).table
        columns = (table.column(name).to_pylist() for name in ("sha256", "width", "height"))
        return {image: (width, height) for image, width, height in zip(*columns, strict=True)}

    def _conclude(
        self, draft: Draft, *, content: str | None, watched: Path | None, seen: str | None
    ) -> Dataset:
        images = assign_splits(draft.images, self.split, label=self.label)
        classes = check_classes(
            ((image.split, image.class_name) for image in images), label=self.label
        )
        content_digest = digest_lines(sorted(f"{image.path} {image.sha256}" for image in images))
        if content is None and self.sha256 not in (None, content_digest):
            raise DataError(
                f"{self.label}: is no single file, so its sha256 is the data set's digest, which "
                f"must be {self.sha256}; found {content_digest}. Correct or remove the sha256."
            )
        inputs = {
            "digest": content_digest,
            "classes": list(classes),
            "split": self.split,
            "on_bad_image": self.on_bad_image,
            "code_version": CODE_VERSION,
        }
        key = digest(inputs)
        if not self.store.has(KIND, key):
            self._write(key, inputs, images, classes, draft)
        finding = Finding(key, content_digest, content, _text(watched), seen)
        self._remember(finding)
        return open_dataset(self.store, key)

    def _write(
        self,
        key: str,
        inputs: Mapping[str, Any],
        images: Sequence[CheckedImage],
        classes: Sequence[str],
        draft: Draft,
    ) -> None:
        with self.store.writing(KIND, key, inputs=inputs, code_version=CODE_VERSION) as writer:
            write_catalogue(writer.path, images, classes, draft)
            writer.notes.update(
                digest=inputs["digest"],
                classes=list(classes),
                source=self.label,
                splits=dict(Counter(image.split for image in images)),
                bad_images=list(draft.bad_images),
                ignored=dict(draft.ignored),
            )
            writer.work["images"] = len(images)
            writer.work["bytes"] = _size_bytes(writer.path)

    def _remember(self, finding: Finding) -> None:
        write_finding(self.home.sources, self.index_name, finding, written=self.label)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give an empty folder; what a killed process left there is removed first."""
        folder = self.home.downloads / f"unpacking-{self.location.identity[:32]}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
