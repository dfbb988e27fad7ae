"""A home that cannot be used is said in a sentence, before any work is done."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from flows import server
from flows.cli import main
from foodvision.store import Store

PLAN = Path(__file__).parents[2] / "plans" / "demo.yaml"


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr(server, "local_server", start)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a file/home", "must be a folder that can be written"),
        ("a file", "must be a folder that can be written"),
        ("what?", "one that DuckDB opens"),
    ],
)
def test_run_needs_a_usable_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    (tmp_path / "a file").write_text("")
    assert main(["run", str(PLAN), "--home", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert str(tmp_path / name) in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.mark.parametrize(
    "command",
    [
        ["explain", str(PLAN), "--fetch"],
        ["summary", str(PLAN), "--fetch"],
        ["show", str(PLAN)],
        ["verify", str(PLAN)],
        ["serve"],
        ["up"],
        ["up", "--detach"],
        ["down"],
    ],
    ids=lambda command: " ".join(part for part in command if part != str(PLAN)),
)
@pytest.mark.parametrize("home", ["a file", "a file/home"])
def test_every_command_that_keeps_something_says_so(
    command: list[str], home: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a file").write_text("")
    assert main([*command, "--home", str(tmp_path / home)]) == 2
    said = capsys.readouterr()
    assert f"a folder that can be written, but {tmp_path / home} is not: " in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


@pytest.mark.parametrize(
    "command", [["store", "ls"], ["store", "gc", "--unreached"], ["validate", str(PLAN)]]
)
def test_looking_makes_no_home(command: list[str], tmp_path: Path) -> None:
    assert main([*command, "--home", str(tmp_path / "home")]) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("obstacle", ["file", "full disk"])
def test_the_unforeseen_is_told_once_where_no_log_can_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    obstacle: str,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of the blue")

    monkeypatch.setattr(Store, "kinds", fail)
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "home"))
    old, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if obstacle == "file":
        (tmp_path / "home").write_text("")
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        code = main(["store", "ls"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (old, hard))
    assert code == 1
    said = capsys.readouterr().err
    assert said.startswith("Something went wrong that FoodVision did not foresee: RuntimeError")
    assert "could not be written to the home" in said
    assert "in fail\n" in said
    assert "During handling" not in said
    assert os.strerror(errno.EFBIG if obstacle == "full disk" else errno.ENOTDIR) in said
