from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from foodvision.plan.expand import expand
from foodvision.plan.lint import Images, lint
from foodvision.plan.load import load_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    Values = Callable[..., dict[str, Any]]

RANK = {"by": "train.accuracy", "then": "train.loss"}


@pytest.fixture
def warnings(values: Values) -> Callable[..., list[tuple[str, str]]]:
    """Lint a plan without its unused data set; pairs of rule and text."""

    def run(
        base: dict[str, Any] | None = None, images: Images | None = None, **sections: Any
    ) -> list[tuple[str, str]]:
        plan = load_plan(values(base, **{"rank": RANK, **sections}))
        found = lint(plan, expand(plan), images)
        return [(w.rule, str(w)) for w in found if "'b'" not in w.message or w.rule == "leak"]

    return run


def test_a_clean_plan_has_no_warnings(warnings: Any) -> None:
    assert warnings(grid={"epochs": [1, 2]}, exclude=[{"epochs": 2}]) == []


def test_an_axis_that_changes_nothing(warnings: Any) -> None:
    ((rule, text),) = warnings(grid={"transform": {"a": {"size": 32}, "b": {}}, "epochs": [1, 2]})
    assert rule == "idle-axis"
    assert text.startswith("grid.transform: this axis changes nothing, its 2 values make the same")


def test_an_axis_that_another_overrides_changes_nothing(warnings: Any) -> None:
    optimizers = {"adam": {"kind": "adam", "lr": 0.1}, "sgd": {"kind": "sgd", "lr": 0.2}}
    grid = {"optimizer": optimizers, "optimizer.kind": ["adam", "sgd"], "optimizer.lr": [0.1]}
    assert [rule for rule, _ in warnings(grid=grid)] == ["idle-axis"]


def test_an_axis_that_counts_sometimes_is_not_idle(warnings: Any) -> None:
    optimizers = {"adam": {"kind": "adam", "lr": 0.1}, "sgd": {"kind": "sgd", "lr": 0.2}}
    grid = {"optimizer": optimizers, "optimizer.momentum": [0.1, 0.2]}
    when = {"optimizer.momentum": {"optimizer": "sgd"}}
    assert warnings(grid=grid, when=when) == []


def test_duplicate_cells(warnings: Any) -> None:
    ((rule, text),) = warnings(grid={"epochs": [1, 2]}, include=[{"again": {"epochs": 2}}])
    assert rule == "duplicate-cells"
    assert "'again' is the same cell as '2 epochs', it is trained once" in text


@pytest.mark.parametrize(
    ("rank", "path"),
    [
        ({"by": "test.accuracy"}, "rank.by"),
        ({"by": "params", "then": "test.loss"}, "rank.then"),
        ({}, "rank.by"),
    ],
)
def test_ranking_by_the_test_set(warnings: Any, rank: dict[str, str], path: str) -> None:
    ((rule, text),) = warnings(grid={"epochs": [1, 2]}, rank=rank)
    assert rule == "test-ranking"
    assert text.startswith(f"{path}: chooses the best of 2 cells by the test set")
    assert text.endswith(("rank by valid.accuracy", "rank by valid.loss"))


def test_one_cell_needs_no_choice(warnings: Any) -> None:
    assert warnings(rank={"by": "test.accuracy"}) == []


def test_ranking_by_a_share_that_nobody_sets_aside(warnings: Any) -> None:
    rank = {"by": "valid.accuracy", "then": "valid.loss"}
    ((rule, text),) = warnings(grid={"valid": [0, 0.5], "epochs": [1, 2]}, rank=rank)
    assert rule == "no-valid"
    assert "2 of 4 cells set nothing aside (valid is 0): write valid: 0.2 in base" in text
    assert warnings({"valid": 0.2}, rank=rank) == []


def test_an_exclude_that_removes_nothing(warnings: Any) -> None:
    grid = {"epochs": [1, 2], "seed": [1, 2]}
    exclude = [{"epochs": 1, "seed": 2}, {"batch_size": 7}]
    ((rule, text),) = warnings(grid=grid, exclude=exclude)
    assert (rule, text.split(":")[0]) == ("idle-exclude", "exclude[1]")


def test_a_data_set_that_no_cell_uses(values: Values) -> None:
    plan = load_plan(values(rank=RANK))
    (warning,) = lint(plan, expand(plan))
    assert (warning.rule, warning.path) == ("unused-data", "data.b")


def test_a_test_image_that_is_also_a_training_image(warnings: Any) -> None:
    images = {
        ("a", "train"): ["1", "2"],
        ("a", "test"): ["3", "4"],
        ("b", "train"): ["3", "4", "5"],
        ("b", "test"): ["1"],
    }
    ((rule, text),) = warnings(grid={"data": ["a", "b"]}, images=images)
    assert rule == "leak"
    assert text.startswith("data.b: 2 of the 2 test images of 'a' are also training images of 'b'")


def test_images_may_be_asked_for_and_may_not_be_there_yet(warnings: Any) -> None:
    asked = []

    def images(name: str, part: str) -> list[str] | None:
        asked.append((name, part))
        return None if part == "test" else ["1"]

    assert warnings(images=images) == []
    assert asked == [("a", "train"), ("a", "test")]
    assert warnings(images={}) == []


def test_a_warning_knows_its_line() -> None:
    text = """\
name: p
data: {a: {source: ./a}}
base:
  data: a
  test: a
  model: {arch: tiny_vgg}
  transform: {size: 32}
  batch_size: 32
  epochs: 5
  optimizer: {kind: adam, lr: 1e-3}
grid: {epochs: [1, 2]}
rank: {by: test.loss, then: null}
"""
    plan = load_plan(text)
    (warning,) = lint(plan, expand(plan))
    assert str(warning).startswith("<plan>:12:12: rank.by: chooses the best of 2 cells")


def test_a_stop_rule_that_looks_at_the_test_set(warnings: Any) -> None:
    ((rule, text),) = warnings({"stop": {"metric": "test.accuracy", "patience": 1}, "epochs": 3})
    assert rule == "test-watched"
    assert "1 of 1 stop rules choose the epoch by the test set (test.accuracy)" in text
    assert text.endswith("write valid: 0.2 in base and metric: valid.accuracy")


def test_a_plateau_that_looks_at_the_test_set(warnings: Any) -> None:
    ((rule, text),) = warnings({"schedule": {"kind": "plateau", "metric": "test.loss"}})
    assert rule == "test-watched"
    assert "1 of 1 schedules move the learning rate by the test set (test.loss)" in text


def test_an_alert_that_stops_by_the_test_set(warnings: Any) -> None:
    rules = [{"when": "test.loss > 3", "on": "epochs"}, {"when": "test.loss > 4", "stop": True}]
    ((rule, text),) = warnings({}, alerts=rules)
    assert rule == "test-watched"
    assert "alerts[1].when: ends trainings by the test set (test.loss > 4)" in text
    assert text.endswith("write valid: 0.2 in base and valid.loss > 4")


def test_an_alert_whose_bound_is_never_or_always_crossed(warnings: Any) -> None:
    never = ["test.accuracy > 1", "test.loss < 0", "train.loss<=-1", "test.f1_macro < 0"]
    always = ["test.accuracy <= 1", "test.loss >= 0", "train.loss > -1"]
    some = ["test.accuracy < 1", "test.accuracy > 0", "test.loss > 0", "train.loss <= 0", "failed"]
    rules = [{"when": when} for when in (*never, *always, *some)]
    found = warnings({}, alerts=rules)
    assert [rule for rule, _ in found] == ["idle-alert"] * 7
    texts = [text.partition("alerts[")[2] for _, text in found]
    assert all("].when: never holds, whatever " in text for text in texts[:4])
    assert all("].when: always holds, whatever " in text for text in texts[4:])


def test_a_stop_rule_that_can_end_nothing(warnings: Any) -> None:
    stop = {"metric": "train.loss", "patience": 3}
    ((rule, text),) = warnings({"stop": stop}, grid={"epochs": [2, 4]})
    assert rule == "idle-stop"
    assert "1 of 2 stop rules can end nothing: patience (3) is not less than the epochs (2)" in text
