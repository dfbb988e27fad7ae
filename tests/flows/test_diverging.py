"""A cell that diverges, and what is made of it: told as that, in the run and after it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from flows.cli import main
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
    assert main(["rank", "plan.yaml"]) == 0
    for out in (ran, capsys.readouterr().out):
        assert "collapsed" not in out
        assert out.count("(diverged)") == 3
        assert "diverged: lr 1e+30: its loss or weights are no finite numbers\n" in out
        assert "diverged: all: of its members lr 1e+30 diverged\n" in out
        assert "moved: of its members lr 1e+30 diverged\n" in out
    _has_no_answers(capsys)
    _predicts_nothing(tmp_path, capsys)


def _predicts_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """See to it that a diverged model is not the latest, and is refused however it is named."""
    assert main(["run", "plan.yaml", "--quiet", "--set", "save=all"]) == 0
    photo = folder / "photo.png"
    Image.new("L", (16, 16)).save(photo)
    models = folder / "home" / "models" / "wild"
    (wild,) = models.glob("lr_1e[+]30-*.pth")
    capsys.readouterr()
    for name in ("wild:latest", str(models / "latest.pth"), "wild:lr 0.1"):
        assert main(["predict", str(photo), "--model", name]) == 0
        assert "What lr 0.1, of plan wild says" in capsys.readouterr().out
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
