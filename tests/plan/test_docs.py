"""The reference of the plan language: its examples are run, and it names every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from foodvision.plan.expand import expand
from foodvision.plan.lint import LintWarning
from foodvision.plan.load import load_plan
from foodvision.plan.paths import all_paths
from foodvision.plan.schema import DataSource, Limits, Plan, RankBy

DOCUMENT = (Path(__file__).parents[2] / "docs" / "plan-language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"```yaml plan\n(.*?)```(?:\n\n```text cells\n(.*?)```)?", DOCUMENT, flags=re.DOTALL
)
OVERRIDES = re.findall(r"```text overrides\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def values(text: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return found


FIRST = values(EXAMPLES[0][0])


def completed(example: dict[str, Any]) -> dict[str, Any]:
    whole = {key: FIRST[key] for key in ("name", "data", "base")}
    base = {**FIRST["base"], **example.get("base", {})}
    if "phases" in base:
        del base["epochs"]
    return {**whole, **example, "base": base}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10
    assert len(OVERRIDES) == 1


@pytest.mark.parametrize(("text", "labels"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_makes_the_cells_it_says(text: str, labels: str) -> None:
    cells = expand(load_plan(completed(values(text))))
    if labels:
        assert [cell.label for cell in cells] == labels.splitlines()


@pytest.mark.parametrize("override", OVERRIDES[0].splitlines())
def test_an_example_of_an_override_works(override: str) -> None:
    assert load_plan(FIRST, [override]) != load_plan(FIRST)


def test_every_key_is_named() -> None:
    keys = {*Plan.model_fields, *DataSource.model_fields, *Limits.model_fields}
    keys |= {path.rpartition(".")[2] for path in all_paths()} | {key.value for key in RankBy}
    assert sorted(key for key in keys if not re.search(rf"\b{re.escape(key)}\b", DOCUMENT)) == []


def test_every_warning_is_named() -> None:
    rules = re.findall(r"`([a-z]+(?:-[a-z]+)?)`", LintWarning.__doc__ or "")
    assert len(rules) == 11
    table = DOCUMENT.partition("## Warnings")[2].partition("## ")[0]
    told = re.findall(r"^\| `([a-z-]+)`", table, flags=re.MULTILINE)
    assert told == [*rules, "unset-variable", "absent-file"]  # of the machine, not of the plan
