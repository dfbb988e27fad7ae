from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import warehouse

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
