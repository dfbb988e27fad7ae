from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from flows.cli import logs, main, ranking, tables, widths, winning
from flows.cli.app import app
from flows.cli.finding import find_named
from flows.cli.plans import print_work
from flows.cli.predicting import _photos
from foodvision.home import Home
from foodvision.plan.load import load_plan
from foodvision.store import Store
from tasks.finding_logs import StageLog
from tasks.journal import Journal
from tests.boards import START, make_board
from tests.flows.conftest import ROOT, python_environment, run_command
from tests.running import digits_plan, make_photos

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAVY = ("torch", "torchvision", "prefect", "duckdb")
PLAN = digits_plan(
    """\
grid:
  epochs: [1, 2]
rank: {by: valid.accuracy, then: valid.loss}
""",
    valid=0.2,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "it's here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FOODVISION_HOME", str(folder / "home"))
    (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
    (folder / "bad.yaml").write_text(PLAN.replace("[1, 2]", "[1, 0]"), encoding="utf-8")
    return folder


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))
    if not getattr(command, "commands", {}):
        yield path


COMMANDS = sorted(_commands(get_command(app)))


def test_all_commands_are_looked_at() -> None:
    assert ("store", "gc") in COMMANDS
    assert len(COMMANDS) >= 16


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_ends_with_an_example_and_its_output(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    example = lines[lines.index("  Example:") + 1 :]
    assert example[0].startswith(f"    $ foodvision {' '.join(command)}")
    assert len(example) > 1
    assert all(len(line) <= 80 for line in lines)
    written = _find(command).epilog.replace("\b", "").split("Example:\n")[1].splitlines()
    assert [line.strip() for line in example if line] == [line.strip() for line in written if line]


def _find(path: tuple[str, ...]) -> Any:
    found: Any = get_command(app)
    for name in path:
        found = found.commands[name]
    return found


def test_the_list_of_commands_is_of_whole_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    commands = capsys.readouterr().out.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert [line for line in commands if not line.endswith(".")] == []
    assert [line for line in commands if line.endswith("...")] == []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--help"], id="help"),
        pytest.param(["run", "--help"], id="help of a command"),
        pytest.param(["validate", "plan.yaml"], id="validate"),
        pytest.param(["validate", "bad.yaml"], id="validate a bad plan"),
    ],
)
def test_quick_commands_import_nothing_heavy(arguments: Sequence[str], folder: Path) -> None:
    code = (
        f"import sys; from flows.cli import main; main({arguments!r}); "
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = run_command(["-c", code], cwd=folder)
    assert done.stderr.strip() == ""
    assert done.returncode == 0


@pytest.mark.parametrize("command", ["rank", "runs", "sql", "store", "models"])
def test_looking_needs_neither_torch_nor_prefect(command: str, folder: Path) -> None:
    arguments = {"sql": ["sql", "select 1"], "rank": ["rank", "plan.yaml"], "runs": ["runs"]}.get(
        command, [command, "ls"]
    )
    code = (
        f"import sys; from flows.cli import main; main({arguments!r}); "
        "print([name for name in ('torch', 'prefect') if name in sys.modules])"
    )
    assert run_command(["-c", code], cwd=folder).stdout.splitlines()[-1] == "[]"


def test_validate_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "plan.yaml"]) == 0
    assert capsys.readouterr().out == (
        "plan.yaml: 2 cells, 1 data set, 1 architecture; no problems\n"
    )


def test_validate_warns_without_failing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "plan.yaml", "--set", "rank.by=test.accuracy"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("warning: ")
    assert out.endswith("; 1 warning\n")


def test_validate_lists_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "bad.yaml", "--set", "base.batch_size=-1"]) == 2
    *problems, summary = capsys.readouterr().out.splitlines()
    assert any(line.startswith("bad.yaml:14:15: grid.epochs[1]: ") for line in problems)
    assert any("base.batch_size" in line for line in problems)
    assert summary == f"bad.yaml: {len(problems)} problems"


def test_validate_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "bad.yaml", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert not found["is_valid"]
    assert {"severity": "error", "line": 14, "path": "grid.epochs[1]"}.items() <= found["findings"][
        0
    ].items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rank"], "nothing has run yet"),
        (["rank", "nobody"], "nothing has run yet"),
        (["best"], "nothing has run yet"),
        (["sql", "select 1"], "nothing has run yet"),
        (["sql", "-f", "nope"], "the name or number of a question; found 'nope', which is none"),
        (["sql", "-f", "axis"], "which is none of these; did you mean 'axes'? `foodvision sql"),
        (["sql", "-f", "99"], "'99', which is none of these. `foodvision sql --questions` lists"),
        (["sql", "-f", "."], "which cannot be read (Is a directory)"),
        (["models", "ls"], "nothing has run yet"),
        (["predict", "photo.jpg"], "nothing has run yet"),
        (["rank", "missing.yaml"], "no such file"),
        (["run", "missing.yaml"], "no such file"),
        (["run", "bad.yaml"], "grid.epochs[1]"),
        (["run", "plan.yaml", "--set", "nonsense"], "nonsense"),
        (["explain", "plan.yaml"], "has not been fetched yet"),
        (["store", "gc"], "Use --unreached, --older-than DAYS"),
        (["init", "no-folder"], "is not there"),
        (["init", "home", "--output", "plan.yaml"], "plan.yaml exists"),
        (["nonsense"], "No such command"),
        (["history"], "Did you mean 'runs'?"),
        (["plan.yaml", "run", "-q"], "Did you mean `foodvision run plan.yaml -q`?"),
        (["plan.yaml"], "Did you mean `foodvision run plan.yaml`?"),
        (["run", "plan.yaml", "--dry-run"], "`foodvision explain PLAN` says what a run would do"),
        (["run", "plan.yml"], "did you mean 'plan.yaml'?"),
        (["predict", "demo:best", "5.png"], "`foodvision predict --model demo:best 5.png`?"),
        (["predict", "."], "found none in ."),
        (["sql", "axes"], "did you mean `foodvision sql -f axes`?"),
        (["sql", "axis"], "did you mean `foodvision sql -f axes`?"),
        (["run"], "Missing argument"),
    ],
)
def test_bad_input_is_told_on_the_error_stream(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_photo_that_cannot_be_read_is_named_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from foodvision.evaluate.answering import Answerer
    from tests.evaluate.test_photos import EDGES

    monkeypatch.setattr(Answerer, "open", lambda _: (EDGES, {}))
    (folder / "text.jpg").write_text("no photo")
    assert main(["predict", "--model", "some.pth", "text.jpg", "missing.jpg"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.count(".jpg") for line in told] == [1, 1]
    assert [line.partition(":")[0] for line in told] == ["text.jpg", "missing.jpg"]


def test_home_option_wins(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "ls", "--home", "other home"]) == 0
    assert str(folder / "other home" / "store") in capsys.readouterr().out


def test_init_writes_a_plan_that_validates(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photos(folder / "my photos", train=1, test=1)
    assert main(["init", "my photos", "--output", "new/plan.yaml"]) == 0
    said = capsys.readouterr()
    assert "new/plan.yaml: a plan for my photos" in said.err
    assert said.out == ""
    assert main(["validate", "new/plan.yaml"]) == 0
    assert main(["init", "my photos", "--output", "new/plan.yaml", "--force"]) == 0


def test_init_prints_the_plan_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_photos(folder / "my photos", train=1, test=1)
    assert main(["init", "my photos", "-o", "-"]) == 0
    text = capsys.readouterr().out
    assert load_plan(text, folder=folder).data


@pytest.mark.parametrize(
    ("train", "test", "batch_size"),
    [
        pytest.param(6, 1, 8, id="14 of 18 are left beside valid"),
        pytest.param(6, 0, 8, id="11 of 18 are left beside split and valid"),
        pytest.param(20, 1, 32, id="48 are left: as the courses do"),
    ],
)
def test_init_asks_for_a_batch_that_the_images_fill(
    train: int, test: int, batch_size: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = make_photos(folder / "my photos", train=train, test=test or 1)
    if not test:
        photos = photos / "train"
        photos = photos.rename(folder / "more photos")
    assert main(["init", str(photos), "-o", "-"]) == 0
    assert load_plan(capsys.readouterr().out, folder=folder).base.batch_size == batch_size


def test_init_refuses_a_single_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = make_photos(folder / "my photos", train=1, test=1)
    (folder / "one").mkdir()
    one = next((photos / "train").iterdir())
    one.rename(folder / "one" / one.name)
    assert main(["init", "one", "-o", "-"]) == 2
    assert "at least two classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [("empty", "found no images"), ("my photos/train", "Name its parent"), ("gone", "not there")],
)
def test_init_refuses_what_holds_no_images(
    name: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photos(folder / "my photos", train=1, test=1)
    (folder / "empty").mkdir()
    assert main(["init", name, "-o", "fresh.yaml"]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "fresh.yaml").exists()


def test_init_inside_of_a_split_hints_at_its_parent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photos(folder / "my photos", train=1, test=1)
    assert main(["init", "my photos/test"]) == 2
    assert capsys.readouterr().err.endswith("foodvision init 'my photos'\n")
    monkeypatch.chdir(folder / "my photos" / "train")
    assert main(["init", "."]) == 2
    assert capsys.readouterr().err.endswith("foodvision init ..\n")


def test_init_takes_val_for_the_test_split(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = make_photos(folder / "my photos", train=1, test=1)
    (photos / "test").rename(photos / "val")
    assert main(["init", "my photos", "-o", "-"]) == 0
    [data] = load_plan(capsys.readouterr().out, folder=folder).data.values()
    assert data.split is None


def test_bytes_that_cells_alone_would_write_are_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = {"epochs": {"alone": 0, "run": 0}, "bytes_written": {"alone": 0, "run": 460_032}}
    print_work(work)
    _, epochs, written = capsys.readouterr().out.splitlines()
    assert epochs.split() == ["epochs", "0", "0"]
    assert written.split() == ["bytes", "written", "–", "460,032"]


def test_the_unforeseen_is_short_and_leaves_a_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of the blue")

    monkeypatch.setattr(Store, "kinds", fail)
    assert main(["store", "ls"]) == 1
    said = capsys.readouterr().err
    assert "RuntimeError: out of the blue" in said
    assert "Traceback" not in said
    [log] = (folder / "home" / "logs").iterdir()
    assert str(log) in said
    assert "in fail\n" in log.read_text(encoding="utf-8")


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "kinds", interrupt)
    assert main(["store", "ls"]) == 130


@pytest.fixture
def store(folder: Path) -> Store:
    store = Store(folder / "home" / "store")
    for key in ("aa" * 32, "bb" * 32):
        with store.writing("train", key, inputs={}, code_version=1) as writer:
            (writer.path / "state.bin").write_bytes(bytes(1000))
    return store


def test_store_ls(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"kind": "train", "entries": 2, "bytes": 2000}]
    assert main(["store", "ls"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["in", "all", "2", "2.0", "kB"]


def test_store_verify_sets_damaged_entries_aside(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "verify"]) == 0
    assert capsys.readouterr().out == "2 entries, none damaged\n"
    (store.path("train", "aa" * 32) / "state.bin").write_bytes(bytes(999) + b"x")
    (store.path("train", "bb" * 32) / "manifest.json").unlink()
    assert main(["store", "verify"]) == 1
    assert "its bytes changed" in capsys.readouterr().out
    assert list(store.entries("train")) == []


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--older-than", "1"], 2),
        (["--older-than", "0"], 0),
        (["--keep", "1"], 2),
        (["--keep", "0.000001"], 1),
        (["--keep", "0"], 0),
        (["--older-than", "0", "--dry-run"], 2),
    ],
)
def test_store_gc(store: Store, options: list[str], left: int) -> None:
    assert main(["store", "gc", *options]) == 0
    assert len(list(store.entries("train"))) == left


def test_store_gc_tells_what_goes_by_kind(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "gc", "--unreached", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "would remove 2 entries, 2.0 kB",
        "Kind   Entries    Size",
        "train        2  2.0 kB",
    ]
    assert main(["store", "gc", "--unreached", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"kind": "train", "entries": 2, "bytes": 2000}]
    assert list(store.entries("train")) == []


def test_store_gc_takes_the_logs_of_stages_that_go(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = store.root.parent / "logs" / "1-run"
    Journal(store.root.parent / "journals" / "1-run.jsonl").write("started")
    logs.mkdir(parents=True)
    for name in ("run", f"train-{'aa' * 8}", f"train-{'cc' * 8}"):
        (logs / f"{name}.log").write_text("said\n")
    assert main(["store", "gc", "--unreached"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "removed 2 entries and 1 log, 2.0 kB",
        "Kind   Entries    Size",
        "train        2  2.0 kB",
        "log          1     5 B",
    ]
    assert sorted(path.name[:9] for path in logs.iterdir()) == ["run.log", "train-ccc"]


@pytest.mark.parametrize("command", [["ls"], ["gc", "--keep", "1"]])
def test_an_unreadable_manifest_is_told_and_passed_over(
    command: list[str], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store.path("train", "aa" * 32) / "manifest.json"
    path.write_text("{")
    assert main(["store", *command]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"passed over: {path}: cannot be read")
    assert "foodvision store verify" in said.err
    assert said.out


@pytest.mark.parametrize(("options", "left"), [([], 0), (["--dry-run"], 1)])
def test_store_gc_removes_what_killed_runs_left(
    store: Store, options: list[str], left: int
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from foodvision.store import Store\n"
        "with Store(Path(sys.argv[1])).writing('train', 'cc' * 32, inputs={}, code_version=1):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert len(list((store.root / "tmp").iterdir())) == 1
    assert main(["store", "gc", "--older-than", "1", *options]) == 0
    assert len(list((store.root / "tmp").iterdir())) == left
    assert len(list(store.entries("train"))) == 2


# -- tables -----------------------------------------------------------------------------------

ROWS = [
    {
        "rank": 1,
        "label": "a rather long label · 10 epochs · seed 3 · lr 0.001",
        "test_accuracy": 0.9,
    },
    {"rank": None, "label": "寿司 · [bold]", "test_accuracy": None, "params_total": 4_011_391},
]


@pytest.mark.parametrize(
    ("by", "change", "expected"),
    [
        (
            "test.accuracy",
            {"augment": "none", "mix": None},
            ["#", "Model", "Test accuracy", "Test loss", "Seconds", "Parameters"],
        ),
        (
            "test.accuracy",
            {"augment": "horizontal_flip", "mix": "none"},
            ["#", "Model", "Test accuracy", "Train − test", "Seconds", "Parameters"],
        ),
        (
            "valid.accuracy",
            {"augment": "none", "mix": "mixup"},
            ["#", "Model", "Valid accuracy", "Test accuracy", "Train − test", "Seconds"],
        ),
        (
            "test.accuracy",
            {"latency_ms": 18.25},
            ["#", "Model", "Test accuracy", "Test loss", "Seconds", "ms an image"],
        ),
        (
            "valid.loss",
            {"latency_ms": 18.25},
            ["#", "Model", "Valid loss", "Test accuracy", "Test loss", "ms an image"],
        ),
    ],
)
def test_columns_are_those_that_say_something(
    by: str, change: dict[str, Any], expected: list[str]
) -> None:
    rows = [{"augment": "none", "mix": "none", "latency_ms": None}, change]
    columns = ranking.leaderboard_columns(by, rows)
    assert [column.title for column in columns] == expected
    assert tables.difference(-0.05) == "-0.0500"


def _print_board(*, as_json: bool) -> None:
    tables.print_rows(ROWS, ranking.LEADERBOARD, as_json=as_json, empty="")


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": float("nan"), "b": [float("inf"), {"c": 1.5}]}]
    tables.print_rows(rows, (), as_json=True, empty="")
    assert json.loads(capsys.readouterr().out) == [{"a": None, "b": [None, {"c": 1.5}]}]


def test_a_pipe_gets_plain_lines_without_cuts(capsys: pytest.CaptureFixture[str]) -> None:
    _print_board(as_json=False)
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "#",
        "Model",
        *["Test", "accuracy", "Test", "loss", "Seconds", "Parameters"],
    ]
    assert ROWS[0]["label"] in first
    assert "[bold]" in second
    assert second.endswith("4,011,391")


def test_a_terminal_of_80_columns_cuts_no_figure() -> None:
    code = "from tests.flows.test_cli import _print_board; _print_board(as_json=False)"
    shown = _run_on_terminal(["-c", code], columns=80)
    lines = shown.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["Test", "Test"]
    assert lines[1].split() == ["#", "Model", "accuracy", "loss", "Seconds", "Parameters"]
    assert "0.9000" in shown
    assert "4,011,391" in shown
    assert "…" not in shown
    edge = lines[0].index("Test") - 4  # accuracy is four letters longer, and right-aligned
    folded = "".join(line[3:edge] for line in lines[3:]).replace(" ", "")
    assert ROWS[0]["label"].replace(" ", "") in folded


def _print_wide(text: str = "sushi " * 20) -> None:
    keys = [f"column_{number}" for number in range(12)]
    columns = [tables.Column(key, key, is_number=key.endswith("0")) for key in keys]
    row: dict[str, Any] = dict.fromkeys(keys, "pizza steak") | {"column_3": text}
    tables.print_rows([row, row | {"column_0": None}], columns, as_json=False, empty="")


def test_more_columns_than_fit_a_terminal_are_told_row_by_row() -> None:
    code = "from tests.flows.test_cli import _print_wide; _print_wide()"
    lines = _run_on_terminal(["-c", code], columns=80).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "1 of 2"
    assert lines[1] == "  column_0   pizza steak"
    assert set(lines[5].split()) == {"sushi"}
    assert lines[lines.index("2 of 2") + 1] == "  column_0   –"
    assert lines.count("  column_11  pizza steak") == 2
    long = code.replace("_print_wide()", "_print_wide('寿司 ' * 500)")
    lines = _run_on_terminal(["-c", long], columns=80).splitlines()
    assert lines[8:10] == [f"{' ' * 13}{'寿司 ' * 13}".rstrip(), lines[9]]
    assert lines[9] == f"{' ' * 13}… 1,500 characters in all; --json tells them"


def test_cells_with_one_reason_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    ranking.say_reasons("failed", {"lone": "its data is gone"})
    ranking.say_reasons("failed", {f"cell {number}": "no memory" for number in range(7)})
    assert capsys.readouterr().out.splitlines() == [
        "failed: lone: its data is gone",
        "failed: 7 cells: no memory",
        "  cell 0, cell 1, cell 2, cell 3, cell 4 and 2 more",
    ]


def test_stages_that_failed_alike_are_told_by_the_first_log(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failed(key: str, error: str | None) -> StageLog:
        path = folder / f"train-{key}.log"
        path.write_text(f"why {key}\n")
        names = {"kind": "train", "label": "train mlp", "cells": (), "place": "", "path": path}
        return StageLog(key=key * 64, error=error, has_diverged=False, seconds=1.0, **names)

    logs._print_failures(
        [*(failed(key, "no memory") for key in "abcdefg"), failed("h", "lost"), failed("i", None)]
    )
    alike = ", ".join(key * 8 for key in "bcdef")
    assert capsys.readouterr().out.splitlines() == [
        *("", f"--- {folder / 'train-a.log'}", "why a"),
        *("6 stages failed alike: " + alike + " and 1", "  more"),
        *("", f"--- {folder / 'train-h.log'}", "why h"),
    ]


def _print_files(label: str = "寿司 " * 20, file: str = f"{'sushi-' * 15}.pth") -> None:
    columns = [
        tables.Column("#", "rank", is_number=True),
        tables.Column("Model", "label"),
        tables.Column("Size", "size", is_number=True),
        tables.Column("File", "file", is_whole=True),
    ]
    row = {"rank": 1, "label": label, "size": 68_400, "file": file}
    tables.print_rows([row, row | {"label": "ピザ"}], columns, as_json=False, empty="")


def test_what_is_to_be_copied_has_a_line_of_its_own_on_a_narrow_terminal() -> None:
    code = "from tests.flows.test_cli import _print_files; _print_files()"
    lines = _run_on_terminal(["-c", code], columns=80).splitlines()
    assert lines.count(f"   {'sushi-' * 15}.pth") == 2
    others = [line for line in lines if "sushi" not in line]
    assert all(widths.width(line) <= 80 for line in others)
    assert [line.split() for line in others if "68400" in line][1] == ["1", "ピザ", "68400"]
    ends = {widths.width(line.rstrip()) for line in others if line.endswith(("Size", "68400"))}
    assert len(ends) == 1  # rows stand below the heading
    assert "File" not in lines[0]
    short = code.replace("_print_files()", "_print_files('ピザ', 'pizza.pth')")
    heading, _, *rows = _run_on_terminal(["-c", short], columns=80).splitlines()
    assert heading.split() == ["#", "Model", "Size", "File"]
    assert [row.split() for row in rows] == [["1", "ピザ", "68400", "pizza.pth"]] * 2


def _run_on_terminal(arguments: Sequence[str], *, columns: int) -> str:
    outer, inner = pty.openpty()
    environment = python_environment(COLUMNS=str(columns), TERM="dumb")
    child = subprocess.Popen(
        [sys.executable, *arguments], stdout=inner, cwd=ROOT, env=environment, close_fds=True
    )
    os.close(inner)
    shown = b""
    while select.select([outer], [], [], 60)[0]:
        try:
            part = os.read(outer, 4096)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        shown += part
    os.close(outer)
    assert child.wait() == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.001326, "0.0013"),
        (0.0996, "0.100"),
        (0.1234, "0.12"),
        (9.994, "9.99"),
        (18.25, "18.2"),
        (1234.5, "1,234"),
    ],
)
def test_milliseconds(value: float, text: str) -> None:
    assert tables.milliseconds(value) == text


TOGETHER = "where 32 are answered together"


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({"latency_ms": None}, []),
        (
            {"latency_ms": 25.0, "latency_p95_ms": None},
            ["latency 25.0 ms an image, the sum over its members and views"],
        ),
        (
            {
                "latency_ms": 18.25,
                "latency_p95_ms": 21.0,
                "latency_32_ms": 9.5,
                "peak_memory_bytes": 20_000_000,
                "peak_memory_32_bytes": 361_000_000,
            },
            [
                f"latency 18.2 ms an image (95 % below 21.0 ms), 9.50 ms {TOGETHER}",
                "memory 20.0 MB with one image, 361.0 MB with 32",
            ],
        ),
        (
            {
                "latency_ms": 1.0,
                "latency_p95_ms": 2.0,
                "latency_32_ms": 0.5,
                "peak_memory_bytes": None,
            },
            [f"latency 1.00 ms an image (95 % below 2.00 ms), 0.50 ms {TOGETHER}"],
        ),
    ],
    ids=["not measured", "a composite", "measured", "a device that tells no memory"],
)
def test_best_says_what_was_measured(
    given: dict[str, Any], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    winning._say_latency(given)
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("accuracy", "images", "low", "high"),
    [
        (68 / 75, 75, 0.81965, 0.95405),  # these three as scipy's binomtest has them
        (1.0, 75, 0.95128, 1.0),
        (0.0, 10, 0.0, 0.27753),
        (0.5, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval(accuracy: float, images: int, low: float, high: float) -> None:
    found = winning.wilson_interval(accuracy, images)
    assert found == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e9, "2.5 GB")]
)
def test_size(value: float, text: str) -> None:
    assert tables.size(value) == text


# -- certainty --------------------------------------------------------------------------------


@pytest.fixture
def two_cells(folder: Path) -> None:
    make_board(Home(folder / "home"), PLAN, lambda cell: 0.7 if cell.axes["epochs"] == "1" else 0.9)


@pytest.fixture
def equal_cells(folder: Path) -> None:
    make_board(Home(folder / "home"), PLAN, lambda _: 0.9)


def _told(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    return " ".join((told.out + told.err).split())


def test_where_there_is_no_result_those_with_other_settings_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["base.seed=8", "name=small"]
    make_board(Home(folder / "home"), PLAN, lambda _: 0.9, overrides=overrides)
    for command, code in (("rank", 0), ("best", 2), ("report", 2)):
        assert main([command, "plan.yaml", "--set", "base.seed=9"]) == code
        words = "with --set base.seed=8 --set name=small: add the same here."
        assert f"small has 2 results of 2026-03-01, {words}" in _told(capsys)
    assert main(["rank", "plan.yaml"]) == 0
    assert "has 2 results" not in _told(capsys)


@pytest.mark.usefixtures("equal_cells")
def test_results_of_an_edited_plan_are_found_by_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["rank", "plan.yaml", "--set", "base.seed=9"]) == 0
    assert "the settings that it had then: name it by its name, small." in _told(capsys)
    assert main(["rank", "small"]) == 0
    assert "has 2 results" not in _told(capsys)


@pytest.mark.usefixtures("equal_cells")
def test_rank_marks_ties(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", "plan.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["1", "≈2"]
    assert lines[3] == "≈ cannot be told from the first on 451 test images (95 %)"
    assert lines[4].startswith("chance that the first of 2 is the best on the test images: 0.")
    assert main(["rank", "plan.yaml", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["rank"], first["verdict"]) == (1, "winner")
    assert (second["rank"], second["verdict"]) == (2, "tied")
    assert first["chance_best"] + second["chance_best"] == pytest.approx(1)
    assert second["behind_low"] <= 0 <= second["behind_high"]


@pytest.mark.usefixtures("two_cells")
def test_rank_says_where_nothing_ties(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", "plan.yaml"]) == 0
    out = capsys.readouterr().out
    assert "≈" not in out
    assert "the first is better than every other on 451 test images (95 %)" in out


@pytest.mark.usefixtures("two_cells")
def test_rank_of_all_plans_marks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank"]) == 0
    assert "chance" not in capsys.readouterr().out
    assert main(["rank", "--json"]) == 0
    assert "verdict" not in json.loads(capsys.readouterr().out)[0]


@pytest.mark.usefixtures("two_cells")
def test_rank_of_all_plans_tells_rows_of_earlier_settings_apart(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = {"run_id": "new", "started": START + timedelta(days=1)}
    make_board(
        Home(folder / "home"), PLAN.replace("base:", "base:\n  seed: 8"), lambda _: 0.8, **later
    )
    assert main(["rank"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("(earlier settings)" in line for line in lines) == 2
    assert lines[-1].startswith("all plans, by test accuracy")
    assert main(["rank", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["seed"]: row["is_earlier"] for row in rows} == {8: False, 42: True}
    assert main(["rank", "small", "--set", "base.seed=42", "--json"]) == 0  # what it was before
    assert {row["seed"] for row in json.loads(capsys.readouterr().out)} == {42}


@pytest.mark.usefixtures("two_cells")
def test_best_says_which_plan_it_took_and_where_its_report_lies(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report"]) == 0
    capsys.readouterr()
    assert main(["best"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert "(plan small, the one that ran last, ranked by " in first
    assert last.startswith("report: ")
    assert Path(last.removeprefix("report: ")).is_file()
    assert main(["best", "plan.yaml"]) == 0
    assert "ran last" not in capsys.readouterr().out


@pytest.mark.usefixtures("two_cells")
def test_a_question_says_how_many_rows_it_leaves_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sql", "-f", "sure_and_wrong"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    count = int(last.removeprefix("20 of ").removesuffix(" rows are shown"))
    assert 20 < count < 451
    assert main(["sql", "-f", "under_20_mb"]) == 0
    assert "rows are shown" not in capsys.readouterr().out


@pytest.mark.usefixtures("two_cells")
def test_report_is_one_file_where_it_was_asked_for(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert main(["report", "plan.yaml", "-o", "found.html"]) == 0
    assert capsys.readouterr().out.startswith("report: found.html (0.")
    assert "<!doctype html>" in (folder / "found.html").read_text(encoding="utf-8")[:200]
    assert main(["report", "--json"]) == 0  # the plan that ran last, in the usual place
    (told,) = json.loads(capsys.readouterr().out)
    assert Path(told["report"]).stat().st_size == told["bytes"]


@pytest.mark.usefixtures("two_cells")
def test_several_words_are_one_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "small", "2", "nothing"]) == 2
    assert "none of the plan small is called '2 nothing'" in capsys.readouterr().err


@pytest.mark.usefixtures("two_cells")
def test_a_plan_is_the_name_of_its_best_model() -> None:
    assert find_named("small") == find_named("small:best")
    assert find_named("small")[0].label == "2 epochs"


def test_images_of_folders_are_asked_for(folder: Path) -> None:
    inner = folder / "photos" / "inner"
    inner.mkdir(parents=True)
    for name in ("b.JPG", "a.png", "notes.txt"):
        (inner / name).touch()
    one = Path("one.png")
    assert _photos([one, folder / "photos"]) == [one, inner / "a.png", inner / "b.JPG"]


@pytest.mark.usefixtures("two_cells")
def test_report_of_a_plan_that_never_ran(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    text = PLAN.replace("hidden: 8", "hidden: 9")
    assert text != PLAN
    (folder / "other.yaml").write_text(text, encoding="utf-8")
    assert main(["report", "other.yaml"]) == 2
    assert "no cell of the plan" in capsys.readouterr().err
    assert main(["report", "unheard of"]) == 2
