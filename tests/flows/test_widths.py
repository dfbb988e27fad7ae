"""Texts by the columns that they take on a screen."""

from __future__ import annotations

from typing import Any

import pytest

from flows.cli import tables, widths

COOK = "👩\u200d🍳"  # one picture of two and a joiner
NAMES = ("ピザ", "ステーキ", "寿司", f"pizza 🍕{COOK}", "cre\u0301me", "x" * 200)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("pizza", 5), ("寿司", 4), ("🍕", 2), (COOK, 2), ("e\u0301", 1), ("ｽｼ", 2)],
)
def test_width(text: str, columns: int) -> None:
    assert widths.width(text) == columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9711751662971175, "0.9712"),
        (1.0, "1"),
        (0.0, "0"),
        (-0.000123456, "-0.0001235"),
        (1234567.123456, "1234567.1235"),
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_of_answers_are_rounded(value: float, text: str) -> None:
    assert tables.rounded(value) == text


def test_names_of_columns_break_behind_their_strokes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    columns = [tables.Column(name, name, is_number=True) for name in ("best_accuracy", "spread")]
    row = {"best_accuracy": 1, "spread": 2}
    tables.print_rows([row], columns, as_json=False, empty="")
    assert capsys.readouterr().out == "   best_\naccuracy  spread\n       1       2\n"


def test_texts_are_filled_up_to_columns_of_the_screen() -> None:
    assert widths.to_left("寿司", 6) == "寿司  "
    assert widths.to_right("寿司", 6) == "  寿司"
    assert widths.to_left("ステーキ", 6) == widths.to_right("ステーキ", 6) == "ステーキ"


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("寿司", 4, "寿司"),
        ("ステーキ", 6, "ステ…"),
        ("ステーキ", 5, "ステ…"),
        ("pizza steak", 7, "pizza…"),
    ],
)
def test_cut(text: str, columns: int, expected: str) -> None:
    assert widths.cut(text, columns) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["> "]),
        ("ピザ 寿司", ["> ピザ 寿司"]),
        ("ピザ ステーキ 寿司", ["> ピザ", "  ステーキ", "  寿司"]),
        ("a ピザステーキ", ["> a", "  ピザステ", "  ーキ"]),
        ("pizza steak", ["> pizza", "  steak"]),
    ],
)
def test_wrapped_lines_are_measured_on_the_screen(text: str, expected: list[str]) -> None:
    lines = widths.wrap(text, 11, indent="> ", hanging="  ")
    assert lines == expected
    assert all(widths.width(line) <= 11 for line in lines)


def test_columns_stand_below_each_other_whatever_the_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    columns = (tables.Column("Class", "name"), tables.Column("F1", "f1", is_number=True))
    rows: list[dict[str, Any]] = [{"name": name, "f1": "0.5000"} for name in NAMES]
    tables.print_rows(rows, columns, as_json=False, empty="")
    _, *lines = capsys.readouterr().out.splitlines()
    assert [widths.width(line) for line in lines] == [208] * len(NAMES)
    assert all(line.startswith(name) for line, name in zip(lines, NAMES, strict=True))


def test_headings_of_numbers_are_broken_where_room_is_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = (
        tables.Column("Model", "name"),
        tables.Column("Test accuracy", "share", is_number=True),
        tables.Column("ms an image", "ms", is_number=True),
    )
    row = {"name": "寿司", "share": "0.5000", "ms": "12.5"}
    shown = []
    for room in (33, 32):
        monkeypatch.setenv("COLUMNS", str(room))
        tables.print_rows([row], columns, as_json=False, empty="")
        shown.append(capsys.readouterr().out.splitlines())
    assert shown == [
        ["Model  Test accuracy  ms an image", "寿司          0.5000         12.5"],
        ["           Test  ms an", "Model  accuracy  image", "寿司     0.5000   12.5"],
    ]


def test_a_line_break_in_a_value_breaks_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (tables.Column("Problem", "text"), tables.Column("At", "at"))
    tables.print_rows([{"text": "one\ntwo", "at": "here"}], columns, as_json=False, empty="")
    assert capsys.readouterr().out.splitlines() == ["Problem  At", "one two  here"]
