"""What a source is, where it lies, and what it was found to be when last asked.

The second half of the question is the index: one small JSON file per source below
`Home.sources`. With it a known source costs neither network nor hashing.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from foodvision.data.archives import is_junk
from foodvision.errors import DataError
from foodvision.files import write_json
from foodvision.hashing import digest, digest_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES_VARIABLE = "FOODVISION_SOURCES"
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_KINDS = (
    "an https://, http:// or file:// address, a folder, an archive, torchvision:NAME or "
    "sklearn:digits"
)


@dataclass(frozen=True)
class Location:
    """Where a source's content is to be had, here and now.

    Attributes:
        kind: of the place.
        value: URL, absolute path, or name of the set.
        written: the source as the plan writes it; messages and manifests use this one, because
            a variable may hold a secret.
    """

    kind: Literal["url", "path", "torchvision", "sklearn"]
    value: str
    written: str

    @property
    def identity(self) -> str:
        """Return a digest that names this place in the index, in locks and in folders."""
        return digest({"kind": self.kind, "value": self.value})

    @property
    def path(self) -> Path:
        """Return the place as a path (only for the kind "path")."""
        return Path(self.value)

    def require_there(self) -> None:
        """See to it that something lies where a path leads; what is no path is not looked for.

        Raises:
            DataError: nothing does.
        """
        if self.kind == "path" and not self.path.exists():
            raise self.nothing_there()

    def nothing_there(self) -> DataError:
        """Return the error that a path leads to no file and to no folder."""
        return DataError(
            f"source {self.written!r}: a folder or an archive must lie at {self.path}; nothing "
            f"does. Check the path, or put it into the folder that {SOURCES_VARIABLE} names."
        )


def locate(source: str, *, base: Path) -> Location:
    """Find out where a source lies.

    `${NAME}` is replaced from the environment. A web address is first looked for, by the name of
    its file, in the folder that `FOODVISION_SOURCES` names; a path that is not there, too.

    Args:
        source: as the plan writes it.
        base: folder that relative paths start from.

    Raises:
        DataError: a variable is not set, or the source is of no known kind.
    """
    expanded = expand_variables(source)
    if expanded.startswith("torchvision:"):
        return Location("torchvision", expanded.partition(":")[2].strip(), source)
    if expanded.startswith("sklearn:"):
        return Location("sklearn", expanded.partition(":")[2].strip(), source)
    match = _SCHEME.match(expanded)
    scheme = match[1].lower() if match else None
    if scheme in {"http", "https"}:
        mirrored = find_mirrored(PurePosixPath(unquote(urlsplit(expanded).path)).name)
        if mirrored is not None:
            return Location("path", str(mirrored), source)
        return Location("url", expanded, source)
    if scheme not in {None, "file"} or not expanded.strip():
        raise DataError(f"source must be {_KINDS}; got {source!r}. Check its spelling.")
    path = _file_path(expanded, source) if scheme else Path(expanded).expanduser()
    path = Path(os.path.abspath(base / path))  # noqa: PTH100 - links stay as the user wrote them
    if not path.exists():
        path = find_mirrored(path.name) or path
    return Location("path", str(path), source)


def expand_variables(source: str) -> str:
    """Replace each `${NAME}` by the environment variable's value.

    Raises:
        DataError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not os.environ.get(name):
            raise DataError(
                f"source {source!r}: every variable must be set; {name!r} is not. "
                f"Run `export {name}=...` first, or write the value into the plan."
            )
        return os.environ[name]

    return _VARIABLE.sub(value, source)


def sources_folder() -> Path | None:
    """Return the folder that `FOODVISION_SOURCES` names.

    Raises:
        DataError: it is set and names no folder.
    """
    value = os.environ.get(SOURCES_VARIABLE)
    if not value:
        return None
    folder = Path(value).expanduser().absolute()
    if not folder.is_dir():
        raise DataError(
            f"{SOURCES_VARIABLE} must name a folder; {value!r} is none. Correct it, or unset it."
        )
    return folder


def find_mirrored(name: str) -> Path | None:
    """Return the file or folder called `name` in the folder of `FOODVISION_SOURCES`."""
    folder = sources_folder()
    if folder is None or name in {"", ".", ".."}:
        return None
    path = folder / name
    return path if path.exists() else None


def fingerprint(path: Path) -> str | None:
    """Return a digest of paths, sizes and times below a file or folder; reads no content.

    None where nothing lies. Hidden files and litter do not count.
    """
    if path.is_file():
        return digest_lines([_stat_line(path, path.name)])
    if not path.is_dir():
        return None
    return digest_lines(
        sorted(_stat_line(file, file.relative_to(path).as_posix()) for file in walk_files(path))
    )


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that are neither hidden nor litter, sorted by name.

    A link to a file counts as the file, a link to a folder directly below `folder` as the folder.
    """
    for place in sorted(folder.iterdir()):
        if is_junk(place.name):
            continue
        if not place.is_dir():
            yield place
            continue
        for root, folders, files in os.walk(place):
            folders[:] = sorted(name for name in folders if not is_junk(name))
            yield from (Path(root, name) for name in sorted(files) if not is_junk(name))


@dataclass(frozen=True)
class Finding:
    """What a source was found to be.

    Attributes:
        key: of the data set in the store.
        digest: of the data set.
        content: sha256 of the archive it came from; None for folders and embedded sets.
        watched: path whose change makes the finding old; None where nothing can change unasked.
        fingerprint: of `watched`, taken before it was read.
    """

    key: str
    digest: str
    content: str | None
    watched: str | None
    fingerprint: str | None

    def is_current(self) -> bool:
        """Say whether what is watched still looks as it did."""
        return self.watched is None or fingerprint(Path(self.watched)) == self.fingerprint

    def satisfies(self, sha256: str | None) -> bool:
        """Say whether this is the content that a plan's sha256 asks for."""
        return sha256 is None or sha256 == (self.content or self.digest)


def read_finding(folder: Path, name: str) -> Finding | None:
    """Read a finding from the index; one that is missing or damaged says nothing."""
    try:
        value = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return Finding(**{field.name: value[field.name] for field in fields(Finding)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_finding(folder: Path, name: str, finding: Finding, *, written: str) -> None:
    """Put a finding into the index, with the source it belongs to, whole or not at all."""
    write_json(folder / f"{name}.json", {"source": written, **asdict(finding)})


def _file_path(address: str, source: str) -> Path:
    parts = urlsplit(address)
    if parts.netloc not in {"", "localhost"}:
        raise DataError(
            f"source {source!r}: a file:// address names a path of this machine, "
            f"found the host {parts.netloc!r}. Write file:///the/whole/path."
        )
    return Path(url2pathname(address.partition("://")[2][len(parts.netloc) :]))


def _stat_line(path: Path, name: str) -> str:
    try:
        found = path.stat()
    except OSError:
        return f"{name} unreadable"
    return f"{name} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
