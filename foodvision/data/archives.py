"""Unpacking of archives that nobody vouches for: nothing outside the target, nothing without end.

zip, tar, tar.gz, tar.bz2 and tar.xz, told apart by their content.
"""

from __future__ import annotations

import lzma
import tarfile
import unicodedata
import zipfile
import zlib
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from foodvision.errors import DataError
from foodvision.progress import SILENT, Bar, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_SYMLINK = 0o120000
_KIND_MASK = 0o170000
_REGULAR = (0, 0o100000)
_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # zipfile's word for a missing password
    ValueError,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may become.

    Attributes:
        files: at most so many.
        bytes: at most so many in all, unpacked.
        ratio: unpacked to packed bytes; photos are near 1, bombs at 1,000 and more.
        free_bytes: below so many unpacked bytes the ratio is not looked at.
    """

    files: int = 2_000_000
    bytes: int = 500 << 30
    ratio: int = 200
    free_bytes: int = 64 << 20


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    is_folder: bool
    problem: str | None
    open: Callable[[], IO[bytes]]


def is_junk(name: str) -> bool:
    """Say whether a file or folder name is an operating system's litter, or hidden."""
    return name.startswith(".") or name in _JUNK


def extract(
    archive: Path,
    target: Path,
    *,
    label: str,
    limits: Limits | None = None,
    progress: Progress = SILENT,
) -> None:
    """Unpack an archive into an empty folder; litter and hidden files are left out.

    Args:
        archive: a zip or tar file, plain or compressed by gzip, bzip2 or xz.
        target: existing folder.
        label: what messages and the progress call the archive.
        limits: what it may become.
        progress: told of unpacked bytes.

    Raises:
        DataError: a member would land outside, is a link, a device or encrypted, lies there
            twice; the archive is larger than the limits, broken, cut short, or none at all.
    """
    limits = limits or Limits()
    bar = progress.begin(f"Unpacking {label}", total=None, unit="bytes")
    try:
        with _translated(label), closing(_members(archive, label)) as members:
            budget = _Budget(limits, archive.stat().st_size, label, bar)
            for member in members:
                _extract_member(member, target, label, budget)
    finally:
        bar.close()


def _extract_member(member: _Member, target: Path, label: str, budget: _Budget) -> None:
    path = _safe_path(member.name, label)
    if path is None or any(is_junk(part) for part in path.parts):
        return
    if member.problem is not None:
        raise DataError(
            f"{label}: an archive may hold plain files and folders only; {member.name!r} is "
            f"{member.problem}. Pack the files themselves, without links and passwords."
        )
    place = target / path
    if member.is_folder:
        place.mkdir(parents=True, exist_ok=True)
        return
    budget.add_file()
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with place.open("xb") as file, member.open() as content:
            written = _copy(content, file, budget)
    except FileExistsError as error:
        raise DataError(
            f"{label}: every name may occur once in an archive; {member.name!r} is there twice. "
            "Pack it again."
        ) from error
    if written != member.size:
        raise EOFError(f"{member.name!r} has {written} of its {member.size} bytes")


def _copy(content: IO[bytes], file: IO[bytes], budget: _Budget) -> int:
    written = 0
    while chunk := content.read(_CHUNK_BYTES):
        budget.add_bytes(len(chunk))
        file.write(chunk)
        written += len(chunk)
    return written


class _Budget:
    """Counts what really comes out: sizes that an archive declares are claims."""

    def __init__(self, limits: Limits, packed_bytes: int, label: str, bar: Bar) -> None:
        self._limits = limits
        self._label = label
        self._bar = bar
        self._most_bytes = min(
            limits.bytes, max(limits.free_bytes, limits.ratio * max(packed_bytes, 1))
        )
        self._packed_bytes = packed_bytes
        self._files = 0
        self._bytes = 0

    def add_file(self) -> None:
        self._files += 1
        if self._files > self._limits.files:
            raise DataError(
                f"{self._label}: an archive may hold {self._limits.files:,} files, this one "
                "holds more. Unpack it yourself and name the folder as the source."
            )

    def add_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._most_bytes:
            raise DataError(
                f"{self._label}: {self._packed_bytes:,} packed bytes may become "
                f"{self._most_bytes:,}; this archive becomes more (a decompression bomb?). If you "
                "trust it, unpack it yourself and name the folder as the source."
            )
        self._bar.advance(count)


def _safe_path(name: str, label: str) -> Path | None:
    """Return where a member belongs below the target; None for the target itself."""
    posix = PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")))
    has_drive = bool(posix.parts) and posix.parts[0].endswith(":")
    if posix.is_absolute() or ".." in posix.parts or has_drive or "\0" in name:
        raise DataError(
            f"{label}: every member of an archive must stay inside it; {name!r} points outside. "
            "Do not trust this archive; get it from its publisher again."
        )
    return Path(*posix.parts) if posix.parts else None


def _members(archive: Path, label: str) -> Generator[_Member]:
    with archive.open("rb") as file:
        head = file.read(64)
    if head.startswith(_ZIP_MAGIC):
        return _zip_members(archive)
    if not tarfile.is_tarfile(archive):
        raise DataError(
            f"{label}: an archive must be a whole zip, tar, tar.gz, tar.bz2 or tar.xz file; this "
            f"one begins with {head[:16]!r}. If it was downloaded, look at it: it may be a web "
            "page that asks for a login, or cut short."
        )
    return _tar_members(archive)


def _zip_members(archive: Path) -> Generator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            yield _Member(
                name=info.filename,
                size=info.file_size,
                is_folder=info.is_dir(),
                problem=_zip_problem(info),
                open=partial(opened.open, info),
            )


def _zip_problem(info: zipfile.ZipInfo) -> str | None:
    kind = (info.external_attr >> 16) & _KIND_MASK
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if kind == _SYMLINK:
        return "a link"
    return None if info.is_dir() or kind in _REGULAR else "a device"


def _tar_members(archive: Path) -> Generator[_Member]:
    with tarfile.open(archive, mode="r:*") as opened:
        for info in opened:
            yield _Member(
                name=info.name,
                size=info.size,
                is_folder=info.isdir(),
                problem=_tar_problem(info),
                open=partial(_open_tar, opened, info),
            )
        _check_tar_end(archive, opened.offset)


def _open_tar(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(info)
    if content is None:
        raise tarfile.ReadError(f"{info.name!r} has no content")
    return content


def _tar_problem(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "a link"
    return None if info.isdir() or info.isreg() else "a device"


def _check_tar_end(archive: Path, offset: int) -> None:
    """A plain tar that was cut between two members reads well, but lacks its closing block."""
    with archive.open("rb") as file:
        file.seek(257)
        if file.read(5) != b"ustar":
            return  # compressed: the codec has checked its own end
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise EOFError("the closing block is missing")


@contextmanager
def _translated(label: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DataError(
            f"{label}: an archive must be whole; this one is broken or cut short ({error}). "
            "Get it again, or pack it again."
        ) from error
    except OSError as error:
        raise DataError(
            f"{label}: could not be unpacked ({error}). Check the disk's space, its permissions, "
            "and the names in the archive."
        ) from error
