"""A cell that diverges, and what is made of it: told as that, in the run and after it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from flows.cli import main
from foodvision.home import Home
from tasks.journal import journals, read_journal
from tasks.loading import rebuild
from tests.running import digits_plan

if TYPE_CHECKING:
    from pathlib import Path

PLAN = digits_plan(
    """\
grid:
  optimizer.lr: [0.1, 1.0e+30]
tta:
  moved: {views: [identity, {shift: [1, 0]}], where: {optimizer.lr: 1.0e+30}}
ensembles:
  all: {kind: mean}
rank: {by: valid.accuracy, then: valid.loss}
save: none
""",
    name="wild",
    valid=0.2,
    model="{arch: mlp, hidden: 4}",
    epochs=2,
    batch_size=64,
    threads=1,
    optimizer="{kind: sgd, lr: 0.1}",
)


@pytest.mark.usefixtures("server")
def test_what_diverges_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "home"))
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    assert main(["run", "plan.yaml", "--quiet"]) == 0
    ran = capsys.readouterr().out
    assert "wild: 1 of 2 cells completed, 1 diverged in " in ran.splitlines()[-1]
    fallen = "1 epoch fell away: 1 cell diverged"
    assert f"{fallen}\n" in ran
    report = (tmp_path / "home" / "reports" / "wild" / "report.html").read_text(encoding="utf-8")
    assert f"compiled, 4 had to run. {fallen}." in report
    assert "4 of 4" in report
    assert main(["rank", "plan.yaml"]) == 0
    for out in (ran, capsys.readouterr().out):
        assert "collapsed" not in out
        assert out.count("(diverged)") == 3
        assert "diverged: lr 1e+30: its loss or weights are no finite numbers\n" in out
        assert "diverged: all: of its members lr 1e+30 diverged\n" in out
        assert "moved: of its members lr 1e+30 diverged\n" in out
    _has_no_answers(capsys)
    _predicts_nothing(tmp_path, capsys)
    _is_known_by_name_where_all_runs_died(Home(tmp_path / "home"), capsys)


def _predicts_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """See to it that a diverged model is not the latest, and is refused however it is named."""
    assert main(["run", "plan.yaml", "--quiet", "--set", "save=all"]) == 0
    photo = folder / "photo.png"
    Image.new("L", (16, 16)).save(photo)
    models = folder / "home" / "models" / "wild"
    (wild,) = models.glob("lr-1e*30-*.pth")
    capsys.readouterr()
    assert main(["models", "ls"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith("wild, ranked by valid.accuracy, in home/")
    assert listed[2].split()[1:5] == ["lr", "0.1", "best,", "latest"]
    assert sum("lr 1e+30 (diverged)" in line for line in listed) == 1
    assert main(["logs", "wild", "1e+30", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)
    assert [each["status"] for each in stages if each["kind"] == "train"] == ["diverged"]
    assert main(["logs", "wild", "all", "--json"]) == 0  # stands on the training of its members
    trained = [each for each in json.loads(capsys.readouterr().out) if each["kind"] == "train"]
    assert [each["cells"] for each in trained] == [["lr 0.1"], ["lr 1e+30"]]
    for name in ("wild:latest", str(models / "latest.pth"), "wild:lr 0.1"):
        assert main(["predict", str(photo), "--model", name]) == 0
        assert "What lr 0.1, of plan wild says" in capsys.readouterr().out
    assert main(["lineage", "wild:lr 1e+30", "--epoch", "1"]) == 0
    assert ": lr 1e+30 after epoch 1, " in capsys.readouterr().out
    for name in ("wild:lr 1e+30", "wild:lr 1e+30@epoch-1", str(wild)):
        assert main(["predict", str(photo), "--model", name]) == 2
        assert "its training diverged" in capsys.readouterr().err


def _has_no_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """See to it that what a diverged model says is no answer, in every table."""
    assert main(["rank", "plan.yaml", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    shares = [f"{part}_accuracy" for part in ("train", "valid", "test")]
    for row in rows:
        has_answers = row["status"] == "completed"
        assert [row[name] is not None for name in shares] == [
            has_answers and row["kind"] == "trained",
            has_answers,
            has_answers,
        ]
    keys = ", ".join(f"'{row['result_key']}'" for row in rows if row["status"] == "diverged")
    for table in ("predictions", "metrics", "class_metrics"):
        assert main(["sql", f"select * from {table} where result_key in ({keys})"]) == 0
        assert "No rows." in capsys.readouterr().out
    counts = "count(*) as epochs, count(test_accuracy) + count(train_accuracy) as shares"
    assert main(["sql", f"select {counts} from epochs where result_key in ({keys})"]) == 0
    assert capsys.readouterr().out.split() == ["epochs", "shares", "1", "0"]


def _is_known_by_name_where_all_runs_died(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """See to it that a plan whose only run died early is found by its name, and by `logs`."""
    *_, path = journals(home.journals)
    begun, *_, ended = read_journal(path)
    own = {"at": "2099-01-01T00:00:00+00:00", "run_id": "dead", "plan_id": "d" * 64}
    own |= {"log": "logs/dead.log", "plan_name": "doomed"}
    other = begun["plan_json"].replace('"batch_size": 64', '"batch_size": 32')
    own["plan_json"] = other.replace('"wild"', '"doomed"')
    dead = [begun | own, ended | {"status": "crashed", "at": own["at"]}]
    lines = "".join(f"{json.dumps(event)}\n" for event in dead)
    (home.journals / "20990101T000000-dead.jsonl").write_text(lines, encoding="utf-8")
    (home.root / own["log"]).write_text("the last word")
    rebuild(home)
    capsys.readouterr()
    for asked in ([], ["doomed"]):
        assert main(["logs", *asked]) == 0
        assert "the last word" in capsys.readouterr().out
    last = "The last run of doomed (2099-01-01 00:00 UTC)"
    why = f"{last} is crashed: `foodvision logs doomed` says why."
    assert main(["rank", "doomed"]) == 0
    assert why in " ".join(capsys.readouterr().out.split())
    for command in ("best", "report"):
        assert main([command, "doomed"]) == 2
        assert why in capsys.readouterr().err
        assert main([command]) == 0  # of the plan that has results
        capsys.readouterr()
    assert main(["logs", "doomed", "--failed"]) == 0
    assert capsys.readouterr().out == "No stage of doomed failed when it was last tried.\n"
