"""A disk without room is told in a sentence, whoever writes; nothing half written stays."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from flows.cli import main
from foodvision.errors import DiskFullError, ServerError
from foodvision.files import lacks_room, write_json
from foodvision.store import Store
from tasks.journal import Journal, read_events
from tests.running import make_photos, plan_text, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def room_for(most_bytes: int) -> Iterator[None]:
    """Let no file become larger: what the system then says is as on a full disk."""
    old, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (old, hard))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: path.write_text("x" * 100_000),
    "numpy": lambda path: np.save(path, np.zeros(10_000)),
    "parquet": lambda path: pq.write_table(
        pa.table({"a": np.random.default_rng(0).random(20_000)}), path
    ),
    "safetensors": lambda path: save_file({"a": torch.zeros(20_000)}, path),
    "torch": lambda path: torch.save({"a": torch.zeros(20_000)}, path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_an_entry_without_room_leaves_nothing_and_can_be_written_later(
    writer: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    key = "aa" * 32

    def write() -> None:
        with store.writing("train", key, inputs={}, code_version=1) as entry:
            WRITERS[writer](entry.path / "file.npy")

    with room_for(4096), pytest.raises(DiskFullError, match="must have room on the disk") as told:
        write()
    said = str(told.value)
    assert str(store.path("train", key)) in said
    assert "bytes free" in said
    assert "store gc --unreached" in said
    assert not list((tmp_path / "tmp").iterdir())
    assert not store.has("train", key)
    write()
    assert store.verify("train", key) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_systems_words_for_a_full_disk_are_known(number: int) -> None:
    assert lacks_room(OSError(number, os.strerror(number)))
    assert lacks_room(RuntimeError(f"I/O error: {os.strerror(number)} (os error {number})"))
    assert lacks_room(RuntimeError(f"IO Error: Could not write file: {os.strerror(number)}"))


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "denied"), ValueError("(os error 13)")])
def test_other_errors_are_no_full_disk(error: Exception, tmp_path: Path) -> None:
    assert not lacks_room(error)
    with (
        pytest.raises(type(error)),
        Store(tmp_path).writing("train", "aa" * 32, inputs={}, code_version=1),
    ):
        raise error


def test_a_file_that_was_there_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_json(path, {"a": 1})
    with room_for(4096), pytest.raises(DiskFullError, match="facts"):
        write_json(path, {"a": "x" * 10_000})
    assert [each.name for each in tmp_path.iterdir()] == ["facts.json"]
    assert '"a": 1' in path.read_text()


def test_a_journal_that_lost_a_line_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run.jsonl")
    journal.write("started")
    with room_for(4096), pytest.raises(DiskFullError, match=r"run\.jsonl"):
        journal.write("stage", what="x" * 10_000)
    journal.write("finished")
    assert [event["event"] for event in read_events(journal.path)] == ["started", "finished"]


def test_a_run_fails_in_a_sentence_and_the_next_one_goes_on(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", train=4, test=1)
    text = plan_text(photos, epochs=1)
    undisturbed = run(text, tmp_path / "undisturbed")
    run(text, tmp_path / "home", only=[])  # fetches
    with room_for(9000):
        failed = run(text, tmp_path / "home")
    (reason, *_) = failed.ledger.failures.values()
    assert "need" in reason
    assert "room" in reason
    assert not list((failed.store.root / "tmp").glob("*/*"))
    again = run(text, tmp_path / "home")
    assert not again.ledger.failures
    assert again.results() == undisturbed.results()


def test_any_command_says_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Store, "kinds", fail)
    assert main(["store", "ls"]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "home") in said
    assert "No space left on device" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("error", [RuntimeError("500"), ServerError("the server did not start")])
def test_whoever_fails_on_a_full_disk_it_is_the_disk(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path))
    monkeypatch.setattr(Store, "kinds", fail)
    monkeypatch.setattr("flows.cli.free_bytes", lambda _: 4096)
    assert main(["store", "ls"]) == 2
    assert f"there was none left for {tmp_path}" in capsys.readouterr().err
