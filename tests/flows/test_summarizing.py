"""foodvision summary: how large a plan's models are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from flows.cli import main
from tests.flows.conftest import run_command
from tests.running import digits_plan

if TYPE_CHECKING:
    from pathlib import Path

PLAN = digits_plan(
    """\
grid:
  model:
    vgg: {}
    frozen vgg: {freeze: conv_block_1}
    mlp: {arch: mlp_bn, hidden: 8, dropout: 0.2}
    more dropout: {arch: mlp_bn, hidden: 8, dropout: 0.4}
  epochs: [1, 2]
""",
    model="{arch: tiny_vgg, hidden: 4}",
    transform="{size: 16, channels: 1}",
)
TABLE = """\
small: 3 models in 8 cells

1  tiny_vgg · hidden 4, 1 × 16 × 16
Block         Output     Trainable  Frozen  Mult-adds
conv_block_1  4 × 6 × 6        188       –     27.8 k
conv_block_2  4                296       –      2.9 k
classifier    10                50       –         40
in all                         534       –     30.7 k

2  tiny_vgg · hidden 4 · freeze conv_block_1, 1 × 16 × 16
Block         Output     Trainable  Frozen  Mult-adds
conv_block_1  4 × 6 × 6          –     188     27.8 k
conv_block_2  4                296       –      2.9 k
classifier    10                50       –         40
in all                         346     188     30.7 k

3  mlp_bn · hidden 8, 1 × 16 × 16
Block     Output  Trainable  Frozen  Mult-adds
hidden.0  8           2,072       –      2.0 k
head      10             90       –         80
in all                2,162       –      2.1 k

#  Model                                      Input        Parameters  Mult-adds   Bytes
1  tiny_vgg · hidden 4                        1 × 16 × 16         534     30.7 k  2.1 kB
2  tiny_vgg · hidden 4 · freeze conv_block_1  1 × 16 × 16         534     30.7 k  2.1 kB
3  mlp_bn · hidden 8                          1 × 16 × 16       2,162      2.1 k  8.7 kB
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("it's home")


@pytest.fixture(autouse=True)
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOODVISION_HOME", str(home))
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    return tmp_path


def test_models_are_shown_block_by_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "plan.yaml", "--fetch"]) == 0
    assert capsys.readouterr().out == TABLE


def test_as_json_with_all_cells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "plan.yaml", "--fetch", "--json"]) == 0
    whole, frozen, mlp = json.loads(capsys.readouterr().out)
    assert frozen["params_total"] == frozen["params_trainable"] + frozen["params_frozen"]
    assert frozen["params_total"] == whole["params_total"] == whole["params_trainable"]
    assert [block["is_frozen"] for block in frozen["blocks"]] == [True, False, False]
    assert (whole["input_shape"], whole["output_shape"]) == ([1, 16, 16], [10])
    assert frozen["freeze"] == "conv_block_1"
    assert sum(block["params"] for block in mlp["blocks"]) == mlp["params_total"]
    assert mlp["cells"] == [
        "mlp · 1 epoch",
        "mlp · 2 epochs",
        "more dropout · 1 epoch",
        "more dropout · 2 epochs",
    ]


def test_what_was_counted_once_needs_no_torch(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", "plan.yaml", "--fetch"]) == 0
    capsys.readouterr()
    code = (
        "import sys; from flows.cli import main; main(['summary', 'plan.yaml']); "
        "print([name for name in ('torch', 'prefect', 'duckdb') if name in sys.modules])"
    )
    done = run_command(["-c", code], cwd=folder)
    assert done.stdout == TABLE + "[]\n"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.digits.split=0.3", "has not been fetched yet"),
        ("base.transform.size=15", "must be at least 16 px for tiny_vgg, got 15"),
        ("grid.model={x: {arch: alexnet, hidden: null}}", "alexnet cannot take images of 16 px"),
        ("grid.model={x: {freeze: conv}}", "Blocks of tiny_vgg: conv_block_1, conv_block_2"),
    ],
)
def test_what_cannot_be_summarised_is_told(
    override: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", "plan.yaml", "--fetch", "--set", "data.digits.split=0.25"]) == 0
    capsys.readouterr()
    assert main(["summary", "plan.yaml", "--set", override]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
