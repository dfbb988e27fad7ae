"""Variables of the environment that a plan needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flows.cli import main
from flows.cli.variables import absence_warnings, unset_variables, variable_warnings
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan

if TYPE_CHECKING:
    from pathlib import Path

PLAN = """\
name: small
data:
  here: {source: "${PHOTOS}/a.zip"}
  unused: {source: "${NOBODY_NEEDS}/a.zip"}
base:
  data: here
  test: here
  model: {arch: mobilenet_v2, weights: "${NET}"}
  transform: {size: 32}
  batch_size: 32
  epochs: 1
  optimizer: {kind: adam, lr: 0.003}
rank: {by: test.accuracy}
"""
CHOICES = (
    PLAN
    + """\
grid:
  model:
    one: {arch: mobilenet_v2, weights: "${NET}"}
    two: {arch: squeezenet1_0, weights: "${NET}/${OTHER}"}
"""
)
LIST = PLAN + 'grid: {model.weights: ["${NET}", none]}\n'


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PHOTOS", "NOBODY_NEEDS", "NET", "OTHER"):
        monkeypatch.delenv(name, raising=False)


def _warnings(text: str) -> list[tuple[int | None, str, str]]:
    plan = load_plan(text)
    found = variable_warnings(plan, expand(plan))
    assert {warning.rule for warning in found} <= {"unset-variable"}
    return [(warning.line, warning.path, warning.message) for warning in found]


def test_each_place_that_needs_a_variable_is_told_with_what_to_do() -> None:
    assert _warnings(PLAN) == [
        (
            3,
            "data.here.source",
            "PHOTOS is not set in the environment: export PHOTOS=..., "
            "or --set data.here.source=PATH",
        ),
        (
            8,
            "base.model.weights",
            "NET is not set in the environment: export NET=..., or --set base.model.weights=PATH",
        ),
    ]


def test_a_labelled_choice_is_told_instead_of_the_base_that_it_overrides() -> None:
    _, first, second = _warnings(CHOICES)
    assert first[:2] == (16, "grid.model.one.weights")
    assert first[2].endswith("or --set grid.model.one.weights=PATH")
    assert second[:2] == (17, "grid.model.two.weights")
    assert second[2].startswith(
        "NET and OTHER are not set in the environment: export NET=... OTHER="
    )


def test_a_value_in_a_list_cannot_be_set_alone() -> None:
    _, (line, path, message) = _warnings(LIST)
    assert (line, path) == (14, "grid.model.weights[0]")
    assert message.endswith("export NET=...")


def test_the_address_of_a_webhook_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PLAN + 'alerts: [{when: failed, notify: {webhook: "${HOOK}"}}]\n'
    monkeypatch.delenv("HOOK", raising=False)
    (line, path, message) = _warnings(text)[-1]
    assert (line, path) == (14, "alerts[0].notify[0].webhook")
    assert message == "HOOK is not set in the environment: export HOOK=..."
    monkeypatch.setenv("HOOK", "https://hooks.example.org/x")
    assert len(_warnings(text)) == 2


@pytest.mark.parametrize("text", [PLAN, CHOICES, LIST])
def test_what_the_advice_says_helps(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [path for _, path, message in _warnings(text) if "--set" in message]
    plan = load_plan(text, [f"{path}=./a file.pth" for path in told])
    left = [warning.path for warning in variable_warnings(plan, expand(plan))]
    assert left == [path for path in ("grid.model.weights[0]",) if text is LIST]
    for name in ("PHOTOS", "NET", "OTHER"):
        monkeypatch.setenv(name, "/somewhere")
    assert _warnings(text) == []


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NET", "")
    assert unset_variables("${NET}/${OTHER}/${NET}") == ("NET", "OTHER")
    assert unset_variables("a plain path") == ()


def test_validate_warns_instead_of_failing_where_data_may_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my home" / "store").mkdir(parents=True)
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    assert main(["validate", "plan.yaml", "--home", "my home"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("warning: plan.yaml:3:18: data.here.source: PHOTOS is not set")
    assert last == "plan.yaml: 1 cell, 2 data sets, 1 architecture; 3 warnings"


HERE = """\
name: small
data:
  photos: {source: ./photo}
  digits: {source: "sklearn:digits"}
  away: {source: "https://example.org/away.zip"}
  unused: {source: ./nobody-needs-it}
  later: {source: "${LATER}/a.zip"}
base:
  data: digits
  test: photos
  model: {arch: mobilenet_v2, weights: w.pth}
  transform: {size: 32}
  batch_size: 32
  epochs: 1
  optimizer: {kind: adam, lr: 0.003}
grid:
  data: [digits, away, later]
  model.weights: [w.pth, v.pth, none, DEFAULT]
"""


def test_validate_tells_where_a_plan_names_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LATER", raising=False)
    (tmp_path / "plan.yaml").write_text(HERE, encoding="utf-8")
    (tmp_path / "v.pth").touch()
    assert main(["validate", "plan.yaml", "--home", "home"]) == 0
    out = capsys.readouterr().out
    assert (
        "warning: plan.yaml:3:20: data.photos.source: source './photo': a folder or an archive "
        f"must lie at {tmp_path / 'photo'}; nothing does. " in out
    )
    assert (
        "warning: plan.yaml:18:19: grid.model.weights[0]: model.weights must be none, a "
        f"torchvision entry or a file; found no file at {tmp_path / 'w.pth'}. " in out
    )
    assert "data.later.source: LATER is not set" in out
    plan = load_plan(tmp_path / "plan.yaml")
    cells = expand(plan)
    assert [each.path for each in absence_warnings(plan, cells)] == [
        "data.photos.source",
        "grid.model.weights[0]",
    ]
    (tmp_path / "mirror" / "photo").mkdir(parents=True)
    monkeypatch.setenv("FOODVISION_SOURCES", str(tmp_path / "mirror"))
    (tmp_path / "w.pth").touch()
    assert absence_warnings(plan, cells) == []
