from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from foodvision.data import bank as bank_module
from foodvision.data.bank import Bank
from foodvision.errors import StoreError
from foodvision.store import Store

_INPUTS = {"what": "a test"}


def _row(image: str) -> np.ndarray:
    """A row that only its image decides."""
    return np.full((2, 3), sum(image.encode()), dtype=np.float32)


class _Compute:
    """Counts what it computes; gives blocks of two."""

    def __init__(self):
        self.images: list[str] = []

    def __call__(self, images):
        for start in range(0, len(images), 2):
            block = images[start : start + 2]
            self.images += block
            yield np.stack([_row(image) for image in block])


@pytest.fixture
def store(folder):
    return Store(folder / "store")


@pytest.fixture
def bank(store):
    return Bank(store, "features", "r" * 64, (2, 3), "float32")


def _add(bank, images, compute=None):
    return bank.add(images, compute or _Compute(), inputs=_INPUTS, code_version=1)


def _expected(images):
    return np.stack([_row(image) for image in images])


def test_only_what_is_missing_is_computed(bank, store):
    first, second = _Compute(), _Compute()
    assert bank.missing(["b", "a", "b"]) == ["b", "a"]
    assert _add(bank, ["b", "a", "b", "c"], first) == 3
    assert first.images == ["b", "a", "c"]
    assert bank.missing(["c", "d", "a"]) == ["d"]
    assert _add(bank, ["a", "d", "e", "c"], second) == 2
    assert second.images == ["d", "e"]
    assert _add(bank, ["e", "a"], second) == 0
    shards = list(store.entries("features-shard"))
    assert len(shards) == 2
    assert sorted(shard.work["images"] for shard in shards) == [2, 3]
    assert all(shard.inputs["what"] == "a test" for shard in shards)


@pytest.mark.parametrize("in_memory", [True, False])
def test_rows_come_in_the_order_of_the_list(bank, monkeypatch, in_memory):
    if not in_memory:
        monkeypatch.setattr(bank_module, "IN_MEMORY_BYTES", 0)
    _add(bank, ["a", "b", "c"])
    _add(bank, ["d", "e"])
    images = ["e", "a", "d", "a", "c"]
    rows = bank.open(images)
    assert len(rows) == 5
    assert rows.fits_in_memory is in_memory
    np.testing.assert_array_equal(rows.all(), _expected(images))
    indices = np.array([4, 0, 0, 3, 2])
    np.testing.assert_array_equal(
        rows.gather(indices), _expected([images[index] for index in indices])
    )
    assert rows.gather(np.array([], dtype=np.int64)).shape == (0, 2, 3)
    assert rows.gather(indices).dtype == np.float32


def test_gathered_rows_may_be_changed(bank):
    _add(bank, ["a", "b"])
    rows = bank.open(["a", "b"])
    rows.gather(np.array([0]))[:] = 0
    rows.all()[:] = 0
    np.testing.assert_array_equal(rows.gather(np.array([0, 1])), _expected(["a", "b"]))


def test_no_images_are_fine(bank):
    assert _add(bank, []) == 0
    assert bank.missing([]) == []
    rows = bank.open([])
    assert len(rows) == 0
    assert rows.all().shape == (0, 2, 3)


def test_recipes_and_kinds_do_not_mix(bank, store):
    _add(bank, ["a"])
    assert Bank(store, "features", "s" * 64, (2, 3), "float32").missing(["a"]) == ["a"]
    assert Bank(store, "pixels", "r" * 64, (2, 3), "float32").missing(["a"]) == ["a"]
    assert Bank(store, "features", "r" * 64, (2, 3), "float32").missing(["a"]) == []


def test_a_row_that_is_missing_is_an_error(bank):
    _add(bank, ["a"])
    with pytest.raises(StoreError, match=r"1 of 2 have none \(first: b\)"):
        bank.open(["a", "b"])


@pytest.mark.parametrize(
    ("blocks", "match"),
    [
        ([np.zeros((2, 2, 3), np.float32)], "3 images must give as many rows, got 2"),
        ([np.zeros((4, 2, 3), np.float32)], "blocks must be float32 .at most 3, 2, 3."),
        ([np.zeros((3, 3, 2), np.float32)], r"got float32 \[3, 3, 2\]"),
        ([np.zeros((3, 2, 3), np.float64)], "got float64"),
    ],
)
def test_wrong_rows_are_refused_and_leave_nothing(bank, store, blocks, match):
    with pytest.raises(StoreError, match=match):
        _add(bank, ["a", "b", "c"], lambda images: iter(blocks))
    assert bank.missing(["a"]) == ["a"]
    assert list((store.root / "tmp").iterdir()) == []


def test_a_failure_leaves_nothing_and_frees_the_lock(bank):
    def fail(images):
        yield _row("a")[None]
        raise RuntimeError("the device is gone")

    with pytest.raises(RuntimeError, match="the device is gone"):
        _add(bank, ["a", "b"], fail)
    assert bank.missing(["a", "b"]) == ["a", "b"]
    assert _add(bank, ["a", "b"]) == 2


def test_a_damaged_shard_is_set_aside_and_computed_again(bank, store):
    _add(bank, ["a", "b"])
    _add(bank, ["c"])
    shard = next(entry for entry in store.entries("features-shard") if entry.work["images"] == 2)
    (shard.path / "rows.npy").write_bytes(b"")
    again = Bank(store, "features", "r" * 64, (2, 3), "float32")
    assert again.missing(["a", "b", "c"]) == ["a", "b"]
    compute = _Compute()
    with pytest.warns(UserWarning, match="damaged shard was set aside.*computed again"):
        assert _add(again, ["a", "b", "c"], compute) == 2
    assert compute.images == ["a", "b"]
    np.testing.assert_array_equal(again.open(["b", "c"]).all(), _expected(["b", "c"]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b"{"),
        ("manifest.json", b"{}"),
        ("manifest.json", None),
        ("images.parquet", b"x"),
        ("images.parquet", None),
    ],
)
def test_an_unreadable_shard_is_missing_and_stops_nobody(bank, store, name, content):
    _add(bank, ["a", "b"])
    (shard,) = store.entries("features-shard")
    if content is None:
        (shard.path / name).unlink()
    else:  # keep the size: only reading tells
        size = (shard.path / name).stat().st_size
        (shard.path / name).write_bytes(content.ljust(size))
    other = Bank(store, "features", "s" * 64, (2, 3), "float32")
    assert other.missing(["a"]) == ["a"]
    again = Bank(store, "features", "r" * 64, (2, 3), "float32")
    assert again.missing(["a", "b", "c"]) == ["a", "b", "c"]
    with pytest.warns(UserWarning, match="damaged shard was set aside.*computed again"):
        assert _add(again, ["a", "b"]) == 2
    np.testing.assert_array_equal(again.open(["b", "a"]).all(), _expected(["b", "a"]))


def test_the_space_of_a_shard_is_taken_before_it_is_written(store):
    bank = Bank(store, "pixels", "r" * 64, (1 << 20,), "uint8")
    taken = []

    def compute(images):
        (file,) = store.root.glob("tmp/*/rows.npy")
        taken.append(file.stat().st_blocks * 512)
        yield np.zeros((len(images), 1 << 20), np.uint8)

    assert _add(bank, ["a", "b"], compute) == 2
    assert taken[0] >= 2 << 20


def test_a_disk_without_room_is_told_before_anything_is_computed(store):
    rows = 1 << 50  # a petabyte each
    bank = Bank(store, "pixels", "r" * 64, (rows,), "uint8")
    compute = _Compute()
    message = r"need 2,251,799,813,685,248 bytes on the disk of .*, which has [\d,]+ free"
    with pytest.raises(StoreError, match=message):
        _add(bank, ["a", "b"], compute)
    assert compute.images == []
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("limit", [0, 1 << 20], ids=["no file", "no larger file"])
def test_a_disk_that_refuses_is_told(store, limit):
    bank = Bank(store, "pixels", "r" * 64, (1 << 20,), "uint8")
    old, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(StoreError, match=r"need 2,097,152 bytes .*File too large.*Make room"):
            _add(bank, ["a", "b"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (old, hard))
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be reserved here")
def test_a_disk_that_fills_while_space_is_taken_is_told(bank, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(StoreError, match=r"need 48 bytes .*No space left on device"):
        _add(bank, ["a", "b"])


def test_rows_are_written_block_by_block(store):
    """A shard far larger than what the process may hold."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from foodvision.data.bank import Bank
from foodvision.store import Store
bank = Bank(Store(Path(sys.argv[1])), "pixels", "r" * 64, (1 << 20,), "uint8")
images = [str(number) for number in range(192)]
def compute(images):
    for start in range(0, len(images), 16):
        yield np.full((16, 1 << 20), start, np.uint8)
heap = resource.getrlimit(resource.RLIMIT_DATA)[1]
used = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + (80 << 20), heap))
assert bank.add(images, compute, inputs={}, code_version=1) == 192
rows = bank.open(images)
assert rows.gather.__self__ is rows
import foodvision.data.bank
foodvision.data.bank.IN_MEMORY_BYTES = 0
assert rows.gather(np.array([17, 191]))[:, -1].tolist() == [16, 176]
"""
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=True, timeout=120)


_WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from foodvision.data.bank import Bank
from foodvision.store import Store
root, log, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
bank = Bank(Store(root), "features", "r" * 64, (2, 3), "float32")
def compute(images):
    for image in images:
        with log.open("a") as file:
            file.write(image + "\\n")
        time.sleep(pause)
        yield np.full((1, 2, 3), sum(image.encode()), np.float32)
print(bank.add(sys.argv[4].split(","), compute, inputs={}, code_version=1))
"""


def _start(store, log, images, *, pause):
    command = [sys.executable, "-c", _WORKER, str(store.root), str(log), str(pause), images]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_compute_each_image_once(store, bank, folder):
    log = folder / "log"
    running = [_start(store, log, images, pause=0.1) for images in ("a,b,c,d", "c,d,e,b")]
    counts = [int(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(log.read_text().split()) == ["a", "b", "c", "d", "e"]
    assert sum(counts) == 5
    images = list("edcba")
    np.testing.assert_array_equal(bank.open(images).all(), _expected(images))


def test_a_process_killed_while_computing_leaves_nothing_half(store, bank, folder):
    log = folder / "log"
    process = _start(store, log, "a,b,c", pause=30)
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert log.exists()
    assert bank.missing(["a", "b", "c"]) == ["a", "b", "c"]
    assert _add(bank, ["a", "b", "c"]) == 3
    np.testing.assert_array_equal(bank.open(["c", "a"]).all(), _expected(["c", "a"]))
