from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

import warehouse
from warehouse import database, migrations, ranking, reading, statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

LATEST = migrations.latest_version()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


def _make_version(path: Path, version: int, tables: dict[str, pa.Table]) -> dict[str, list[str]]:
    """Write a file as code of that version left it, with rows in every table that it had.

    Return the columns of each of these tables.
    """
    columns = {}
    with database.connect(path, read_only=False) as connection:
        migrations.migrate(connection, path, to=version)
        there = [
            name
            for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()
            if name in tables
        ]
        for name in there:
            described = connection.execute(f"describe {name}").fetchall()
            columns[name] = [column[0] for column in described]  # later versions have more
            connection.register("given", tables[name].select(columns[name]))
            connection.execute(f"insert into {name} by name select * from given")
            connection.unregister("given")
    return columns


@pytest.mark.parametrize("version", range(1, LATEST))
def test_loading_upgrades_every_older_version_and_keeps_its_rows(
    version: int, path: Path, everything: dict[str, pa.Table]
) -> None:
    there = _make_version(path, version, everything)
    warehouse.load(path, {})
    with warehouse.connect(path) as connection:
        assert migrations.schema_version(connection) == LATEST
        for name, columns in there.items():
            (kept,) = database.run_query(connection, f"from {name}").to_pylist()
            (given,) = everything[name].to_pylist()
            assert kept == {column: given[column] if column in columns else None for column in kept}
        assert connection.execute("select count(*) from leaderboard").fetchall() == [
            (1 if {"cells", "cell_runs"} <= there.keys() else 0,)
        ]


def test_paths_of_models_no_longer_name_the_home_that_they_were_saved_in(
    path: Path, everything: dict[str, pa.Table]
) -> None:
    (run,) = everything["cell_runs"].to_pylist()
    old = "/home/ina/work 1/.foodvision/models/demo/mlp · ピザ-3f2a91c0.pth"
    schema = everything["cell_runs"].schema
    moved = everything["cell_runs"].from_pylist([run | {"model_path": old}], schema=schema)
    _make_version(path, 24, everything | {"cell_runs": moved})
    warehouse.load(path, {})
    found = warehouse.query(path, "select model_path from cell_runs").to_pylist()
    assert found == [{"model_path": "models/demo/mlp · ピザ-3f2a91c0.pth"}]
    for table in (ranking.rank(path), [vars(each) for each in reading.results(path)]):
        assert [row["model_path"] for row in table] == [str(path.parent / found[0]["model_path"])]


def test_every_migration_is_recorded_once_with_its_file(path: Path) -> None:
    warehouse.load(path, {})
    warehouse.load(path, {})
    found = warehouse.query(path, "select version, name from schema_versions order by version")
    assert found.to_pylist() == [
        {"version": number, "name": f"{migration.name}.sql"}
        for number, migration in enumerate(statements.migrations(), start=1)
    ]


def test_reading_an_older_file_says_what_upgrades_it(path: Path) -> None:
    _make_version(path, LATEST - 1, {})
    before = path.read_bytes()
    with pytest.raises(
        warehouse.SchemaVersionError,
        match=rf"needs schema version {LATEST}, this file has {LATEST - 1}.*warehouse rebuild",
    ):
        warehouse.query(path, "select 1")
    assert path.read_bytes() == before


@pytest.fixture
def newer(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    future = statements.Statement("9999_future", "create table future (x integer)")
    with monkeypatch.context() as patch:
        known = statements.migrations()
        patch.setattr(statements, "migrations", lambda: (*known, future))
        warehouse.load(path, {})
    return path


def test_a_file_of_a_newer_version_is_refused_by_all_and_left_alone(newer: Path) -> None:
    before = newer.read_bytes()
    expected = rf"versions up to {LATEST}, the file has {LATEST + 1}.*Update FoodVision"
    with pytest.raises(warehouse.SchemaVersionError, match=expected):
        warehouse.query(newer, "select 1")
    with pytest.raises(warehouse.SchemaVersionError, match=expected):
        warehouse.load(newer, {})
    assert newer.read_bytes() == before


def test_a_migration_that_fails_leaves_the_published_file_whole(
    path: Path, everything: dict[str, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.load(path, everything)
    before = path.read_bytes()
    broken = statements.Statement("9999_broken", "drop table epochs; select nonsense")
    known = statements.migrations()
    monkeypatch.setattr(statements, "migrations", lambda: (*known, broken))
    with pytest.raises(warehouse.WarehouseError, match="Nothing was published"):
        warehouse.load(path, {})
    assert path.read_bytes() == before


def test_a_duckdb_file_of_somebody_else_is_not_touched(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table theirs as select 1 as x")
    before = path.read_bytes()
    for act in (lambda: warehouse.query(path, "select 1"), lambda: warehouse.load(path, {})):
        with pytest.raises(warehouse.DamagedWarehouseError, match="something else made it"):
            act()
    assert path.read_bytes() == before


def test_every_table_and_column_has_a_comment(path: Path) -> None:
    warehouse.load(path, {})
    bare = warehouse.query(
        path,
        """
        select table_name || '.' || column_name as name from duckdb_columns()
        where not internal and database_name = 'warehouse' and comment is null
        union all
        select table_name from duckdb_tables()
        where not internal and database_name = 'warehouse' and comment is null
        union all
        select view_name from duckdb_views()
        where not internal and database_name = 'warehouse' and comment is null
        """,
    )
    assert bare.to_pylist() == []
