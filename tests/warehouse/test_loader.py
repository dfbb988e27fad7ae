from __future__ import annotations

import errno
import math
import os
import resource
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import filelock
import pyarrow as pa
import pyarrow.feather as feather
import pytest

import warehouse
from warehouse import database, loader, lock

if TYPE_CHECKING:
    from pathlib import Path

Tables = dict[str, pa.Table]
Rows = Callable[..., pa.Table]
NAMES = (
    "plans",
    "runs",
    "cells",
    "cell_runs",
    "epochs",
    "predictions",
    "class_metrics",
    "metrics",
    "composites",
    "members",
    "latencies",
    "stages",
    "steps",
    "system_metrics",
    "gpu_metrics",
    "datasets",
    "images",
    "certificates",
    "alerts",
)


def _contents(path: Path) -> dict[str, list[dict[str, Any]]]:
    with warehouse.connect(path) as connection:
        return {
            name: warehouse.run_query(connection, f"from {name} order by all").to_pylist()
            for name in NAMES
        }


def _count(path: Path, table: str) -> int:
    return int(warehouse.query(path, f"select count(*) as n from {table}")["n"][0].as_py())


# What goes in comes out.


def test_rows_come_back_as_they_went_in(path: Path, everything: Tables) -> None:
    warehouse.load(path, everything)
    assert _contents(path) == {name: table.to_pylist() for name, table in everything.items()}


def test_loading_twice_is_loading_once(path: Path, everything: Tables) -> None:
    warehouse.load(path, everything)
    once = _contents(path)
    warehouse.load(path, everything)
    assert _contents(path) == once


def test_a_row_with_a_known_key_replaces_the_old_one(path: Path, rows: Rows) -> None:
    warehouse.load(path, {"runs": rows("runs", {"status": "running", "finished_at": None})})
    warehouse.load(path, {"runs": rows("runs", {"status": "completed"}, {"run_id": "run-2"})})
    found = warehouse.query(path, "select run_id, status from runs order by run_id").to_pylist()
    assert found == [
        {"run_id": "run-1", "status": "completed"},
        {"run_id": "run-2", "status": "completed"},
    ]


def test_of_two_rows_with_one_key_the_later_counts(path: Path, rows: Rows) -> None:
    epochs = rows("epochs", {"cell_id": "first"}, {"epoch": 2}, {"cell_id": "second"})
    warehouse.load(path, {"epochs": epochs})
    found = warehouse.query(path, "select epoch, cell_id from epochs order by epoch").to_pylist()
    assert found == [{"epoch": 1, "cell_id": "second"}, {"epoch": 2, "cell_id": "cell-1"}]


def test_a_table_with_lists_can_be_replaced(path: Path, rows: Rows) -> None:
    warehouse.load(path, {"predictions": rows("predictions")})
    warehouse.load(path, {"predictions": rows("predictions", {"logits": [9.0, 8.0, 7.0]})})
    found = warehouse.query(path, "select logits from predictions").to_pylist()
    assert found == [{"logits": [9.0, 8.0, 7.0]}]


def _as_dictionary(table: pa.Table) -> pa.Table:
    return table.set_column(0, "result_key", table["result_key"].dictionary_encode())


def _as_large(table: pa.Table) -> pa.Table:
    return table.set_column(0, "result_key", table["result_key"].cast(pa.large_string()))


def _as_null(table: pa.Table) -> pa.Table:
    place = table.column_names.index("valid_loss")
    return table.set_column(place, "valid_loss", pa.nulls(table.num_rows))


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(lambda table: table, id="as made"),
        pytest.param(lambda table: table.select(table.column_names[::-1]), id="columns reversed"),
        pytest.param(_as_dictionary, id="dictionary of strings"),
        pytest.param(_as_large, id="large strings"),
        pytest.param(_as_null, id="a column of type null"),
        pytest.param(lambda table: pa.concat_tables([table[:1], table[1:]]), id="chunked"),
        pytest.param(lambda table: pa.concat_tables([table[:0], table])[0:3], id="sliced"),
    ],
)
def test_any_arrow_layout_gives_the_same_rows(
    odd: Callable[[pa.Table], pa.Table], path: Path, rows: Rows
) -> None:
    plain = rows("epochs", *({"epoch": epoch, "train_loss": 1 / epoch} for epoch in (1, 2, 3)))
    warehouse.load(path, {"epochs": odd(plain)})
    assert warehouse.query(path, "from epochs order by epoch").to_pylist() == plain.to_pylist()


def test_no_rows_are_fine(path: Path, rows: Rows) -> None:
    warehouse.load(path, {"epochs": rows("epochs")[:0]})
    assert _count(path, "epochs") == 0


def test_what_a_diverged_model_says_is_kept(path: Path, rows: Rows) -> None:
    nan = math.nan
    warehouse.load(
        path,
        {
            "epochs": rows("epochs", {"train_loss": nan, "test_loss": math.inf}),
            "predictions": rows("predictions", {"probability": nan, "true_probability": nan}),
        },
    )
    found = warehouse.query(
        path, "select train_loss, test_loss, probability from epochs, predictions"
    )
    assert [str(value) for value in found.to_pylist()[0].values()] == ["nan", "inf", "nan"]


def test_names_of_classes_may_be_anything(path: Path, rows: Rows) -> None:
    names = ["ピザ", "it's", '"; drop table epochs; --', "<script>", "🍕", "x" * 200, ""]
    warehouse.load(
        path, {"class_metrics": rows("class_metrics", *({"class_name": name} for name in names))}
    )
    found = warehouse.query(path, "select class_name from class_metrics")["class_name"].to_pylist()
    assert set(found) == set(names)


def test_odd_paths_are_only_paths(odd_path: Path, everything: Tables) -> None:
    warehouse.load(odd_path, everything)
    warehouse.load(odd_path, everything)
    assert _count(odd_path, "epochs") == 1
    assert sorted(file.name for file in odd_path.parent.iterdir()) == [
        odd_path.name,
        odd_path.name + ".lock",
    ]


# What does not fit is refused, whole.


def _drop(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([column])


def _add(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.append_column(column, pa.nulls(table.num_rows))


def _put(column: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(
        table.column_names.index(column), column, pa.array(values)
    )


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        pytest.param(
            "epochs",
            _drop("cell_id"),
            r"exactly its columns, but epochs misses cell_id\. Give",
            id="a column is missing",
        ),
        pytest.param(
            "epochs", _add("loss"), r"epochs does not know loss", id="a column is unknown"
        ),
        pytest.param("epochs", _add("epoch"), r"epochs has twice epoch", id="a column comes twice"),
        pytest.param(
            "epochs", _put("cell_id", [None]), r"rules of table epochs.*cell_id", id="null in a key"
        ),
        pytest.param("epochs", _put("epoch", [0]), r"epoch >= 1", id="epochs count from one"),
        pytest.param(
            "epochs", _put("train_accuracy", [1.5]), r"train_accuracy", id="accuracy above one"
        ),
        pytest.param(
            "epochs",
            _put("train_accuracy", [math.nan]),
            r"train_accuracy",
            id="accuracy is never NaN",
        ),
        pytest.param(
            "epochs", _put("epoch", ["first"]), r"rules of table epochs.*first", id="text as number"
        ),
        pytest.param("epochs", _put("epoch", [2**40]), r"out of range", id="number too large"),
        pytest.param(
            "predictions",
            _put("is_correct", [False]),
            r"is_correct",
            id="is_correct contradicts the classes",
        ),
        pytest.param("runs", _put("status", ["done"]), r"status", id="an unknown status"),
        pytest.param(
            "runs", _put("cells_failed", [10]), r"cells_failed", id="more failed than all"
        ),
        pytest.param("plans", _put("plan_json", ["{"]), r"plan_json", id="JSON that is none"),
        pytest.param(
            "cell_runs", _put("result_key", [None]), r"result_key", id="completed without result"
        ),
        pytest.param(
            "cells", _put("learning_rate", [0.0]), r"learning_rate", id="no learning rate"
        ),
        pytest.param("images", _put("split", ["holdout"]), r"split", id="an unknown split"),
    ],
)
def test_rows_that_break_a_rule_are_refused_and_nothing_is_loaded(
    table: str,
    change: Callable[[pa.Table], pa.Table],
    message: str,
    path: Path,
    everything: Tables,
    rows: Rows,
) -> None:
    warehouse.load(path, {"datasets": rows("datasets", {"source": "before"})})
    before = path.read_bytes()
    broken = everything | {table: change(everything[table])}
    last = {name: broken[name] for name in sorted(broken, key=lambda name: name == table)}
    with pytest.raises(warehouse.TableError, match=message):
        warehouse.load(path, last)
    assert path.read_bytes() == before


def test_unknown_tables_are_all_named(tmp_path: Path, rows: Rows) -> None:
    path = tmp_path / "warehouse.duckdb"
    with pytest.raises(
        warehouse.TableError,
        match=r"unknown ones: results, schema_versions\. The tables are alerts, cell_",
    ):
        warehouse.load(path, {"results": rows("epochs"), "schema_versions": rows("epochs")})
    assert not path.exists()


def test_every_problem_with_columns_is_named_at_once(path: Path, rows: Rows) -> None:
    with pytest.raises(
        warehouse.TableError, match="plans misses plan_json; epochs misses images; epochs does not"
    ):
        warehouse.load(
            path,
            {
                "plans": _drop("plan_json")(rows("plans")),
                "epochs": _add("pictures")(_drop("images")(rows("epochs"))),
            },
        )


def test_a_home_that_cannot_be_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(warehouse.WarehouseError, match=r"must be writable.*FOODVISION_HOME"):
        warehouse.load(tmp_path / "home" / "warehouse.duckdb", {})


def test_a_full_disk_is_not_taken_for_damage(path: Path, everything: Tables) -> None:
    warehouse.load(path, everything)
    before = path.read_bytes()
    old, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # the system refuses larger files
    try:
        with pytest.raises(
            warehouse.WarehouseError, match=r"room on the disk.*make room"
        ) as caught:
            warehouse.rebuild(path, everything)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (old, hard))
    assert not isinstance(caught.value, warehouse.DamagedWarehouseError)
    assert path.read_bytes() == before
    assert _count(path, "epochs") == 1


def test_a_damaged_file_is_refused_until_it_is_rebuilt(path: Path, everything: Tables) -> None:
    path.write_bytes(b"not a database, whatever its name says" * 1000)
    for act in (
        lambda: warehouse.load(path, everything),
        lambda: warehouse.query(path, "select 1"),
    ):
        with pytest.raises(warehouse.DamagedWarehouseError, match=r"(?s)DuckDB.*warehouse rebuild"):
            act()
    warehouse.rebuild(path, everything)
    assert _count(path, "epochs") == 1


WRITER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("create table mine as select 1 as x")
print("open", flush=True)
sys.stdin.readline()
"""


def test_a_file_that_somebody_writes_to_by_hand_is_not_replaced(
    path: Path,
    everything: Tables,
    process: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.2)
    warehouse.load(path, everything)
    with process(WRITER, path) as other:
        assert other.stdout.readline() == "open\n"
        for act in (warehouse.load, warehouse.rebuild):
            with pytest.raises(warehouse.LockedWarehouseError, match="another program has opened"):
                act(path, everything)
        expected = rf"for 0\.2 s another program .*PID {other.pid}.*Close that program"
        with pytest.raises(warehouse.LockedWarehouseError, match=expected):
            warehouse.query(path, "select 1")


def test_a_reader_waits_for_a_writer_to_end(
    path: Path,
    everything: Tables,
    process: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lock, "_QUIET_SECONDS", 0.0)
    warehouse.load(path, everything)
    with process(WRITER, path) as other:
        assert other.stdout.readline() == "open\n"
        threading.Timer(0.5, other.kill).start()
        assert warehouse.query(path, "select count(*) as n from epochs").to_pylist() == [{"n": 1}]
    (told,) = caplog.messages
    assert told.endswith("open for writing; waiting for it for up to 5 s")


# Rebuilding.


def test_a_rebuild_gives_the_same_rows_as_loading_one_by_one(
    tmp_path: Path, rows: Rows, everything: Tables
) -> None:
    steps: list[Tables] = [
        everything,
        {"runs": rows("runs", {"run_id": "run-2", "status": "running"}), "epochs": rows("epochs")},
        {
            "runs": rows("runs", {"run_id": "run-2", "status": "failed"}),
            "epochs": rows("epochs", {"epoch": 2}, {"epoch": 1, "train_loss": 0.5}),
        },
    ]
    for step in steps:
        warehouse.load(tmp_path / "steps.duckdb", step)
    together: Tables = {
        name: pa.concat_tables([step[name] for step in steps if name in step]) for name in NAMES
    }
    whole = tmp_path / "whole.duckdb"
    warehouse.load(whole, {"runs": rows("runs", {"run_id": "no journal says so"})})
    warehouse.rebuild(whole, together)
    assert _contents(whole) == _contents(tmp_path / "steps.duckdb")


# One loader at a time, and readers that never see a part.

_STOPPED_LOADER = """
import sys, time
import pyarrow.feather as feather
from pathlib import Path
import warehouse
from warehouse import {module} as module

original = module.{name}

def stop(*arguments, **named):
    if {after}:
        original(*arguments, **named)
    print("here", flush=True)
    time.sleep(60)

module.{name} = stop
warehouse.load(Path(sys.argv[1]), {{"epochs": feather.read_table(sys.argv[2])}})
"""


def _stopped_loader(module: str, name: str, after: bool) -> str:
    return _STOPPED_LOADER.format(module=module, name=name, after=after)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(("loader", "_insert_all", False), id="before the rows"),
        pytest.param(("loader", "_insert", True), id="inside the transaction"),
        pytest.param(("loader", "_insert_all", True), id="after the commit"),
        pytest.param(("database", "publish", False), id="before the rename"),
    ],
)
def test_a_killed_loader_leaves_the_old_file_whole_and_the_next_one_works(
    place: tuple[str, str, bool],
    path: Path,
    rows: Rows,
    process: Callable[..., Any],
) -> None:
    warehouse.load(path, {"epochs": rows("epochs")})
    before = path.read_bytes()
    more = path.with_name("more.feather")
    feather.write_feather(rows("epochs", {"epoch": 2}), more)
    with process(_stopped_loader(*place), path, more) as stopped:
        assert stopped.stdout.readline() == "here\n"
        stopped.kill()
        stopped.wait()
    more.unlink()
    assert path.read_bytes() == before
    assert path.with_name(path.name + ".loading").exists()
    assert _count(path, "epochs") == 1
    warehouse.load(path, {"epochs": rows("epochs", {"epoch": 3})})
    assert _count(path, "epochs") == 2
    assert {file.name for file in path.parent.iterdir()} == {path.name, path.name + ".lock"}


def test_what_a_killed_loader_left_is_no_part_of_a_rebuild(
    path: Path, rows: Rows, process: Callable[..., Any]
) -> None:
    more = path.with_name("more.feather")
    feather.write_feather(rows("epochs", {"epoch": 2}), more)
    with process(_stopped_loader("loader", "_insert_all", True), path, more) as stopped:
        assert stopped.stdout.readline() == "here\n"
    warehouse.rebuild(path, {"epochs": rows("epochs")})
    assert _count(path, "epochs") == 1


def test_waiting_ends_with_the_name_of_who_holds_the_lock(
    path: Path,
    rows: Rows,
    process: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lock, "_QUIET_SECONDS", 0.0)
    more = path.with_name("more.feather")
    feather.write_feather(rows("epochs"), more)
    with process(_stopped_loader("database", "publish", False), path, more) as holder:
        assert holder.stdout.readline() == "here\n"
        expected = rf"for 0\.2 s process {holder.pid} on \S+ \(since 20.*the lock dies with it"
        with pytest.raises(warehouse.LockedWarehouseError, match=expected):
            warehouse.load(path, {}, timeout_seconds=0.2)
    (told,) = caplog.messages
    assert told.startswith(f"process {holder.pid} on ")
    assert told.endswith(f" is loading {path}; waiting for it for up to 0.2 s")
    warehouse.load(path, {}, timeout_seconds=0.2)


@pytest.mark.parametrize("said", [None, "{", "[]", '{"pid": 1}'])
def test_a_holder_that_did_not_say_its_name_is_waited_for_all_the_same(
    said: str | None, path: Path
) -> None:
    if said is not None:
        path.with_name(path.name + ".lock.json").write_text(said)
    with (
        filelock.FileLock(path.with_name(path.name + ".lock")),
        pytest.raises(warehouse.LockedWarehouseError, match="a process that has not said its name"),
    ):
        warehouse.load(path, {}, timeout_seconds=0.05)


def test_a_system_that_cannot_share_blocks_gets_a_plain_copy(
    path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EXDEV, "not across file systems")

    warehouse.load(path, {"epochs": rows("epochs")})
    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    warehouse.load(path, {"epochs": rows("epochs", {"epoch": 2})})
    assert _count(path, "epochs") == 2


_LOADER = """
import sys
import pyarrow.feather as feather
from pathlib import Path
import warehouse

rows = feather.read_table(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for place in range(rows.num_rows):
    warehouse.load(Path(sys.argv[1]), {"runs": rows.slice(place, 1)})
print("done", flush=True)
"""


def test_loaders_at_the_same_time_all_land(
    path: Path, rows: Rows, process: Callable[..., Any]
) -> None:
    files = []
    for who in ("a", "b"):
        files.append(path.with_name(f"{who}.feather"))
        given = [{"run_id": f"{who}{number}"} for number in range(4)]
        feather.write_feather(rows("runs", *given), files[-1])
    with process(_LOADER, path, files[0]) as first, process(_LOADER, path, files[1]) as second:
        for loader_process in (first, second):
            assert loader_process.stdout.readline() == "ready\n"
        for loader_process in (first, second):
            loader_process.stdin.write("go\n")
            loader_process.stdin.flush()
        assert [one.stdout.readline() for one in (first, second)] == ["done\n", "done\n"]
    assert _count(path, "runs") == 8


def test_threads_of_one_process_wait_for_each_other(path: Path, rows: Rows) -> None:
    problems: list[BaseException] = []

    def load(number: int) -> None:
        try:
            warehouse.load(path, {"runs": rows("runs", {"run_id": f"run-{number}"})})
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert _count(path, "runs") == 5


_READER = """
import sys
from pathlib import Path
import warehouse

COUNT = "select count(*) as n from epochs"
with warehouse.connect(Path(sys.argv[1])) as connection:
    for line in sys.stdin:
        old = warehouse.run_query(connection, COUNT)["n"][0]
        new = warehouse.query(Path(sys.argv[1]), COUNT)["n"][0]
        print(old, new, flush=True)
"""


def test_readers_and_the_loader_do_not_wait_for_each_other(
    path: Path, rows: Rows, process: Callable[..., Any]
) -> None:
    def ask(reader: Any) -> str:
        reader.stdin.write("now\n")
        reader.stdin.flush()
        return str(reader.stdout.readline())

    warehouse.load(path, {"epochs": rows("epochs")})
    with process(_READER, path) as first, process(_READER, path) as second:
        assert [ask(first), ask(second)] == ["1 1\n", "1 1\n"]
        warehouse.load(path, {"epochs": rows("epochs", {"epoch": 2})})
        assert [ask(first), ask(second)] == ["1 2\n", "1 2\n"]
        with loader.only_loader(path, timeout_seconds=1):
            assert ask(first) == "1 2\n"


def test_a_reader_of_this_process_does_not_hide_new_rows_from_the_next(
    path: Path, rows: Rows
) -> None:
    warehouse.load(path, {"epochs": rows("epochs")})
    with warehouse.connect(path):
        warehouse.load(path, {"epochs": rows("epochs", {"epoch": 2})})
        assert _count(path, "epochs") == 2
