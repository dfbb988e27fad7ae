"""Views at test time and ensembles: which rows a plan makes, what they share, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.errors import PlanError
from foodvision.plan.composites import Composite, composites
from foodvision.plan.expand import expand
from foodvision.plan.graph import Graph, compile_cells
from foodvision.plan.lint import lint
from foodvision.plan.load import load_plan
from foodvision.plan.work import plan_work
from tests.plan.test_graph import BASE, FakeFacts, FakeStore

if TYPE_CHECKING:
    from foodvision.plan.schema import Plan

GRID = "  valid: 0.2\ngrid:\n  seed: [1, 2, 3]\n  model.freeze: [backbone, none]\n"


def read(rest: str, *overrides: str) -> tuple[Plan, list[Composite]]:
    plan = load_plan(BASE + GRID + rest, list(overrides))
    return plan, composites(plan, expand(plan))


def compiled(rest: str, *overrides: str) -> Graph:
    plan, found = read(rest, *overrides)
    return compile_cells(expand(plan), FakeFacts(), found)


def test_a_list_of_views_is_a_row_for_every_cell() -> None:
    _, found = read("tta: [identity, horizontal_flip]\n")
    assert len(found) == 6
    assert found[0].label == "seed 1 · backbone · TTA"
    assert {each.kind for each in found} == {"tta"}
    assert [each.position for each in found] == list(range(6, 12))


def test_named_views_may_be_for_some_cells() -> None:
    _, found = read("tta:\n  flips: {views: [vertical_flip], where: {model.freeze: none}}\n")
    assert [each.label for each in found] == [f"seed {n} · none · flips" for n in (1, 2, 3)]


ENSEMBLES = """
ensembles:
  all: {kind: mean}
  frozen: {kind: weighted, members: {where: {model.freeze: backbone}}}
  some: {members: {labels: [seed 1 · none, seed 3 · none]}}
  best: {kind: vote, members: {top: 2}}
"""


def test_members_are_matched_named_or_chosen() -> None:
    _, found = read(ENSEMBLES)
    assert {each.label: (each.kind, len(each.candidates), each.top) for each in found} == {
        "all": ("mean", 6, None),
        "frozen": ("weighted", 3, None),
        "some": ("mean", 2, None),
        "best": ("vote", 6, 2),
    }
    needs = {each.label: each.needs_valid for each in found}
    assert needs == {"all": False, "frozen": True, "some": False, "best": True}


def test_the_order_of_members_and_names_do_not_count() -> None:
    labels = ["seed 1 · none", "seed 3 · none"]
    one, other = (
        read(f"ensembles: {{{name}: {{members: {{labels: {given}}}}}}}\n".replace("'", '"'))[1][0]
        for name, given in (("a", labels), ("b", labels[::-1]))
    )
    assert one.cell_id == other.cell_id


@pytest.mark.parametrize(
    "other",
    [
        "ensembles: {e: {kind: vote}}\n",
        "ensembles: {e: {members: {top: 3}}}\n",
        "ensembles: {e: {members: {top: 2, by: valid.loss}}}\n",
        "ensembles: {e: {members: {where: {seed: [1, 2]}}}}\n",
        "tta: {t: [vertical_flip]}\nensembles: {e: {members: {tta: t}}}\n",
    ],
)
def test_another_way_to_answer_is_another_row_and_another_stage(other: str) -> None:
    before, after = compiled("ensembles: {e: {}}\n"), compiled(other)
    assert before.composites[-1].composite.cell_id != after.composites[-1].composite.cell_id
    assert before.composites[-1].key != after.composites[-1].key


def test_composites_change_no_key_of_cells() -> None:
    before = compiled("")
    after = compiled("tta: [vertical_flip]\n" + ENSEMBLES)
    for one, other in zip(before.cells, after.cells, strict=True):
        assert (one.final, one.result_key) == (other.final, other.result_key)


def test_views_are_scored_once_and_shared() -> None:
    views = "tta:\n  a: [identity, horizontal_flip]\n  b: [horizontal_flip, vertical_flip]\n"
    work = plan_work(compiled(views), FakeStore())
    assert len(work.views) == 6 * 2 * 2  # two flips on valid and on test, of every cell
    assert len(work.combining) == 12
    assert len({job.key for job in work.views}) == len(work.views)


def test_ensembles_of_cells_run_no_model() -> None:
    work, without = (plan_work(compiled(rest), FakeStore()) for rest in (ENSEMBLES, ""))
    assert work.predicted == without.predicted
    assert [job.compiled.composite.label for job in work.combining] == [
        "all", "frozen", "some", "best",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("tta: [identity]\n", "must have a view besides identity"),
        ("tta: [horizontal_flip, horizontal_flip]\n", "must be different views"),
        ("tta: [flip]\n", r"tta.*is no view, got 'flip'"),
        ("tta: [rotate]\n", r"rotate needs a number: write \{rotate: …\}"),
        ("tta: [{rotate: 0}]\n", r"degrees in \[-180, 180\] and not 0, got 0"),
        ("tta: [{shift: [0, 0]}]\n", r"\[right, down\] in whole pixels"),
        ("tta: [{shift: [9, 0]}]\n", r"must leave something of images of 8 x 8 pixels"),
        ("tta: [{five_crop: 8}]\n", r"five_crop \(8\) must be smaller than the images of 8 x 8"),
        ("tta: [{brightness: 1}]\n", r"a factor in \(0, 10\] and not 1, got 1"),
        ("tta: {t: {views: [vertical_flip], where: {seed: 9}}}\n", "matches no cell"),
        ("tta: {a: [vertical_flip], b: [vertical_flip]}\n", "is the same as .*: delete one"),
        ("ensembles: {e: {kind: median}}\n", "kind"),
        ("ensembles: {e: {members: {where: {seed: 9}}}}\n", "matches no cell"),
        ("ensembles: {e: {members: {labels: [seed 1]}}}\n", "no cell is called 'seed 1'"),
        (
            "ensembles: {e: {members: {labels: [seed 1 · none]}}}\n",
            "at least 2 cells to choose from, found 1 of 6",
        ),
        ("ensembles: {e: {members: {top: 7}}}\n", "at least 7 cells to choose from, found 6 of 6"),
        ("ensembles: {e: {members: {top: 1}}}\n", "must be at least 2, got 1"),
        ("ensembles: {e: {members: {tta: t}}}\n", "must be a name in tta, got 't'"),
        ("ensembles: {seed 1 · none: {}}\n", "is a row already"),
        ("ensembles: {a: {}, b: {}}\n", "is the same as 'a': delete one"),
    ],
)
def test_bad_input_is_told(rest: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        read(rest)


@pytest.mark.parametrize(
    "rest", ["ensembles: {e: {kind: weighted}}\n", "ensembles: {e: {members: {top: 2}}}\n"]
)
def test_choosing_needs_validation_images(rest: str) -> None:
    with pytest.raises(PlanError, match=r"6 of 6 cells set nothing aside .*write valid: 0.2"):
        read(rest, "base.valid=0")


def test_members_are_tested_on_the_same_images() -> None:
    with pytest.raises(PlanError, match="must all be tested on the same images, found"):
        read("ensembles: {e: {}}\n", "grid.test=[ten, twenty]")


def test_choosing_by_the_test_set_is_warned_of() -> None:
    plan, _ = read("ensembles: {e: {members: {top: 2, by: test.accuracy}}}\n")
    rules = [warning.rule for warning in lint(plan, expand(plan))]
    assert "test-members" in rules


def test_new_classes_are_another_result_of_the_same_answers() -> None:
    plan, found = read("ensembles: {e: {}}\n")
    one, other = (
        compile_cells(expand(plan), FakeFacts(classes=names), found).composites[0]
        for names in ({}, {"ten": ("pizza", "steak")})
    )
    assert one.key == other.key
    assert one.result_key != other.result_key
