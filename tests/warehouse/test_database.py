from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import warehouse


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, everything: dict[str, pa.Table]) -> Path:
    path = tmp_path_factory.mktemp("home") / "warehouse.duckdb"
    warehouse.load(path, everything)
    return path


def test_before_the_first_run_the_error_says_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "warehouse.duckdb"
    with pytest.raises(
        warehouse.MissingWarehouseError, match=r"nothing has run yet.*foodvision run"
    ):
        warehouse.query(missing, "select 1")
    assert list(tmp_path.iterdir()) == []


def test_a_question_mark_in_the_path_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "why?" / "warehouse.duckdb"
    for act in (lambda: warehouse.query(odd, "select 1"), lambda: warehouse.load(odd, {})):
        with pytest.raises(warehouse.WarehouseError, match="no question mark"):
            act()


def test_odd_paths_can_be_read(odd_path: Path) -> None:
    warehouse.load(odd_path, {})
    assert warehouse.query(odd_path, "select current_database() as n").to_pylist() == [
        {"n": "warehouse"}
    ]


@pytest.mark.parametrize(
    ("sql", "params", "expected"),
    [
        pytest.param("select epoch from epochs", None, {"epoch": 1}, id="select"),
        pytest.param("from epochs select epoch;", None, {"epoch": 1}, id="from first, semicolon"),
        pytest.param(
            "with e as (from epochs) select count(*) as n from e", None, {"n": 1}, id="with"
        ),
        pytest.param("select ?::int + 1 as n", [1], {"n": 2}, id="value by place"),
        pytest.param("select $a || $b as n", {"a": "x", "b": "y"}, {"n": "xy"}, id="value by name"),
        pytest.param(
            "select cell_id as n from epochs where cell_id = ?",
            ["x' or '1' = '1"],
            None,
            id="a value is never SQL",
        ),
        pytest.param(
            "pivot epochs on epoch using count(*) group by cell_id",
            None,
            {"cell_id": "cell-1", "1": 1},
            id="pivot",
        ),
        pytest.param(
            "select sum(epoch) as n from epochs", None, {"n": 1}, id="a sum is an integer"
        ),
        pytest.param(
            "select sum(2::hugeint ** 100)::hugeint as n",
            None,
            {"n": Decimal(2**100)},
            id="a huge sum stays exact",
        ),
        pytest.param(
            "select started_at as n from runs",
            None,
            {"n": datetime(2026, 3, 1, 9, tzinfo=UTC)},
            id="times are UTC",
        ),
    ],
)
def test_queries_answer(path: Path, sql: str, params: Any, expected: dict[str, Any] | None) -> None:
    assert warehouse.query(path, sql, params).to_pylist() == ([expected] if expected else [])


def test_times_are_utc_wherever_the_reader_sits(path: Path) -> None:
    script = """
import sys
from pathlib import Path
import warehouse
found = warehouse.query(Path(sys.argv[1]), "select started_at::varchar as t from runs")
print(found["t"][0])
"""
    found = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "2026-03-01 09:00:00+00\n"


def test_the_type_of_a_sum_is_int64(path: Path) -> None:
    assert (
        warehouse.query(path, "select sum(epoch) as n from epochs").schema.field("n").type
        == pa.int64()
    )


@pytest.mark.parametrize(
    "sql", ["show tables", "describe leaderboard", "summarize epochs", "explain from epochs"]
)
def test_a_person_can_look_around(path: Path, sql: str) -> None:
    assert warehouse.query(path, sql).num_rows > 0


@pytest.mark.parametrize(
    "sql",
    [
        "insert into epochs select * from epochs",
        "update epochs set epoch = 2",
        "delete from epochs",
        "drop table epochs",
        "alter table epochs drop column images",
        "create table mine as select 1",
        "create temp table mine as select 1",
        "create or replace view leaderboard as select 1",
        "with x as (insert into epochs select * from epochs returning *) select * from x",
        "explain analyze delete from epochs",
        "copy epochs to '{folder}/out.csv'",
        "export database '{folder}/out'",
        "import database '{folder}'",
        "attach '{folder}/other.duckdb'",
        "attach ':memory:' as other",
        "detach warehouse",
        "use memory",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "reset threads",
        "pragma threads=1",
        "call enable_logging()",
        "checkpoint",
        "vacuum",
        "begin",
        "prepare x as select 1",
        "set variable x = 1",
        "create secret (type s3)",
        "select * from read_text('{folder}/secret.csv')",
        "select * from read_csv('{folder}/secret.csv')",
        "select * from '{folder}/secret.csv'",
        "select * from glob('{folder}/*')",
        "select * from read_csv('https://127.0.0.1:1/x.csv')",
    ],
)
def test_whatever_does_more_than_read_the_warehouse_is_refused(path: Path, sql: str) -> None:
    folder = path.parent
    (folder / "secret.csv").write_text("a,b\n1,2\n")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(warehouse.QueryError, match=r"queries only read|names tables, columns"):
        warehouse.query(path, sql.format(folder=folder))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("sql", "params", "message"),
    [
        pytest.param("", None, "one statement, found none", id="nothing"),
        pytest.param("-- only this", None, "one statement, found none", id="a comment alone"),
        pytest.param("select 1; select 2", None, "one statement, found 2", id="two statements"),
        pytest.param(
            "select 1; drop table epochs",
            None,
            "one statement, found 2",
            id="a second hides behind",
        ),
        pytest.param(
            "selekt 1",
            None,
            r'SQL as DuckDB speaks it: .*"selekt" \(line 1\)\. Correct',
            id="no SQL",
        ),
        pytest.param(
            "select nosuch from epochs",
            None,
            "exist: .*nosuch.* Candidate",
            id="an unknown column, with guesses",
        ),
        pytest.param(
            "from leaderbord",
            None,
            r"leaderbord.*Did you mean .leaderboard",
            id="an unknown table, with a guess",
        ),
        pytest.param("select ?", None, "one value for each", id="a value is missing"),
        pytest.param("select ?", [1, 2], "one value for each", id="a value too many"),
        pytest.param("select 1", [1], "one value for each", id="a value for nothing"),
        pytest.param(
            "select 'a'::int", None, "must be answerable: .*Could not convert", id="not a number"
        ),
        pytest.param("select error('\n\nboom')", None, "boom", id="a message of many lines"),
    ],
)
def test_what_is_no_query_is_said_in_a_sentence(
    path: Path, sql: str, params: Any, message: str
) -> None:
    with pytest.raises(warehouse.QueryError, match=message) as caught:
        warehouse.query(path, sql, params)
    assert "\n" not in str(caught.value)


def test_python_variables_are_not_tables(path: Path) -> None:
    secret = pa.table({"a": [1]})
    with pytest.raises(warehouse.QueryError, match="secret"):
        warehouse.query(path, "from secret")
    assert secret.num_rows == 1


def test_an_open_connection_translates_what_duckdb_says(path: Path) -> None:
    with (
        pytest.raises(warehouse.QueryError, match="queries only read"),
        warehouse.connect(path) as connection,
    ):
        connection.execute("delete from epochs")
