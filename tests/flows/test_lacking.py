"""What one cell lacks stops that cell, and what is made of it, and nothing else."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

import warehouse
from flows.cli import main
from flows.grid import run_plan
from foodvision.data import datasets
from foodvision.errors import PlanError
from foodvision.home import Home
from foodvision.progress import SILENT
from tasks.alerts import AlertBook
from tests import running
from tests.running import make_photos

if TYPE_CHECKING:
    from pathlib import Path

    from flows.outcome import RunOutcome
    from flows.server import ServerHandle

STATUS = "select label, status, error from leaderboard order by position"
NONE = "none, a torchvision entry or a file; found no file at"
FEW = {"train": 2, "test": 1}


@pytest.fixture
def home(tmp_path: Path, server: ServerHandle, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    return Home(tmp_path / "home")


def plan(data: dict[str, Any], rest: str = "", *, model: str = "{arch: mlp, hidden: 4}") -> str:
    return (
        f"name: small\ndata: {json.dumps(data)}\n"
        f"base: {{data: {next(iter(data))}, test: {next(iter(data))}, model: {model}, "
        "transform: {size: 8}, batch_size: 5, epochs: 1, threads: 1, "
        "optimizer: {kind: adam, lr: 0.01}}\n"
        f"save: none\nrecord: {{tensorboard: false}}\nalerts: [{{when: failed}}]\n{rest}"
    )


def run(text: str, home: Home) -> RunOutcome:
    return run_plan(text, home=home, progress=SILENT)


def rows(home: Home, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = warehouse.query(home.warehouse, sql).to_pylist()
    return found


def statuses(home: Home) -> dict[str, str]:
    return {row["label"]: row["status"] for row in rows(home, STATUS)}


def test_data_that_cannot_be_had_fails_its_own_cells(home: Home, tmp_path: Path) -> None:
    make_photos(tmp_path / "here", **FEW)
    for seed, name in enumerate(("packed", "other"), start=1):
        folder = make_photos(tmp_path / name, **FEW, seed=seed)
        shutil.make_archive(str(folder), "zip", folder)
    whole = (tmp_path / "packed.zip").read_bytes()
    (tmp_path / "packed.zip").write_bytes(whole[: len(whole) // 2])
    sources = {name: {"source": str(tmp_path / name)} for name in ("here", "gone")}
    sources |= {name: {"source": str(tmp_path / f"{name}.zip")} for name in ("packed", "other")}
    grid = "grid: {data: [here, gone, packed, other], epochs: [1, 2]}\n"
    made = "ensembles: {few: {members: {where: {data: here}}}, all: {kind: mean}}\n"
    bad = {**sources, "other": {**sources["other"], "sha256": "0" * 64}}
    first = run(plan(bad, grid + made), home)

    lost = [f"{name} · {epochs}" for name in ("gone", "packed", "other") for epochs in (1, 2)]
    lost = [f"{label} epoch{'s' * label.endswith('2')}" for label in lost]
    assert list(first.failures) == [*lost, "all"]
    assert first.cells_in_words == "2 of 8 cells completed"
    assert first.counted == first.predicted
    assert first.counted.epochs == 2
    whys = {
        "gone": "a folder or an archive must lie at",
        "packed": "an archive must be whole",
        "other": "the file's sha256 must be 0000",
    }
    (log,) = set(first.failed_logs.values())
    for name, words in whys.items():
        error = first.failures[f"{name} · 1 epoch"]
        assert error.startswith(f"data.{name}: ")
        assert words in error
        assert log.read_text().count(f"): {error}\n") == 1
        found = rows(home, f"select * from ({STATUS}) where label = '{name} · 2 epochs'")
        assert found == [{"label": f"{name} · 2 epochs", "status": "failed", "error": error}]
    assert first.failures["all"] == first.failures["gone · 1 epoch"]
    assert {row["label"]: row["rank"] for row in first.leaderboard}["few"]
    told = AlertBook(home).read().values()
    assert {each.alert.label for each in told} == {*lost, "all"}
    assert rows(home, "select status, cells, cells_failed from runs") == [
        {"status": "failed", "cells": 8, "cells_failed": 6}
    ]

    make_photos(tmp_path / "gone", **FEW, seed=3)
    (tmp_path / "packed.zip").write_bytes(whole)
    mended = run(plan(sources, grid + made), home)
    assert not mended.failures
    assert mended.counted.epochs == 6
    assert {row["status"] for row in mended.leaderboard} == {"completed"}

    shutil.rmtree(tmp_path / "gone")
    again = run(plan(sources, grid + made), home)
    assert set(again.failures) == {"gone · 1 epoch", "gone · 2 epochs", "all"}
    assert again.counted.epochs == 0
    assert {row["status"] for row in again.leaderboard} == {
        "completed"
    }  # what was found before stands


def test_weights_that_cannot_be_had_fail_their_own_cells(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = {"photos": {"source": str(make_photos(tmp_path / "photos", **FEW))}}
    weights = {name: tmp_path / f"{name}.pth" for name in ("absent", "unfit")}
    torch.save({"layer9.weight": torch.zeros(2)}, weights["unfit"])
    choices = {"drawn": {}} | {name: {"weights": str(path)} for name, path in weights.items()}
    text = plan(photos, f"grid: {{model: {json.dumps(choices)}, epochs: [1, 2]}}\n")
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")

    assert main(["run", "plan.yaml", "--quiet"]) == 1
    said = capsys.readouterr()
    words = " ".join(said.out.split())
    assert f"failed: 2 cells: model.weights must be {NONE}" in words
    assert "weights must fit mlp in all but the head, found missing hidden." in words
    assert words.count("absent · 1 epoch, absent · 2 epochs") == 1
    assert "small: 2 of 6 cells completed" in said.out
    assert said.err.count(" rows fail (") == 2  # each cause once
    assert "small: 2 of 6 rows fail (absent · 1 epoch, absent · 2 epochs): model." in said.err

    for number, path in enumerate(weights.values()):
        torch.save(
            {"hidden.weight": torch.full((4, 192), number), "hidden.bias": torch.zeros(4)}, path
        )
    mended = run(text, home)
    assert not mended.failures
    assert mended.counted.epochs == 4


def test_a_run_that_dies_before_it_has_compiled_leaves_results_as_they_are(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = {"photos": {"source": str(make_photos(tmp_path / "photos", **FEW))}}
    rates = "grid: {optimizer.lr: {fair: 0.01, wild: 1.0e+30}}\n"
    more = rates.replace("}}", ", new: 0.02}}") + "ensembles: {all: {kind: mean}}\n"
    model = "{arch: mlp, hidden: 8}"
    assert not run(
        plan(photos, rates, model=model).replace("epochs: 1", "epochs: 3"), home
    ).failures
    assert statuses(home) == {"fair": "completed", "wild": "diverged"}

    def refuse(*_: Any) -> None:
        raise PlanError("planted")

    monkeypatch.setattr("flows.settling.compile_cells", refuse)
    with pytest.raises(PlanError, match="planted"):
        run(plan(photos, more, model=model).replace("epochs: 1", "epochs: 3"), home)
    assert statuses(home) == {
        "fair": "completed",
        "wild": "diverged",
        "new": "failed",
        "all": "failed",
    }
    last = "select status, cells, cells_failed from runs order by started_at desc limit 1"
    assert rows(home, last) == [{"status": "failed", "cells": 3, "cells_failed": 1}]
    told = {e.alert.label: e.alert.message for e in AlertBook(home).read().values()}
    assert told["new"] == "small: new failed: planted"
    assert told["fair"].endswith("and what an earlier run found stands: planted")
    assert told.keys() == {"fair", "wild", "new", "all"}


def test_a_run_of_which_all_lacks_something_tells_of_each_cell(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = {name: {"source": str(tmp_path / name)} for name in ("one", "two")}
    text = plan(sources, "grid: {data: [one, two]}\nensembles: {all: {kind: mean}}\n")
    outcome = run(text, home)
    assert set(outcome.failures) == {"one", "two", "all"}
    assert outcome.counted == outcome.naive
    assert not any(row["rank"] for row in outcome.leaderboard)
    assert "nothing does" in outcome.report.read_text()
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    for command in (["explain"], ["verify"], ["summary"], ["diff", "plan.yaml"], ["show"]):
        assert main([*command, "plan.yaml"]) == 2
        assert "data.one" in capsys.readouterr().err


def test_commands_tell_of_what_there_is_and_say_what_is_left_out(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"here": {"source": str(make_photos(tmp_path / "here", **FEW))}}
    both = here | {"gone": {"source": str(tmp_path / "gone")}}
    running.run(plan(here), home.root)
    few = plan(both, "grid: {data: [here, gone]}\nensembles: {all: {kind: mean}}\n")
    (tmp_path / "before.yaml").write_text(plan(here), encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(few, encoding="utf-8")

    def told(*arguments: str) -> tuple[str, str]:
        assert main(list(arguments)) == 0
        said = capsys.readouterr()
        return said.out, said.err

    out, _ = told("explain", "plan.yaml")
    assert out.startswith("small: 2 cells, 1 of them done, 1 left out; 2 stages in the store, 0")
    words = "".join(out.split())  # a long path is broken
    assert f"Leftout:gone,all:data.gone:source'{tmp_path / 'gone'}':afolderor" in words
    assert ";nothingdoes.Checkthepath" in words
    assert "fetched" not in out  # it cannot be
    assert max(map(len, out.splitlines())) <= 80
    found = json.loads(told("explain", "plan.yaml", "--json")[0])
    assert [(each["labels"], each["cells"]) for each in found["left_out"]] == [(["gone", "all"], 1)]
    (tmp_path / "torn.zip").write_bytes(b"PK")
    torn = ["--set", "data.gone.source=./torn.zip"]
    assert (
        "gone, all: data.gone: its images are not known here: it"
        in told("explain", "plan.yaml", *torn)[0]
    )
    assert main(["explain", "plan.yaml", "--fetch", *torn]) == 1
    said = capsys.readouterr()
    assert "Left out: gone, all: data.gone: ./torn.zip: an archive must" in " ".join(
        said.out.split()
    )
    assert "fetched" not in said.out
    assert "data.gone: ./torn.zip" in said.err
    out, err = told("verify", "plan.yaml", "--quiet")
    words = "small: 1 of 1 cells, trained again alone, are equal to the bit"
    assert f"{words}; 1 of the plan were not looked at" in out
    assert err.count("small: left out: gone, all: data.gone: ") == 1
    out, err = told("diff", "before.yaml", "plan.yaml")
    assert "1 cell reused, 0 continued, 0 added, 0 dropped" in out
    assert err.count("left out: gone, all") == 1
    out, err = told("diff", "plan.yaml", "before.yaml")
    assert "0 dropped" in out
    out, err = told("summary", "plan.yaml")
    assert out.startswith("small: 1 model in 1 cell")
    assert "left out: gone: data.gone" in err
    out, err = told("show", "plan.yaml")
    assert out.startswith("here: 6 training and 3 test images")
    assert "data.gone: source" in err
    out, _ = told("validate", "plan.yaml")
    assert "plan.yaml: 2 cells, 2 data sets" in out


def test_logs_tell_of_cells_that_failed_before_any_stage(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {name: {"source": str(tmp_path / name)} for name in ("here", "gone")}
    make_photos(tmp_path / "here", **FEW)
    grid = "grid: {data: [here, gone], epochs: [1, 2]}\nensembles: {all: {kind: mean}}\n"
    lost = run(plan(sources, grid), home)
    (log,) = set(lost.failed_logs.values())

    def told(*arguments: str) -> str:
        assert main(["logs", "small", *arguments]) == 0
        return capsys.readouterr().out

    for asked, labels in (
        ([], "gone · 1 epoch, gone · 2 epochs, all"),
        (["--failed"], "gone · 1 epoch, gone · 2 epochs, all"),
        (["gone 2"], "gone · 2 epochs"),
        (["all"], "all"),
    ):
        out = told(*asked)
        words = " ".join(out.split())
        assert f"Failed: {labels}: data.gone: source" in words
        assert words.count("must lie at") == 1
        assert f"\n  log: {log}\n" in out
        assert out.count(str(log)) == 1
    assert "Failed" not in told("here 2")
    assert "(gone)" not in told()
    *_, last = json.loads(told("--failed", "--json"))
    assert (last["status"], last["stage"], last["log"]) == ("failed", None, str(log))
    assert last["cells"] == ["gone · 1 epoch", "gone · 2 epochs", "all"]

    def die(*_: Any) -> None:
        raise KeyError("planted")

    with monkeypatch.context() as patch:
        patch.setattr("flows.settling.compile_cells", die)
        with pytest.raises(KeyError):
            run(plan(sources, grid), home)
    assert "Traceback" in told()  # of a run that died its own log is printed
    make_photos(tmp_path / "gone", **FEW, seed=3)
    assert not run(plan(sources, grid), home).failures
    assert told("--failed") == "No stage of small failed when it was last tried.\n"


def test_the_unforeseen_about_one_data_set_fails_its_own_cells(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {name: {"source": f"./{name}"} for name in ("here", "odd")}
    for seed, name in enumerate(sources):
        make_photos(tmp_path / name, **FEW, seed=seed)
    (tmp_path / "plan.yaml").write_text(plan(sources, "grid: {data: [here, odd]}\n"), "utf-8")

    def read(folder: Path, honest: Any = datasets.read_layout, **more: Any) -> Any:
        if folder.name == "odd":
            raise KeyError("planted")
        return honest(folder, **more)

    monkeypatch.setattr(datasets, "read_layout", read)
    assert main(["run", "plan.yaml", "--quiet"]) == 1
    said = capsys.readouterr()
    assert statuses(home) == {"here": "completed", "odd": "failed"}
    (row,) = rows(home, f"from ({STATUS}) where label = 'odd'")
    assert row["error"].startswith("data.odd: must be fetched without an error that nobody fores")
    assert "KeyError: 'planted'." in row["error"]
    assert "Traceback" not in said.out + said.err
    (log,) = home.logs.glob("*/run.log")
    assert log.read_text().count("Traceback") == 1
    assert "in read\n" in log.read_text()
