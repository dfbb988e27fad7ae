"""The store: whole or not at all, whatever happens to the process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from foodvision.errors import StoreError
from foodvision.leases import Lease
from foodvision.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

KEY, OTHER = "ab" + "0" * 62, "cd" + "1" * 62


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "a 'store'")


def put(store: Store, key: str = KEY, text: str = "content") -> None:
    with store.writing("train", key, inputs={"seed": 1}, code_version=2) as writer:
        (writer.path / "file.txt").write_text(text)
        writer.notes["loss"] = 0.5
        writer.work["epochs"] = 3


def test_entry_comes_back_with_its_facts(store: Store) -> None:
    assert not store.has("train", KEY)
    put(store)
    entry = store.get("train", KEY)
    assert (entry.path / "file.txt").read_text() == "content"
    assert entry.inputs == {"seed": 1}
    assert entry.notes == {"loss": 0.5}
    assert entry.work == {"epochs": 3}
    assert entry.size_bytes == len("content")
    assert entry.seconds > 0
    assert store.kinds() == ("train",)
    assert not list((store.root / "tmp").iterdir())


def test_failed_writer_leaves_nothing(store: Store) -> None:
    def write_half() -> None:
        with store.writing("train", KEY, inputs={}, code_version=1) as writer:
            (writer.path / "half.txt").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert not store.has("train", KEY)
    assert not list((store.root / "tmp").iterdir())


def test_second_writer_of_a_key_changes_nothing(store: Store) -> None:
    put(store, text="first")
    put(store, text="second")
    assert (store.get("train", KEY).path / "file.txt").read_text() == "first"


def _edit(**fields: object) -> Callable[[Path], object]:
    def edit(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return edit


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "this one has none"),
        (lambda path: path.write_text("{"), "cannot be read"),
        (lambda path: path.write_bytes(b"\xff"), "cannot be read"),
        (lambda path: path.write_text("{}"), "spoils files, inputs, notes, seconds, work, written"),
        (lambda path: path.write_text("[1]"), "spoils all of it"),
        (_edit(notes=None), "spoils notes"),
        (_edit(files={"file.txt": {"bytes": 7}}), "spoils files.file.txt.sha256"),
        (_edit(seconds="long", work=[]), "spoils seconds, work"),
    ],
    ids=["lost", "torn", "no text", "empty", "a list", "no notes", "no checksum", "two"],
)
def test_spoilt_manifests_are_told(
    store: Store, spoil: Callable[[Path], object], message: str
) -> None:
    put(store)
    spoil(store.path("train", KEY) / "manifest.json")
    with pytest.raises(StoreError, match=message):
        store.get("train", KEY)
    assert len(store.verify("train", KEY)) == 1
    put(store, OTHER)
    assert list(store.keys("train")) == [KEY, OTHER]
    assert [entry.key for entry in store.readable("train")] == [OTHER]
    with pytest.raises(StoreError, match=message):
        list(store.entries("train"))


@pytest.mark.parametrize(
    ("text", "checksums", "problem"),
    [
        ("content", True, None),
        ("CONTENT", True, "its bytes changed"),
        ("CONTENT", False, None),
        ("shorter", True, "its bytes changed"),
        ("longer than before", False, "has 18 bytes"),
        (None, False, "is missing"),
    ],
)
def test_verify_compares_files(
    store: Store, text: str | None, checksums: bool, problem: str | None
) -> None:
    put(store)
    path = store.path("train", KEY) / "file.txt"
    path.unlink()
    if text is not None:
        path.write_text(text)
    found = store.verify("train", KEY, checksums=checksums)
    assert [problem in one for one in found] == ([True] if problem else [])


def test_alias_names_the_same_entry_and_is_not_listed(store: Store) -> None:
    put(store)
    store.alias("train", OTHER, target=KEY)
    assert store.has("train", OTHER)
    assert store.get("train", OTHER).manifest["key"] == KEY
    assert [entry.key for entry in store.entries("train")] == [KEY]
    store.remove("train", KEY)
    assert not store.has("train", OTHER)
    put(store, text="again")
    store.alias("train", OTHER, target=KEY)
    assert store.has("train", OTHER)


def test_an_entry_takes_the_place_of_an_alias_whose_target_is_gone(store: Store) -> None:
    put(store)
    store.alias("train", OTHER, target=KEY)
    store.remove("train", KEY)
    put(store, OTHER, text="of its own")
    assert (store.get("train", OTHER).path / "file.txt").read_text() == "of its own"


def test_an_entry_that_says_too_little_is_replaced_whole(store: Store) -> None:
    put(store, text="little")

    def replace_and_fail() -> None:
        with store.writing("train", KEY, inputs={}, code_version=1, replaces=True):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace_and_fail()
    assert (store.get("train", KEY).path / "file.txt").read_text() == "little"
    with store.writing("train", KEY, inputs={}, code_version=1, replaces=True) as writer:
        (writer.path / "file.txt").write_text("more")
    assert (store.get("train", KEY).path / "file.txt").read_text() == "more"
    assert not list((store.root / "tmp").iterdir())


def test_foreign_files_are_passed_over(store: Store) -> None:
    put(store)
    (store.root / "train" / ".DS_Store").write_bytes(b"x")
    (store.root / "train" / "ab" / ".DS_Store").write_bytes(b"x")
    assert [entry.key for entry in store.entries("train")] == [KEY]


def test_set_aside_entry_is_missing_but_kept(store: Store) -> None:
    put(store)
    kept = store.set_aside("train", KEY)
    assert not store.has("train", KEY)
    assert json.loads((kept / "manifest.json").read_text())["key"] == KEY


def test_killed_writer_leaves_no_entry_and_its_leftovers_are_removed(store: Store) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from foodvision.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.scratch() as s, store.writing('train', sys.argv[2], inputs={}, "
        "code_version=1) as w:\n"
        "    (s / 'tried.txt').write_text('tried')\n"
        "    (w.path / 'half.txt').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(store.root), KEY], check=False)
    assert killed.returncode == -9
    assert not store.has("train", KEY)
    assert len(list((store.root / "tmp").iterdir())) == 2
    with store.scratch() as tried, store.writing("train", OTHER, inputs={}, code_version=1) as new:
        assert store.remove_leftovers() == 2
        assert new.path.is_dir()  # of a living process
        assert tried.is_dir()
    assert not tried.exists()
    assert store.has("train", OTHER)


def test_lock_lets_one_in_at_a_time(store: Store) -> None:
    inside, most = [], []

    def work() -> None:
        with store.lock("recipe"):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_processes_that_write_one_key_leave_one_whole_entry(store: Store) -> None:
    code = (
        "import sys; from pathlib import Path; from foodvision.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.writing('train', sys.argv[2], inputs={}, code_version=1) as writer:\n"
        "    (writer.path / 'file.txt').write_text('same')\n"
        "    print(flush=True); sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(store.root), KEY]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()  # it has its temporary folder
    assert len(list((store.root / "tmp").iterdir())) == 3
    assert store.remove_leftovers() == 0
    for writer in writers:
        writer.communicate("go on\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert store.verify("train", KEY) == []
    assert list((store.root / "tmp").iterdir()) == []


def test_a_lock_dies_with_its_process(store: Store) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from foodvision.store import Store\n"
        "with Store(Path(sys.argv[1])).lock('recipe'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert killed.returncode == -9
    with store.lock("recipe"):
        assert (store.root / "locks" / "recipe.lock").exists()


def test_leftovers_of_other_machines_stay(store: Store) -> None:
    foreign = store.root / "tmp" / f"0ther5ys-0th3rb00-{'0' * 32}.{KEY[:16]}.{'0' * 32}"
    foreign.mkdir(parents=True)
    assert store.remove_leftovers() == 0
    assert foreign.is_dir()


def test_entries_that_are_flushed_together_are_there_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[list[str]] = []
    monkeypatch.setattr(
        "foodvision.store.flush_files", lambda paths: flushed.append([one.name for one in paths])
    )
    with store.flushing_together():
        put(store)
        put(store, OTHER)
        assert store.verify("train", KEY) == store.verify("train", OTHER) == []
        assert len(list(store.leases.glob("*.unflushed"))) == 1
        (marked,) = flushed  # the marker, before anything else
        assert marked[0].endswith(".unflushed")
    names = ["ab", KEY, "file.txt", "manifest.json", "cd", OTHER, "file.txt", "manifest.json"]
    assert sorted(flushed[1]) == sorted(names)
    assert not list(store.leases.glob("*.unflushed"))
    put(store, "ef" + "2" * 62)
    assert len(flushed) == 4  # an entry by itself: its files before, its folder after


def test_what_the_disk_refuses_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(paths: Iterable[Path]) -> None:
        if any(path.name == "manifest.json" for path in paths):
            raise OSError(5, "Input/output error")

    put(store)
    monkeypatch.setattr("foodvision.store.flush_files", refuse)

    def write_late() -> None:
        with store.flushing_together():
            put(store, OTHER)

    with pytest.raises(StoreError, match=r"refused 1 of them.*Input/output"):
        write_late()
    assert store.has("train", KEY)
    assert not store.has("train", OTHER)


_DIE_UNFLUSHED = (
    "import os, signal, sys; from pathlib import Path; from foodvision.store import Store\n"
    "store = Store(Path(sys.argv[1]))\n"
    "with store.flushing_together():\n"
    "    for key in sys.argv[2:]:\n"
    "        with store.writing('train', key, inputs={}, code_version=1) as writer:\n"
    "            (writer.path / 'file.txt').write_text('content')\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.mark.parametrize("has_restarted", [True, False], ids=["the system died", "the process"])
def test_what_a_dead_system_tore_is_set_aside(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, has_restarted: bool
) -> None:
    command = [sys.executable, "-c", _DIE_UNFLUSHED, str(store.root), KEY, OTHER]
    assert subprocess.run(command, check=False).returncode == -9
    (marker,) = store.leases.glob("*.unflushed")
    (store.path("train", OTHER) / "file.txt").write_bytes(bytes(7))  # of the right length
    if has_restarted:
        lease = Lease.parse(marker.stem)
        assert lease is not None
        for path in store.leases.glob(f"{lease}.*"):
            path.rename(path.with_name(path.name.replace(lease.boot, "0ther5ys")))
    store.remove_leftovers()
    assert store.has("train", KEY)
    assert store.has("train", OTHER) is not has_restarted
    assert not list(store.leases.glob("*.unflushed"))
