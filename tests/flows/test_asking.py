"""Questions to a warehouse that real runs filled, as people ask them."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import nbformat
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

import warehouse
from flows.cli import main
from flows.grid import run_plan
from foodvision.home import Home
from foodvision.progress import SILENT
from tests.flows.conftest import ROOT
from tests.running import digits_plan
from warehouse import statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from flows.server import ServerHandle

# Everything that the questions ask about: amounts of data, epochs, sizes, seeds, views, ensembles,
# alerts.
PLAN = digits_plan(
    """\
grid:
  data: [{half: {name: digits, fraction: 0.5}}, digits]
  model.hidden: [4, 16]
  epochs: [1, 2]
seeds: 2
tta:
  shifted: {views: [identity, {shift: [1, 0]}], where: {epochs: 2, model.hidden: 16}}
ensembles:
  three: {kind: weighted, members: {top: 3}}
rank: {by: valid.accuracy, then: valid.loss}
alerts: [{when: train.loss > 0, on: epochs}, {when: finished}]
save: none
""",
    name="questions",
    valid=0.2,
    model="{arch: mlp, hidden: 4}",
    threads=1,
    optimizer="{kind: adam, lr: 0.01}",
)
QUESTIONS = statements.questions()
NOTEBOOK = ROOT / "docs" / "explore.ipynb"


@pytest.fixture(scope="module")
def home(server: ServerHandle, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which a plan ran twice, with more epochs the second time."""
    home = Home(tmp_path_factory.mktemp("it's asked") / "home")
    for overrides in ((), ("grid.epochs=[2, 3]",)):
        outcome = run_plan(PLAN, home=home, overrides=overrides, progress=SILENT)
        assert not outcome.failures
    return home


@pytest.fixture
def ask(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Call `foodvision sql`, which must end well; return what it printed."""
    monkeypatch.setenv("FOODVISION_HOME", str(home.root))

    def run(*arguments: str) -> str:
        assert main(["sql", *arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


def test_there_are_twenty_questions_and_more() -> None:
    assert len(QUESTIONS) >= 20
    assert [each.number for each in QUESTIONS] == list(range(1, len(QUESTIONS) + 1))
    assert len({each.name for each in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)
def test_every_question_is_answered(question: statements.Question, ask: Callable[..., str]) -> None:
    found = json.loads(ask("-f", question.name, "--json"))
    assert found
    for column in found[0]:
        assert column == column.lower()
        assert any(row[column] is not None for row in found), column


def _rows(ask: Callable[..., str], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask("-f", name, "--json"))
    return found


def test_answers_are_what_their_words_say(ask: Callable[..., str]) -> None:
    (gain,) = (row for row in _rows(ask, "more_epochs") if (row["fewer"], row["more"]) == (1, 3))
    assert gain["pairs"] == 8
    assert gain["better"] + gain["worse"] <= 8
    assert {row["axis"] for row in _rows(ask, "axes")} == {"data", "model.hidden", "epochs", "seed"}
    amounts = _rows(ask, "data_amount")
    assert amounts[1]["images"] == pytest.approx(2 * amounts[0]["images"], abs=2)
    assert amounts[1]["gain"] == pytest.approx(
        amounts[1]["mean_accuracy"] - amounts[0]["mean_accuracy"], abs=2e-4
    )
    assert sum(row["luck"] for row in _rows(ask, "lucky_seed")) == pytest.approx(0, abs=2e-4)
    changes = [row["change"] for row in _rows(ask, "what_changed")]
    assert changes.count("new") >= 8  # the cells of 3 epochs
    assert changes.count("gone") >= 8  # the cells of 1 epoch
    assert changes.count("none") >= 8  # the cells of 2 epochs
    first, second = _rows(ask, "time_saved")  # rounded, and a busy machine is slow
    assert second["seconds_alone"] >= second["seconds_paid"] >= first["seconds_paid"] >= 0


def test_a_table_rounds_what_files_tell_in_full(ask: Callable[..., str]) -> None:
    query = "select 2 / 3 as share, 'a' as name"
    assert ask(query) == " share  name\n0.6667  a\n"
    assert json.loads(ask(query, "--json")) == [{"share": 2 / 3, "name": "a"}]
    assert "0.6666666666666666" in ask(query, "--csv")
    times = "select timestamptz '2026-03-01 09:00:00.123456Z' as at, timestamp '2026-03-01' as day"
    assert ask(times).splitlines()[1] == "2026-03-01 09:00:00 UTC  2026-03-01 00:00:00"
    assert "09:00:00.123456+00" in ask(times, "--csv")


def test_a_question_goes_by_name_number_and_file(ask: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "my question.sql"
    file.write_text(QUESTIONS[0].sql, encoding="utf-8")
    told = [ask("-f", name, "--json") for name in ("axes", "1", "01_axes", str(file))]
    assert len(set(told)) == 1


def test_a_question_is_told_above_its_answer(ask: Callable[..., str]) -> None:
    lines = ask("-f", "axes").splitlines()
    assert lines[:2] == ["Which axis mattered most?", ""]
    assert {"plan", "axis", "spread"} <= set(" ".join(lines[2:4]).split())


def test_without_rows_it_says_what_is_missing(ask: Callable[..., str], tmp_path: Path) -> None:
    assert ask("select 1 as n where false") == "No rows.\n"
    sure = next(each for each in QUESTIONS if each.name == "under_20_mb")
    assert sure.empty
    none = tmp_path / "none"
    assert "No rows" not in ask("-f", "under_20_mb", "-o", f"{none}.csv")


STATEMENT = "select 'a, \"b\"' as text, null as gap, [1, 2] as list, 0.5 as n, true as yes"


@pytest.mark.parametrize("by_flag", [True, False], ids=["option", "ending"])
def test_formats_in_files(by_flag: bool, ask: Callable[..., str], tmp_path: Path) -> None:
    for form, ending in (("csv", ".csv"), ("markdown", ".md"), ("parquet", ".parquet")):
        path = tmp_path / f"new folder/answer{'.txt' if by_flag else ending}"
        flags = [f"--{form}"] if by_flag else []
        assert ask(STATEMENT, *flags, "-o", str(path)) == f"{path}: 1 row\n"
        if form == "csv":
            assert path.read_bytes() == ask(STATEMENT, "--csv").replace("\n", "\r\n").encode() or (
                list(csv.reader(io.StringIO(path.read_text())))
                == [["text", "gap", "list", "n", "yes"], ['a, "b"', "", "[1, 2]", "0.5", "true"]]
            )
        elif form == "markdown":
            assert path.read_text() == ask(STATEMENT, "--markdown")
            assert path.read_text().splitlines()[0] == "| text | gap | list | n | yes |"
        else:
            (row,) = pq.read_table(path).to_pylist()
            assert row == {"text": 'a, "b"', "gap": None, "list": [1, 2], "n": 0.5, "yes": True}
        assert list(path.parent.iterdir()) == [path]
        path.unlink()


def test_two_columns_of_one_name_are_both_written(ask: Callable[..., str]) -> None:
    assert ask("select 1 as a, 2 as a", "--csv").split() == ["a,a", "1,2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "one thing: a statement, -f FILE or --questions", id="nothing"),
        pytest.param(["select 1", "-f", "axes"], "found 2", id="two things"),
        pytest.param(["-f", "axis"], "--questions` lists", id="no such question"),
        pytest.param(["select 1", "--csv", "--json"], "found --csv and --json", id="two formats"),
        pytest.param(["select 1", "--parquet"], "--parquet -o FILE", id="parquet on a screen"),
        pytest.param(["select 1", "-o", "answer.xls"], "'answer.xls'", id="unknown ending"),
        pytest.param(["select 1", "-o", "{file}/a.csv"], "Name another file", id="no folder"),
        pytest.param(["drop table epochs"], "queries only read", id="writes"),
        pytest.param(["-f", "{writes}"], "queries only read", id="a file that writes"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(
    arguments: list[str],
    message: str,
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FOODVISION_HOME", str(home.root))
    file, writes = tmp_path / "a file", tmp_path / "writes.sql"
    file.touch()
    writes.write_text("delete from epochs", encoding="utf-8")
    given = [each.format(file=file, writes=writes) for each in arguments]
    assert main(["sql", *given]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_questions_are_listed_before_anything_has_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "nothing"))
    assert main(["sql", "--questions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(QUESTIONS) + 1
    assert lines[1].split(maxsplit=2) == ["1", "axes", "Which axis mattered most?"]
    assert not (tmp_path / "nothing").exists()


def _lines(table: pa.Table) -> list[str]:
    """Return the rows in an order of their own; means of views may differ in their last bit."""
    return sorted(
        repr([f"{value:.9g}" if isinstance(value, float) else value for value in row.values()])
        for row in table.to_pylist()
    )


def test_the_whole_warehouse_is_exported(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FOODVISION_HOME", str(home.root))
    folder = tmp_path / "new/it's Parquet"
    for _ in range(2):  # the second time, files are replaced
        assert main(["warehouse", "export", str(folder), "--json"]) == 0
        told = {each["table"]: each for each in json.loads(capsys.readouterr().out)}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.parquet" for name in told
    )
    assert {"epochs", "predictions", "leaderboard", "schema_versions"} <= told.keys()
    for name, each in told.items():
        table = pq.read_table(each["path"])
        assert table.num_rows == each["rows"]
        expected = warehouse.query(home.warehouse, f'from "{name}"')
        assert table.column_names == expected.column_names
        assert _lines(table) == _lines(expected)
        assert not any(str(field.type).startswith("decimal") for field in table.schema)
        assert all(field.metadata[b"comment"] for field in table.schema)
        assert table.schema.metadata[b"comment"].startswith(b"one row per")


def test_an_export_needs_a_folder_and_a_warehouse(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FOODVISION_HOME", str(home.root))
    assert main(["warehouse", "export", str(tmp_path / "file")]) == 2
    assert "Name another folder" in capsys.readouterr().err
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "nothing"))
    assert main(["warehouse", "export", str(tmp_path / "folder")]) == 2
    assert "nothing has run yet" in capsys.readouterr().err
    assert not (tmp_path / "folder").exists()


def test_the_notebook_is_committed_clean() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert not re.search(r"/home/|/Users/|/work/|/tmp/|[A-Z]:\\\\", json.dumps(notebook))


def test_the_notebook_runs_on_this_warehouse(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOODVISION_HOME", str(home.root))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") == 3
    assert all(view.name in outputs[0]["text"] for view in statements.views())
    assert not any(output.get("name") == "stderr" for output in outputs)
