from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import warehouse
from warehouse import statements

PAGE = Path(__file__).parents[2] / "docs" / "warehouse.md"


@pytest.fixture
def relations(path: Path) -> dict[str, list[dict[str, Any]]]:
    columns = warehouse.query(
        path,
        """
        select columns.table_name, columns.column_name, columns.comment
        from duckdb_columns() as columns
        where columns.database_name = 'warehouse' and not columns.internal
        order by columns.table_name, columns.column_index
        """,
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for column in columns.to_pylist():
        found.setdefault(column["table_name"], []).append(column)
    return found


def _sections() -> dict[str, str]:
    parts = PAGE.read_text(encoding="utf-8").split("\n### ")[1:]
    return {part.partition("\n")[0]: part.partition("\n## ")[0] for part in parts}


def test_the_page_has_a_section_for_each_table_and_view_and_no_other(
    relations: dict[str, list[dict[str, Any]]],
) -> None:
    assert relations.keys() == _sections().keys()


def test_the_page_names_every_column_in_its_place_and_says_what_the_comment_says(
    relations: dict[str, list[dict[str, Any]]],
) -> None:
    for relation, columns in relations.items():
        rows = [line for line in _sections()[relation].splitlines() if line.startswith("| `")]
        told = [(line.split("`")[1], line.rstrip(" |").rpartition(" | ")[2]) for line in rows]
        assert told == [(column["column_name"], column["comment"]) for column in columns], relation


def _diagram() -> str:
    return PAGE.read_text(encoding="utf-8").partition("```mermaid\n")[2].partition("```")[0]


def test_the_diagram_shows_every_table_with_its_key(path: Path) -> None:
    keys = warehouse.query(
        path,
        """
        select table_name, constraint_column_names as names from duckdb_constraints()
        where constraint_type = 'PRIMARY KEY' and table_name <> 'schema_versions'
        """,
    )
    blocks = re.findall(r"^    (\w+) \{\n(.*?)^    \}", _diagram(), re.MULTILINE | re.DOTALL)
    shown = {name: re.findall(r"(\w+) PK", block) for name, block in blocks}
    assert shown == {row["table_name"]: row["names"] for row in keys.to_pylist()}


def test_lines_of_the_diagram_join_columns_that_both_tables_have(
    relations: dict[str, list[dict[str, Any]]],
) -> None:
    names = {name: {each["column_name"] for each in rows} for name, rows in relations.items()}
    lines = re.findall(r"^    (\w+) \S+--\S+ (\w+) : (\w+)$", _diagram(), re.MULTILINE)
    assert len(lines) > 10
    assert [line for line in lines if line[2] not in names[line[0]] & names[line[1]]] == []


def test_the_page_lists_every_question() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(str(q.number), q.name, q.question) for q in statements.questions()]
