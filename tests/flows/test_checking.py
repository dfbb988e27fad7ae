"""The commands that compare: `diff` and `verify`; and a run that compares its work."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flows.cli import main
from foodvision.home import Home
from foodvision.plan.work import Tally
from foodvision.progress import SILENT
from tasks.journal import journals, read_journal
from tests.flows.conftest import run_command
from tests.running import make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

    from flows.server import ServerHandle

HEAD = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan that was run, and one that came after it."""
    place = tmp_path_factory.mktemp("it's here")
    text = plan_text(
        make_photos(place / "photos", train=4, test=2), "grid: {epochs: [1, 2]}\n", model=HEAD
    )
    run(text, place / "home")
    (place / "plan.yaml").write_text(text, encoding="utf-8")
    later = text.replace("[1, 2]", "[2, 4]").replace("name: small", "name: longer")
    (place / "later.yaml").write_text(later, encoding="utf-8")
    other = text.replace("seed: 7", "seed: 8").replace("grid: {epochs: [1, 2]}", "")
    (place / "other.yaml").write_text(other, encoding="utf-8")
    views = "tta: {flips: [identity, horizontal_flip]}\nensembles: {both: {kind: mean}}\n"
    (place / "views.yaml").write_text(text + views, encoding="utf-8")
    (place / "bad.yaml").write_text(text.replace("[1, 2]", "[1, 0]"), encoding="utf-8")
    return place


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("FOODVISION_HOME", str(place / "home"))


def test_diff_prints_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "plan.yaml", "later.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "longer against small: 1 cell reused, 1 continued, 0 added, 1 dropped;",
        "2 of 4 epochs shared",
        "",
        "Change     Cell      Epochs  What",
        "reused     2 epochs     2/2",
        "continued  4 epochs     2/4  after 2 epochs",
        "dropped    1 epoch        1  lives on in 2 epochs",
    ]


def test_diff_says_what_an_added_cell_shares(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "plan.yaml", "other.yaml"]) == 0
    assert "added    small        0/3  nothing shared" in capsys.readouterr().out


def test_diff_tells_views_and_ensembles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "plan.yaml", "views.yaml"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "small against small: 2 cells reused, 0 continued, 0 added, 0 dropped;",
        "views and ensembles: 0 reused, 3 added, 0 dropped;",
        "2 of 2 epochs shared",
        "",
        "Change  Cell              Epochs  What",
        "reused  1 epoch              1/1",
        "reused  2 epochs             2/2",
        "added   1 epoch · flips        –  1 of 2 outputs shared",
        "added   2 epochs · flips       –  1 of 2 outputs shared",
        "added   both                   –  2 of 2 outputs shared",
    ]
    assert main(["diff", "views.yaml", "plan.yaml"]) == 0
    out = capsys.readouterr().out
    assert "views and ensembles: 0 reused, 0 added, 3 dropped;" in out
    assert "dropped  both                   –" in out


def test_diff_in_json_is_a_list_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "plan.yaml", "later.yaml", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["change"] for row in rows] == ["reused", "continued", "dropped"]
    assert rows[1]["shared_epochs"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["diff", "plan.yaml", "nope.yaml"], "no such file", id="diff: no file"),
        pytest.param(["diff", "bad.yaml", "plan.yaml"], "must be at least 1", id="diff: bad plan"),
        pytest.param(
            ["diff", "plan.yaml", "plan.yaml", "--home", "elsewhere"],
            "data.photos: its images are not known here",
            id="diff: not fetched",
        ),
        pytest.param(["verify", "bad.yaml"], "must be at least 1", id="verify: bad plan"),
        pytest.param(["verify", "other.yaml"], "Run the plan first", id="verify: never run"),
    ],
)
def test_bad_input_exits_with_two(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        pytest.param(
            "base.model.freeze=conv_block_9",
            "base.model.freeze: model.freeze must be none, early, most, backbone, a count or a "
            "block, got 'conv_block_9'. Did you mean 'conv_block_1'?",
            id="block of a network of ours",
        ),
        pytest.param(
            "grid.model.lr_scale=[{none: 1}, {some: {conv_block_1: 0.1, layer9: 0.2}}]",
            "grid.model.lr_scale[1].some: model.lr_scale must name blocks of tiny_vgg",
            id="rate of a block",
        ),
        pytest.param(
            "base.schedule={kind: constant, warmup: {steps: 1000}}",
            "grid.epochs[1]: schedule.warmup.steps must be at most the steps of the "
            "training, got 1000 for 2 epochs of 3 steps",
            id="warm-up",
        ),
        pytest.param(
            "base.data={name: photos, count: 1000}",
            "base.data.count: ",
            id="more images than there are",
        ),
        pytest.param(
            "base.batch_size=1000",
            "base.batch_size: batch_size must be at most the number of training images",
            id="batch",
        ),
        pytest.param(
            "base.phases=[{epochs: 1}, {epochs: 1, model.freeze: layer9}]",
            "base.phases[1].model.freeze: model.freeze must be none",
            id="block in a phase",
        ),
    ],
)
def test_validate_refuses_what_the_images_and_the_blocks_say(
    override: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["--set", "grid={}", "--set", "base.epochs=null"] if "phases" in override else []
    assert main(["validate", "plan.yaml", *extra, "--set", override]) == 2
    assert message in capsys.readouterr().out


def test_validate_says_what_it_could_not_check_and_checks_it_once_it_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arch = ["--set", "base.model={arch: resnet18, freeze: FREEZE}"]
    named, known = ([each.replace("FREEZE", word) for each in arch] for word in ("layer9", "most"))
    assert main(["validate", "plan.yaml", *named]) == 0
    assert "not checked: the blocks of resnet18" in capsys.readouterr().out
    assert main(["explain", "plan.yaml", *known]) == 0
    capsys.readouterr()
    assert main(["validate", "plan.yaml", *named]) == 2
    assert "model.freeze must be none" in capsys.readouterr().out
    warmed = ["--set", "base.schedule={kind: constant, warmup: {steps: 1000}}"]
    assert main(["validate", "plan.yaml", *warmed, "--home", "elsewhere"]) == 0
    assert "not checked: photos has not been fetched yet" in capsys.readouterr().out


def test_diff_never_imports_torch(place: Path) -> None:
    code = (
        "import sys; from flows.cli import main; main(['diff', 'plan.yaml', 'later.yaml']); "
        "print([name for name in ('torch', 'prefect') if name in sys.modules])"
    )
    done = run_command(["-c", code], cwd=place, FOODVISION_HOME=str(place / "home"))
    assert done.stdout.splitlines()[-1] == "[]"


def test_verify_says_equal_then_different(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["verify", "plan.yaml", "--cells", "1", "--quiet"]) == 0
    out = capsys.readouterr().out
    words = "small: 1 of 1 cells, trained again alone, are equal to the bit"
    assert f"{words}; 1 of the plan were not looked at" in out
    import tasks.results

    def shifted(entry: Any, honest: Any = tasks.results.read_logits) -> Any:
        return honest(entry) + (0.5 if (place / "home/store/score") in entry.path.parents else 0)

    monkeypatch.setattr(tasks.results, "read_logits", shifted)
    assert main(["verify", "plan.yaml", "--set", "grid.epochs=[2]", "--quiet"]) == 1
    out = capsys.readouterr().out
    assert "2 epochs  NO" in out
    assert "  logits.test: 6 of 6 images, by up to 0.5" in out
    assert main(["verify", "plan.yaml", "--cells", "1", "--json", "--quiet"]) == 1
    (certificate,) = json.loads(capsys.readouterr().out)
    assert certificate["is_equal"] is False
    assert certificate["compared"][-1]["what"] == "logits.test"


def test_a_run_that_counts_other_work_than_predicted_says_so(
    place: Path,
    server: ServerHandle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import flows.settling
    from flows.grid import run_plan

    honest = flows.settling.plan_work

    def wrong(*args: Any, **kwargs: Any) -> Any:
        work = honest(*args, **kwargs)
        return replace(work, predicted=work.predicted + Tally(epochs=1))

    monkeypatch.setattr(flows.settling, "plan_work", wrong)
    # Prefect, when it is set up first, takes the root's handlers away.
    monkeypatch.setattr(logging.getLogger("foodvision.run"), "handlers", [caplog.handler])
    home = Home(tmp_path)
    outcome = run_plan(str(place / "other.yaml"), home=home, progress=SILENT)
    assert not outcome.failures
    (journal,) = journals(home.journals)
    (defect,) = (event for event in read_journal(journal) if event["event"] == "defect")
    assert "epochs 4 predicted, 3 counted" in defect["message"]
    assert f"small: {defect['message']}" in caplog.text
