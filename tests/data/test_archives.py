from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from foodvision.data.archives import Limits, extract
from foodvision.errors import DataError
from tests.data.makers import make_folder, make_zip

if TYPE_CHECKING:
    from pathlib import Path

_MODES = {".tar": "w", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


def _pack(folder: Path, archive: Path, suffix: str) -> Path:
    if suffix == ".zip":
        return make_zip(folder, archive)
    with tarfile.open(archive, _MODES[suffix]) as file:
        file.add(folder, arcname=".")
    return archive


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def target(folder):
    path = folder / "target"
    path.mkdir()
    return path


@pytest.mark.parametrize("suffix", [".zip", *_MODES])
def test_every_kind_is_unpacked_whatever_its_name(folder, target, suffix):
    source = make_folder(folder / "source", {"train/寿司": 2, "test/it's": 1})
    extract(_pack(source, folder / "no suffix", suffix), target, label="x")
    assert _contents(target) == _contents(source)


def test_litter_and_hidden_files_are_left_out(folder, target):
    archive = folder / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("a/1.png", "__MACOSX/a/._1.png", "a/.DS_Store", ".git/x", "a/Thumbs.db"):
            file.writestr(name, "x")
    extract(archive, target, label="x")
    assert list(_contents(target)) == ["a/1.png"]


def test_backslashes_separate_and_names_are_composed(folder, target):
    archive = folder / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train\\ピザ\\1.png", "x")  # decomposed, as macOS writes it
    extract(archive, target, label="x")
    assert list(_contents(target)) == ["train/ピザ/1.png"]


def test_progress_counts_unpacked_bytes(folder, target):
    class Watcher:
        def __init__(self):
            self.seen, self.closed = 0.0, False

        def begin(self, label, *, total, unit):
            assert (label, unit) == ("Unpacking food", "bytes")
            return self

        def advance(self, amount):
            self.seen += amount

        def close(self):
            self.closed = True

    archive = folder / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a", "12345")
    watcher = Watcher()
    extract(archive, target, label="food", progress=watcher)
    assert (watcher.seen, watcher.closed) == (5, True)


def _zip_of(*names: str, content: bytes = b"x", mode: int | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.external_attr = mode << 16
            file.writestr(info, content)
    return buffer.getvalue()


def _tar_of(*infos: tarfile.TarInfo, kind: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=kind) as file:
        for info in infos:
            file.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()


def _tar_info(name: str, *, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "/etc/passwd"
    return info


def _encrypted() -> bytes:
    content = bytearray(_zip_of("a.png"))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(signature) + offset
        flags = struct.unpack_from("<H", content, place)[0]
        struct.pack_into("<H", content, place, flags | 1)
    return bytes(content)


def _lying_about_sizes(content: bytes, claimed: int) -> bytes:
    """A zip whose directory says that a member holds `claimed` bytes."""
    archive = bytearray(_zip_of("a.png", content=content))
    struct.pack_into("<I", archive, archive.index(b"PK\x01\x02") + 24, claimed)
    struct.pack_into("<I", archive, archive.index(b"PK\x03\x04") + 22, claimed)
    return bytes(archive)


_WHOLE = _zip_of("a.png", "b.png", content=bytes(range(256)) * 40)
_TWO_MEMBERS = _tar_of(_tar_info("a", size=512), _tar_info("b", size=512))
_NOISE = b"".join(struct.pack("<I", (number * 2654435761) % 2**32) for number in range(20_000))
_GZ = io.BytesIO()
with tarfile.open(fileobj=_GZ, mode="w:gz") as _file:
    _info = tarfile.TarInfo("a")
    _info.size = len(_NOISE)
    _file.addfile(_info, io.BytesIO(_NOISE))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        pytest.param(_zip_of("../evil"), "points outside", id="zip: parent"),
        pytest.param(_zip_of("a/../../evil"), "points outside", id="zip: parent inside"),
        pytest.param(_zip_of("/tmp/evil"), "points outside", id="zip: absolute"),
        pytest.param(_zip_of("..\\evil"), "points outside", id="zip: backslash"),
        pytest.param(_zip_of("C:\\evil"), "points outside", id="zip: drive"),
        pytest.param(_zip_of("__MACOSX/../../evil"), "points outside", id="zip: in litter"),
        pytest.param(_zip_of("a", mode=0o120777), "'a' is a link", id="zip: link"),
        pytest.param(_zip_of("a", mode=0o020666), "'a' is a device", id="zip: device"),
        pytest.param(_zip_of("a", mode=0o010666), "'a' is a device", id="zip: pipe"),
        pytest.param(_encrypted(), "'a.png' is encrypted", id="zip: password"),
        pytest.param(_zip_of("A/a", "A//a"), "is there twice", id="zip: twice"),
        pytest.param(_zip_of("a", "a/b"), "could not be unpacked", id="zip: file as folder"),
        pytest.param(_WHOLE[: len(_WHOLE) // 2], "broken or cut short", id="zip: half"),
        pytest.param(_WHOLE[:60] + b"?" + _WHOLE[61:], "broken or cut short", id="zip: flipped"),
        pytest.param(_zip_of("a", content=bytes(1 << 20)), "decompression bomb", id="zip: bomb"),
        pytest.param(
            _lying_about_sizes(bytes(1 << 20), 10), "broken or cut short", id="zip: says less"
        ),
        pytest.param(_lying_about_sizes(b"12345", 10), "5 of its 10 bytes", id="zip: says more"),
        pytest.param(_zip_of(*"abcdefg"), "may hold 6 files", id="zip: files"),
        pytest.param(_tar_of(_tar_info("../evil")), "points outside", id="tar: parent"),
        pytest.param(_tar_of(_tar_info("/tmp/evil")), "points outside", id="tar: absolute"),
        pytest.param(_tar_of(_tar_info("a", kind=tarfile.SYMTYPE)), "is a link", id="tar: link"),
        pytest.param(
            _tar_of(_tar_info("a", kind=tarfile.LNKTYPE)), "is a link", id="tar: hard link"
        ),
        pytest.param(
            _tar_of(_tar_info("a", kind=tarfile.CHRTYPE)), "is a device", id="tar: device"
        ),
        pytest.param(_tar_of(_tar_info("a", kind=tarfile.FIFOTYPE)), "is a device", id="tar: pipe"),
        pytest.param(_TWO_MEMBERS[:900], "broken or cut short", id="tar: cut in a member"),
        pytest.param(_TWO_MEMBERS[:1024], "broken or cut short", id="tar: cut between members"),
        pytest.param(_GZ.getvalue()[:4000], "broken or cut short", id="tar.gz: half"),
        pytest.param(
            _tar_of(_tar_info("a", size=1 << 20), kind="w:xz"), "decompression bomb", id="tar: bomb"
        ),
        pytest.param(b"<!DOCTYPE html><html>", "begins with b'<!DOCTYPE html><", id="a web page"),
        pytest.param(b"", "begins with b''", id="empty"),
    ],
)
def test_what_cannot_be_trusted_is_refused(folder, target, content, match):
    archive = folder / "archive"
    archive.write_bytes(content)
    limits = Limits(files=6, ratio=100, free_bytes=200_000)
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError, match=match) as caught:
        extract(archive, target, label="my food", limits=limits)
    assert str(caught.value).startswith("my food: ")
    outside = [path for path in sorted(folder.rglob("*")) if target not in path.parents]
    assert outside == before


def test_a_bomb_is_stopped_before_it_is_all_written(folder, target):
    archive = folder / "bomb.zip"
    archive.write_bytes(_zip_of("a", "b", content=bytes(8 << 20)))
    with pytest.raises(DataError, match="bomb"):
        extract(archive, target, label="x", limits=Limits(free_bytes=1 << 20, ratio=10))
    assert sum(len(content) for content in _contents(target).values()) <= 1 << 20


def test_the_usual_limits_let_real_photos_through(folder, target):
    source = make_folder(folder / "source", {"a": 3, "b": 3}, suffix=".bmp")
    extract(make_zip(source, folder / "a.zip", compression=zipfile.ZIP_DEFLATED), target, label="x")
    assert _contents(target) == _contents(source)
