"""`foodvision compare`: what changed, and whether it is more than noise."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows.cli import main
from flows.cli.comparing import _say_settings
from foodvision.home import Home
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from tasks.comparing import Setting, _environment
from tasks.journal import Journal
from tasks.plan_data import fetch_data
from tests.boards import START, Board
from tests.running import digits_plan
from warehouse import reading

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = "0aaaaaaa-0000-4000-8000-000000000000", "0bbbbbbb-0000-4000-8000-000000000000"
PLAN = digits_plan(
    """\
grid:
  batch_size: [16, 32]
  epochs: [1, 2]
exclude: [{batch_size: 16, epochs: 2}]
""",
)


def _note(home: Home, run_id: str, key: str) -> None:
    journal = Journal(home.journals / f"20260301T090000-{run_id}.jsonl")
    journal.write("started", run_id=run_id)
    journal.write("dataset", name="digits", key=key)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two runs, a week apart, the second with another rate: one cell much better."""
    folder = tmp_path_factory.mktemp("comparing")
    home = Home(folder / "home")
    Board(load_plan(PLAN), home, lambda _: 0.8, run_id=FIRST).load()
    later = load_plan(PLAN, ["base.optimizer.lr=0.01", "exclude=[{epochs: 2}]"])
    Board(
        later,
        home,
        lambda cell: 0.95 if cell.axes["batch_size"] == "16" else 0.8,
        run_id=SECOND,
        started=START + timedelta(days=7),
        torch="2.15.0",
        overrides=["base.optimizer.lr=0.01"],
    ).load()
    for name, plan in (("first.yaml", PLAN), ("same.yaml", PLAN.replace("small", "other"))):
        (folder / name).write_text(plan, encoding="utf-8")
    dataset = fetch_data(later, "digits", home, progress=SILENT)
    for run_id in (FIRST, SECOND):
        _note(home, run_id, dataset.key)
    return folder


@pytest.fixture
def compare(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setenv("FOODVISION_HOME", str(place / "home"))
    monkeypatch.chdir(place)

    def run(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["compare", *arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


def test_two_runs(compare: Any) -> None:
    out = compare(FIRST[:8], SECOND[:8])
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[:2] == [
        "before: small, run 0aaaaaaa of 2026-03-01 09:00 UTC, 3 cells",
        "after:  small, run 0bbbbbbb of 2026-03-08 09:00 UTC, 2 cells",
    ]
    assert "  base.optimizer.lr: 0.003 → 0.01" in lines
    assert "  packages.torch: 2.14.1 → 2.15.0" in lines
    assert any(line.startswith("only before: ") for line in lines)
    assert lines[-1] == "1 better, 0 worse, 1 within noise, 0 the same"


def test_as_json(compare: Any) -> None:
    found = json.loads(compare(FIRST, SECOND, "--json"))
    assert found["before"]["run_id"] == FIRST
    assert {"path": "base.optimizer.lr", "before": 0.003, "after": 0.01} in found["plan"]
    verdicts = {each["label"]: each["change"]["verdict"] for each in found["results"]}
    assert sorted(verdicts.values()) == ["better", "noise"]
    assert [each["is_same_recipe"] for each in found["results"]] == [False, False]
    for each in found["results"]:
        change = each["change"]
        assert change["low"] <= change["change"] <= change["high"]
        assert change["images"] == 451
    assert len(found["only_before"]) == 1
    (data,) = found["data"]
    assert (data["name"], data["change"]) == ("digits", "same")


def test_the_other_way_round_better_is_worse(compare: Any) -> None:
    assert (
        compare(SECOND, FIRST).splitlines()[-1] == "0 better, 1 worse, 1 within noise, 0 the same"
    )


def test_days_mean_the_last_run_until_then(compare: Any) -> None:
    by_day = json.loads(compare("2026-03-05", "2026-03-08", "--json"))
    assert [by_day[side]["run_id"] for side in ("before", "after")] == [FIRST, SECOND]
    moment = json.loads(compare("2026-03-08T08:00", "small", "--json"))
    assert [moment[side]["run_id"] for side in ("before", "after")] == [FIRST, SECOND]


def test_a_plan_finds_its_results_by_its_cells(compare: Any) -> None:
    found = json.loads(compare("first.yaml", "same.yaml", "--json"))
    assert {each["change"]["verdict"] for each in found["results"]} == {"same"}
    assert [each["path"] for each in found["plan"]] == ["name"]
    assert found["environment"] == []


def test_a_plan_that_has_not_run_is_told_so(compare: Any, place: Path) -> None:
    (place / "new.yaml").write_text(PLAN.replace("0.003", "0.5"), encoding="utf-8")
    out = compare("small", "new.yaml")
    assert "after:  small, which has not run, 0 cells" in out
    assert "not known: a side has not run" in out
    assert "no cell is in both" in out


def test_one_side_is_held_against_the_run_before_it(compare: Any) -> None:
    for text in ("small", SECOND[:8]):
        found = json.loads(compare(text, "--json"))
        assert [found[side]["run_id"] for side in ("before", "after")] == [FIRST, SECOND]
    told = compare(FIRST[:8], code=2)
    assert f"small has one run until {FIRST[:8]}. Run it with other settings" in told


def test_one_run_on_both_sides_is_a_sentence(compare: Any) -> None:
    out = " ".join(compare(SECOND[:8], SECOND).split())
    assert out.startswith("Both sides are small, run 0bbbbbbb of 2026-03-08 09:00 UTC: nothing")
    found = json.loads(compare(SECOND[:8], SECOND, "--json"))
    assert {each["change"]["verdict"] for each in found["results"]} == {"same"}


def test_runs_are_listed_the_latest_first(compare: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"]) == 0
    newest, oldest = json.loads(capsys.readouterr().out)
    assert (newest["run_id"], oldest["run_id"]) == (SECOND, FIRST)
    assert (oldest["cells_done"], oldest["epochs_computed"], oldest["epochs_alone"]) == (3, 5, 4)
    assert newest["set"] == ["base.optimizer.lr=0.01"]
    assert main(["runs", "small", "--limit", "1"]) == 0
    _, row, overrides, more = capsys.readouterr().out.splitlines()
    assert " ".join(row.split()) == ("0bbbbbbb 2026-03-08 09:00 small completed 2 300 5 of 5")
    assert overrides == "0bbbbbbb: --set base.optimizer.lr=0.01"
    assert "--limit" in more
    assert main(["runs", "smal"]) == 2
    assert "did you mean 'small'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody", "small"), "compare takes a plan's file, the name of a plan that ran"),
        (("0ccccccc", "small"), "which is none of these; known: small."),
        (("2026-02-01", "small"), "small had not run by 2026-02-01"),
        (("2026-02-31", "small"), "a day is written like 2026-03-01"),
        (("missing.yaml", "small"), "no such file"),
    ],
)
def test_bad_input(compare: Any, arguments: tuple[str, str], message: str) -> None:
    assert message in compare(*arguments, code=2)


def test_how_two_runs_begin_is_not_enough(compare: Any, place: Path) -> None:
    twin = "0aaaaaaa-1111-4000-8000-000000000000"
    home = Home(place / "home")
    Board(
        load_plan(PLAN), home, lambda _: 0.8, run_id=twin, started=START - timedelta(days=1)
    ).load()
    assert "with which 2 begin. Give more of it." in compare("0aaaaaaa", "small", code=2)


def _planned(environment: dict[str, Any]) -> reading.PlannedRun:
    text = json.dumps(environment)
    return reading.PlannedRun("1", "small", START, "completed", "cpu", text, None, "{}", None)


DIFF = """\
diff --git a/plans/my plan.yaml b/plans/my plan.yaml
--- a/plans/my plan.yaml
+++ b/plans/my plan.yaml
@@ -1 +1 @@
-epochs: 5
+epochs: {epochs}
diff --git a/ä.py b/ä.py
deleted file mode 100644
"""


def test_where_a_repository_stood_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    def planned(commit: str, diff: str) -> reading.PlannedRun:
        git = {"commit": commit * 40, "branch": "main", "is_dirty": bool(diff), "diff": diff}
        return _planned({"git": git})

    clean, other = planned("a", ""), planned("b", "")
    dirty, dirtier = (planned("b", DIFF.replace("{epochs}", each)) for each in ("6", "7"))
    (moved,), (changed,) = _environment(clean, other), _environment(clean, dirty)
    (edited,) = _environment(dirty, dirtier)
    assert not [*_environment(dirty, dirty)]
    _say_settings("Environment", (moved, changed, edited))
    told = " ".join(capsys.readouterr().out.split())
    files = "2 files changed: plans/my plan.yaml, ä.py"
    assert f"git: {'a' * 12} on main → {'b' * 12} on main git" in told
    assert f"git: {'a' * 12} on main → {'b' * 12} on main, {files} git" in told
    digests = [setting["changes"] for setting in (edited.before, edited.after)]
    assert f"{files} ({digests[0]}) → {'b' * 12} on main, {files} ({digests[1]})" in told
    assert digests[0] != digests[1]


def test_values_are_written_as_a_plan_may_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    _say_settings(
        "Plan",
        (
            Setting("description", "what it is about", ""),
            Setting("grid.model", None, {"small": {"arch": "mlp", "hidden": 8}}),
            Setting("grid.epochs", [5, 10], []),
        ),
    )
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  description: what it is about → (empty)",
        "  grid.model: – → {small: {arch: mlp, hidden: 8}}",
        "  grid.epochs: [5, 10] → (empty)",
    ]


def test_what_an_older_run_did_not_record_is_not_told_as_added() -> None:
    packages = {f"package-{number}": "1.0" for number in range(200)}
    git = {"commit": "abc", "branch": "main", "is_dirty": False, "diff": "", "untracked": 0}
    older = _planned({"python": "3.11", "host": "here"})
    newer = _planned({"python": "3.12", "host": "here", "packages": packages, "git": git})
    assert [*_environment(older, newer)] == [
        Setting("python", "3.11", "3.12"),
        Setting("packages", "not recorded then", "200 recorded"),
        Setting(
            "git",
            "not recorded then",
            {"commit": "abc", "branch": "main", "changes": None, "files": []},
        ),
    ]
    assert [*_environment(newer, older)][1] == Setting(
        "packages", "200 recorded", "not recorded then"
    )
