"""A journal survives crashes: what was written whole is read, what was torn is passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.journal import Journal, read_events, read_events_from, read_journal

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


def test_events_flushed_together_are_written_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[int] = []
    monkeypatch.setattr(
        "tasks.journal.flush_files", lambda _: flushes.append(len(read_journal(path)))
    )
    journal = Journal(path)
    journal.write("started")
    with journal.flushing_together():
        for _ in range(3):
            journal.write("stage")
        assert len(read_journal(path)) == 4
        assert flushes == [1]
    assert flushes == [1, 4]
    journal.write("finished")
    assert flushes == [1, 4, 5]


@pytest.mark.parametrize(
    "first", ['{"at": "2026", "event": "sta', "[1]", "", "null", '{"event": "stage"}']
)
def test_journal_without_its_beginning_tells_nothing(first: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(first + '\n{"event": "finished", "status": "completed"}\n')
    assert read_journal(path) == []
    assert read_events(path)[-1]["event"] == "finished"


@pytest.mark.parametrize("text", ["a\u2028b\u2029c\u0085d\x0b\x0c\x1c\r e", "caf\udce9.png"])
def test_any_text_stays_on_its_line(text: str, path: Path) -> None:
    journal = Journal(path)
    journal.write("started", description=text)
    journal.write("finished")
    started, finished = read_journal(path)
    assert started["description"] == text.replace("\udce9", "?")
    assert finished["event"] == "finished"


def test_reading_goes_on_where_it_ended_whole_or_not(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"event": "a"}\n{"event": "b"}', encoding="utf-8")  # no end of the line yet
    events, end = read_events_from(path, 0)
    assert [each["event"] for each in events] == ["a", "b"]
    with path.open("a", encoding="utf-8") as file:
        file.write('\n{"event": "c"}\n{"eve')
    events, end = read_events_from(path, end)
    assert [each["event"] for each in events] == ["c"]
    Journal(path).write("d")  # on a line of its own: what is torn stays torn
    events, end = read_events_from(path, end)
    assert [each["event"] for each in events] == ["d"]
    assert end == path.stat().st_size
