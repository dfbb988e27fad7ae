"""The content-addressed store: a stage is finished if and only if its directory exists.

Layout: `<root>/<kind>/<key[:2]>/<key>/`, with a `manifest.json` in each. An entry is written to a
temporary neighbour, fsynced and renamed, so that a process may die at any moment and leave nothing
half done. Small entries are renamed first and fsynced together (`flushing_together`); a marker says
so, for the case that the system dies in between.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import BaseFileLock, FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from foodvision.errors import StoreError
from foodvision.files import (
    Flushing,
    flush_files,
    full_disk,
    lacks_room,
    telling_full_disk,
)
from foodvision.hashing import file_sha256
from foodvision.leases import (
    Lease,
    forget_dead,
    is_over,
    may_have_died_with_system,
    own_lease,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_TEMPORARY = "tmp"
_LOCKS = "locks"
_SET_ASIDE = "damaged"
_MARKER_SUFFIX = ".unflushed"
_CLOCK_SECONDS = 2.0  # file systems round the time of a file down, some to two seconds
_RESERVED = {_TEMPORARY, _LOCKS, _SET_ASIDE}


@dataclass(frozen=True)
class _File:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Manifest:
    inputs: dict[str, Any]
    notes: dict[str, Any]
    work: dict[str, float]
    seconds: float
    written_at: datetime
    files: dict[str, _File]


_MANIFEST = TypeAdapter(_Manifest)


@dataclass(frozen=True)
class Entry:
    """A finished stage."""

    kind: str
    key: str
    path: Path
    manifest: Mapping[str, Any]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What the key was made of, in full."""
        inputs: Mapping[str, Any] = self.manifest["inputs"]
        return inputs

    @property
    def notes(self) -> Mapping[str, Any]:
        """What the stage recorded beside its files."""
        notes: Mapping[str, Any] = self.manifest["notes"]
        return notes

    @property
    def work(self) -> Mapping[str, float]:
        """Counted work: epochs, images, bytes."""
        work: Mapping[str, float] = self.manifest["work"]
        return work

    @property
    def seconds(self) -> float:
        """Wall time that computing the entry took."""
        return float(self.manifest["seconds"])

    @property
    def size_bytes(self) -> int:
        """Bytes of the entry's files, without the manifest."""
        return sum(int(file["bytes"]) for file in self.manifest["files"].values())


@dataclass
class Writer:
    """An entry on its way: files go to `path`; `work`, `notes` and `seconds` to the manifest.

    `seconds` is the time from the opening of the writer unless the stage sets it.
    """

    path: Path
    work: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Store:
    """The directory of finished stages.

    Attributes:
        root: of the directory.
        wait: takes a lock that another process holds, as soon as it lets go.
    """

    root: Path
    wait: Callable[[BaseFileLock], object] = field(
        default=BaseFileLock.acquire, repr=False, compare=False
    )

    def path(self, kind: str, key: str) -> Path:
        """Return where the entry lies, or would lie."""
        return self.root / kind / key[:2] / key

    def has(self, kind: str, key: str) -> bool:
        """Say whether the stage is finished."""
        return self.path(kind, key).is_dir()

    def get(self, kind: str, key: str) -> Entry:
        """Open a finished stage.

        Raises:
            StoreError: there is none, or its manifest cannot be read.
        """
        path = self.path(kind, key)
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StoreError(
                f"{path}: a finished stage has a {MANIFEST}, this one has none. "
                "Run the plan again; what is missing is computed anew."
            ) from error
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path / MANIFEST}: cannot be read ({error}). Run `foodvision store verify`: "
                "it sets damaged entries aside."
            ) from error
        try:
            _MANIFEST.validate_python(manifest)
        except ValidationError as error:
            wrong = sorted({".".join(map(str, problem["loc"])) for problem in error.errors()})
            raise StoreError(
                f"{path / MANIFEST}: a manifest has {', '.join(_Manifest.__annotations__)}; this "
                f"one lacks or spoils {', '.join(filter(None, wrong)) or 'all of it'}. Run "
                "`foodvision store verify`: it sets damaged entries aside."
            ) from error
        return Entry(kind=kind, key=key, path=path, manifest=manifest)

    @contextlib.contextmanager
    def writing(
        self,
        kind: str,
        key: str,
        *,
        inputs: Mapping[str, Any],
        code_version: int,
        replaces: bool = False,
    ) -> Iterator[Writer]:
        """Write an entry; it exists, whole, when the block ends without an error.

        If another process has finished the same key in the meantime, its entry stays and this one
        is dropped: equal keys hold equal results.

        Args:
            kind: of the stage.
            key: of the stage.
            inputs: what the key was made of.
            code_version: of the stage.
            replaces: an entry that is there says too little and goes; hold a lock for that.

        Raises:
            DiskFullError: the disk has no room for it; nothing of it stays.
        """
        with telling_full_disk(self.path(kind, key)):
            temporary = self._temporary(key)
            temporary.mkdir(parents=True)
            writer = Writer(path=temporary)
            started = time.perf_counter()
            try:
                yield writer
                if writer.seconds is None:
                    writer.seconds = time.perf_counter() - started
                files = self._seal(
                    writer, kind=kind, key=key, inputs=inputs, code_version=code_version
                )
                if self._late.is_open:
                    self._late.mark()
                else:
                    flush_files([*(temporary / name for name in files), temporary])
                if replaces:
                    self.remove(kind, key)
                if self._publish(temporary, self.path(kind, key)):
                    self._late.note(kind, key, files)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    @contextlib.contextmanager
    def flushing_together(self) -> Iterator[None]:
        """Let the entries of this block be finished first, and then flushed together.

        A flush takes milliseconds, longer than a small stage. They are flushed once a second, and
        at the end of the block. Until then a marker in the store says that they are not: should
        the system itself die, `remove_leftovers` looks at every byte of them.

        Raises:
            StoreError: the disk did not take them. None of those that waited for the flush stays.
        """
        with self._late.together():
            yield

    @cached_property
    def _late(self) -> _LateEntries:
        return _LateEntries(self)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock `name` among processes; it dies with its process."""
        folder = self.root / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(folder / f"{name}.lock")
        try:
            held.acquire(blocking=False)
        except Timeout:
            self.wait(held)
        try:
            yield
        finally:
            held.release()

    def alias(self, kind: str, key: str, *, target: str) -> None:
        """Let `key` name the entry of `target` too (a state inside a longer span)."""
        link = self.path(kind, key)
        if link.exists():
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            if link.is_symlink():
                link.unlink(missing_ok=True)  # its target was collected
            link.symlink_to(Path("..") / target[:2] / target, target_is_directory=True)

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of stages that lie here, sorted."""
        if not self.root.is_dir():
            return ()
        names = (path.name for path in self.root.iterdir() if path.is_dir())
        return tuple(sorted(name for name in names if name not in _RESERVED))

    def entries(self, kind: str) -> Iterator[Entry]:
        """Yield every finished stage of a kind, without aliases, sorted by key.

        Raises:
            StoreError: the manifest of one cannot be read.
        """
        for key in self.keys(kind):
            yield self.get(kind, key)

    def readable(self, kind: str) -> Iterator[Entry]:
        """Yield `entries`, but pass over those whose manifest cannot be read."""
        for key in self.keys(kind):
            with contextlib.suppress(StoreError):
                yield self.get(kind, key)

    def keys(self, kind: str) -> Iterator[str]:
        """Yield the keys of `entries`, also of those whose manifest cannot be read."""
        for path in sorted((self.root / kind).glob("??/*")):
            if path.is_dir() and not path.is_symlink():
                yield path.name

    def verify(self, kind: str, key: str, *, checksums: bool = True) -> list[str]:
        """Compare an entry's files with its manifest; return what is wrong.

        Args:
            kind: of the stage.
            key: of the stage.
            checksums: read every byte; otherwise only presence and sizes are compared.
        """
        try:
            entry = self.get(kind, key)
        except StoreError as error:
            return [str(error)]
        problems = []
        for name, expected in entry.manifest["files"].items():
            path = entry.path / name
            if not path.is_file():
                problems.append(f"{path}: is missing")
            elif path.stat().st_size != expected["bytes"]:
                problems.append(
                    f"{path}: has {path.stat().st_size} bytes, written were {expected['bytes']}"
                )
            elif checksums and expected["sha256"] != file_sha256(path):
                problems.append(f"{path}: its bytes changed since they were written")
        return problems

    def set_aside(self, kind: str, key: str) -> Path:
        """Move a damaged entry out of the way, so that it is computed again; return where to."""
        target = self.root / _SET_ASIDE / f"{kind}-{key[:16]}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path(kind, key).rename(target)
        return target

    def remove(self, kind: str, key: str) -> None:
        """Delete an entry: first out of sight, then from the disk."""
        doomed = self._temporary(key)
        doomed.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path(kind, key).rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder; it goes when the block ends, or with the leftovers of the dead."""
        folder = self._temporary("scratch")
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove_leftovers(self) -> int:
        """Delete what processes of this machine left when they died: half written, or to try on.

        Where the whole system died, entries that it may have torn are set aside, with a warning.

        Returns:
            The number of folders that were deleted.
        """
        removed = 0
        self._look_at_unflushed()
        for path in (self.root / _TEMPORARY).glob("*"):
            lease = Lease.parse(path.name.partition(".")[0])
            if lease and is_over(self.leases, lease):
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
        forget_dead(self.leases)
        return removed

    def _look_at_unflushed(self) -> None:
        """Set aside what was torn where a system died before it had flushed what was finished."""
        for marker in self.leases.glob(f"*{_MARKER_SUFFIX}"):
            lease = Lease.parse(marker.stem)
            if lease is None or not is_over(self.leases, lease):
                continue
            if may_have_died_with_system(lease):
                self._set_torn_aside(since=_read_time(marker))
            else:
                os.sync()  # the system still has all that the process wrote
            marker.unlink(missing_ok=True)

    def _set_torn_aside(self, *, since: float) -> None:
        for kind in self.kinds():
            for key in list(self.keys(kind)):
                if self.path(kind, key).stat().st_mtime < since:
                    continue
                if problems := self.verify(kind, key):
                    logger.warning(
                        "%s %s was not flushed to the disk when the system ended, and is computed "
                        "again (%s); what was there lies in %s",
                        kind,
                        key[:12],
                        problems[0],
                        self.set_aside(kind, key),
                    )

    @property
    def leases(self) -> Path:
        """Where processes that use the store show that they live."""
        return self.root / _LOCKS

    def _temporary(self, key: str) -> Path:
        name = f"{own_lease(self.leases)}.{key[:16]}.{uuid.uuid4().hex}"
        return self.root / _TEMPORARY / name

    def _seal(
        self,
        writer: Writer,
        *,
        kind: str,
        key: str,
        inputs: Mapping[str, Any],
        code_version: int,
    ) -> list[str]:
        """Write the manifest; return the names of all files, its own too."""
        files = {
            path.relative_to(writer.path).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": file_sha256(path),
            }
            for path in sorted(writer.path.rglob("*"))
            if path.is_file()
        }
        manifest = {
            "kind": kind,
            "key": key,
            "code_version": code_version,
            "inputs": dict(inputs),
            "notes": writer.notes,
            "work": writer.work,
            "seconds": writer.seconds,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        (writer.path / MANIFEST).write_text(_lines(manifest), encoding="utf-8")
        return [*files, MANIFEST]

    def _publish(self, temporary: Path, final: Path) -> bool:
        """Put an entry in its place; say whether it is now there, and not one that was."""
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_symlink() and not final.exists():
            final.unlink(missing_ok=True)  # an alias whose target was collected
        try:
            temporary.rename(final)
        except OSError as error:
            if final.is_dir():
                return False
            if lacks_room(error):
                raise
            raise StoreError(
                f"{final}: the finished stage could not be put in its place ({error}). "
                "Check the disk's space and permissions, then run the plan again."
            ) from error
        return True


def _lines(manifest: Mapping[str, Any]) -> str:
    """Return JSON with one line per field: an indented one takes ten times as long to make."""
    lines = [
        f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False, sort_keys=True)}"
        for name, value in sorted(manifest.items())
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


class _LateEntries:
    """Entries of a store that are finished and perhaps not flushed yet.

    The marker is on the disk before the first of them is in its place.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._flushing = Flushing(self._flush)
        self._entries: list[tuple[str, str]] = []
        self._files: list[Path] = []
        self._since = 0.0
        self._is_marked = False

    @property
    def is_open(self) -> bool:
        """Whether entries are finished before they are flushed."""
        return self._flushing.is_late

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let entries be flushed together; see `Store.flushing_together`."""
        if not self.is_open:
            self._since = time.time()
        with self._flushing.together():
            yield

    def mark(self) -> None:
        """Say on the disk that what is finished now may not be there."""
        if not self._is_marked:
            self._marker.write_text(f"{self._since}\n", encoding="ascii")
            flush_files([self._marker, self._marker.parent])
            self._is_marked = True

    def note(self, kind: str, key: str, files: list[str]) -> None:
        """Have an entry that is in its place flushed, now or later."""
        path = self._store.path(kind, key)
        self._entries.append((kind, key))
        self._files += [path.parent]
        if self.is_open:
            self._files += [path, *(path / name for name in files)]
        self._flushing.note()

    def _flush(self) -> None:
        entries, files = self._entries, self._files
        self._entries, self._files = [], []
        try:
            flush_files(dict.fromkeys(files))
        except OSError as error:
            for kind, key in entries:
                self._store.remove(kind, key)
            if lacks_room(error):
                raise full_disk(self._store.root, error) from error
            raise StoreError(
                f"{self._store.root}: finished stages must reach the disk, which refused "
                f"{len(entries)} of them ({error}). Check the disk's space and health, then run "
                "the plan again."
            ) from error
        finally:
            if self._is_marked:
                self._marker.unlink(missing_ok=True)
                self._is_marked = False

    @property
    def _marker(self) -> Path:
        lease = own_lease(self._store.leases)
        return self._store.leases / f"{lease}{_MARKER_SUFFIX}"


def _read_time(marker: Path) -> float:
    """Return since when entries may be torn; from the beginning where the marker itself is."""
    try:
        return float(marker.read_text(encoding="ascii")) - _CLOCK_SECONDS
    except (OSError, ValueError):
        return 0.0
