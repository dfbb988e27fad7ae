"""A journal survives crashes: what was written whole is read, what was torn is passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.journal import Journal, read_events, read_journal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "run.jsonl"


def test_events_come_back_in_order(path: Path) -> None:
    journal = Journal(path)
    journal.write("started", run_id="1", name="ピザ")
    journal.write("finished", status="completed")
    events = read_journal(path)
    assert [event["event"] for event in events] == ["started", "finished"]
    assert events[0]["name"] == "ピザ"


def test_torn_last_line_is_passed_over_and_the_next_one_is_whole(path: Path) -> None:
    journal = Journal(path)
    journal.write("started", run_id="1")
    with path.open("a") as file:
        file.write('{"at": "2026-01-01", "event": "sta')
    journal.write("finished", status="crashed")
    assert [event["event"] for event in read_journal(path)] == ["started", "finished"]


@pytest.mark.parametrize(
    "first", ['{"at": "2026", "event": "sta', "[1]", "", "null", '{"event": "stage"}']
)
def test_journal_without_its_beginning_tells_nothing(first: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(first + '\n{"event": "finished", "status": "completed"}\n')
    assert read_journal(path) == []
    assert read_events(path)[-1]["event"] == "finished"
