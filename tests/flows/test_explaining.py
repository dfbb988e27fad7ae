"""`foodvision explain` as people see it: 80 columns, and the same as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from flows.cli import main
from tests.flows.conftest import run_command
from tests.running import digits_plan

if TYPE_CHECKING:
    from pathlib import Path

PLAN = digits_plan(
    """\
grid:
  schedule: {flat: {kind: constant}, cosine: {kind: cosine, warmup: {epochs: 1}}}
  model: {frozen: {freeze: backbone}, free: {lr_scale: 0.5}}
""",
    model="{arch: tiny_vgg_padded, hidden: 4}",
    epochs=4,
    optimizer="{kind: sgd, lr: 0.1}",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that knows the data and the models."""
    folder = tmp_path_factory.mktemp("explaining")
    (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
    assert main(["explain", str(folder / "plan.yaml"), "--fetch", "--home", str(folder)]) == 0
    return folder


@pytest.fixture
def explain(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setenv("FOODVISION_HOME", str(place))

    def run(*options: str) -> str:
        capsys.readouterr()
        assert main(["explain", str(place / "plan.yaml"), *options]) == 0
        return capsys.readouterr().out

    return run


def test_what_is_kept_is_said_in_words(explain: Any) -> None:
    out = explain()
    assert all(len(line) <= 80 for line in out.partition("\nStage")[0].splitlines())
    assert "tiny_vgg_padded, 8 px, 2 cells: features of conv_block_1 to" in out
    assert "No features: freeze: none leaves every block trainable." in out
    kept = json.loads(explain("--json"))["kept"]
    assert [(each["kind"], len(each["reasons"])) for each in kept] == [
        ("features", 0),
        ("pixels", 1),
    ]


def test_disk_and_time_are_told(explain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    out = explain()
    assert "of pixels, 115.0 kB of features, " in out.replace("\n  ", " ")
    assert "Time: unknown; nothing like it has run on this device" in out
    assert "Warning" not in out
    found = json.loads(explain("--json"))
    kinds = [found["disk"][name] for name in ("pixels", "features", "states", "outputs", "models")]
    assert found["disk"]["total"] == sum(kinds)
    assert found["disk"]["free"] > found["disk"]["total"]
    assert found["seconds"] == {"stages": None, "stages_unknown": 6, "around": None}
    monkeypatch.setattr("tasks.explaining.free_bytes", lambda _: 1000)
    assert "1.0 kB are free. Warning: that is too little" in explain().replace("\n  ", " ")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("base.schedule={kind: step, step_size: 9}", "reaches epoch 9 and epochs is 4"),
        ("base.schedule={kind: constant, warmup: {epochs: 5}}", "warmup reaches epoch 5"),
        ("base.schedule={kind: constant, warmup: {steps: 999}}", "at most the steps of the train"),
        ("base.model.freeze=conv_block_9", "Blocks of tiny_vgg_padded: conv_block_1, conv_block_2"),
        ("base.model.lr_scale={conv_blok_1: 0.1}", "Did you mean 'conv_block_1'?"),
        ("base.transform.normalize=imagenet", "imagenet has 3 channels and channels is 1"),
        ("tta={a: [{five_crop: 40}]}", "five_crop (40) must be smaller than the images"),
    ],
)
def test_what_cannot_be_is_told_before_it_runs(
    override: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--set", "grid={}", "--set", override, "--home", str(place)]
    assert main(["explain", str(place / "plan.yaml"), *more]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_the_schedule_of_each_cell_is_drawn(explain: Any, tmp_path: Path) -> None:
    out = explain("--schedule", "--picture", str(tmp_path / "new" / "rates.png"))
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines[:-1])
    assert "  1 cell: cosine · frozen" in lines
    assert "  0.1 in every step of 4 epochs" in lines
    assert "sgd, cosine, warmup epochs: 1: 43 steps an epoch" in lines
    assert any(line.startswith("  Rate by block: conv_block_1 × 0.25, ") for line in lines)
    assert (tmp_path / "new" / "rates.png").read_bytes().startswith(b"\x89PNG")
    curves = json.loads(explain("--schedule", "--json"))
    assert [curve["cells"] for curve in curves] == [
        ["flat · frozen"],
        ["flat · free"],
        ["cosine · frozen"],
        ["cosine · free"],
    ]
    assert curves[2]["learning_rates"][0][0] == pytest.approx(0.01)


def test_explaining_what_is_known_needs_neither_torch_nor_prefect(place: Path) -> None:
    code = (
        f"import sys; from flows.cli import main; main(['explain', {str(place / 'plan.yaml')!r}, "
        f"'--home', {str(place)!r}]); "
        "print([name for name in ('torch', 'prefect', 'duckdb') if name in sys.modules])"
    )
    assert run_command(["-c", code], cwd=place).stdout.splitlines()[-1] == "[]"
