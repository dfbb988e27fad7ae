"""What a plan reuses, continues, adds and drops, against another one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foodvision.plan.diff import CellChange, Difference, SharedRows, diff_graphs
from tests.plan.test_composites import compiled as compile_composites
from tests.plan.test_graph import BASE
from tests.plan.test_graph import compiled as compile_text


def differ(before: str = "", after: str = "", *, base: tuple[str, str] | None = None) -> Difference:
    """Compare the small plan with one section added before and after, `base` replaced after."""
    later = BASE.replace(*base) if base else BASE
    assert base is None or later != BASE
    return diff_graphs(compile_text(BASE + before), compile_text(later + after))


def only(difference: Difference) -> CellChange:
    (cell,) = difference.cells
    return cell


def test_a_plan_against_itself_is_reused_and_drops_nothing() -> None:
    difference = differ("grid: {epochs: [5, 10]}", "grid: {epochs: [5, 10]}")
    assert [cell.change for cell in difference.cells] == ["reused", "reused"]
    assert [cell.with_label for cell in difference.cells] == ["5 epochs", "10 epochs"]
    assert all(cell.shared_epochs == cell.epochs for cell in difference.cells)
    assert all(cell.new_scores == () for cell in difference.cells)
    assert (difference.shared_epochs, difference.epochs) == (10, 10)
    assert difference.dropped == ()


def test_the_same_cell_under_another_label_is_reused() -> None:
    one = "grid: {optimizer: {first: {kind: adam, lr: 0.1}, other: {kind: adam, lr: 0.2}}}"
    two = "grid: {optimizer: {renamed: {kind: adam, lr: 0.1}, other: {kind: adam, lr: 0.2}}}"
    difference = differ(one, two)
    assert [(c.change, c.label, c.with_label) for c in difference.cells] == [
        ("reused", "renamed", "first"),
        ("reused", "other", "other"),
    ]
    assert difference.dropped == ()


def test_more_epochs_continue_and_the_shorter_cell_lives_on() -> None:
    difference = differ("grid: {epochs: [3]}", "grid: {epochs: [8]}")
    cell = only(difference)
    assert (cell.change, cell.shared_epochs, cell.epochs) == ("continued", 3, 8)
    assert cell.with_label == "3 epochs"
    assert cell.new_scores is None
    (dropped,) = difference.dropped
    assert (dropped.label, dropped.epochs, dropped.lives_on_in) == ("3 epochs", 3, "8 epochs")
    assert (difference.shared_epochs, difference.epochs) == (3, 8)


def test_fewer_epochs_lie_inside_a_longer_cell() -> None:
    difference = differ("grid: {epochs: [8]}", "grid: {epochs: [3]}")
    cell = only(difference)
    assert (cell.change, cell.shared_epochs, cell.epochs) == ("continued", 3, 3)
    assert difference.dropped[0].lives_on_in is None


def test_the_longest_shared_beginning_counts() -> None:
    difference = differ("grid: {epochs: [2, 6, 4]}", "grid: {epochs: [9]}")
    cell = only(difference)
    assert (cell.shared_epochs, cell.with_label) == (6, "6 epochs")


@pytest.mark.parametrize(
    ("changed", "rows"),
    [
        pytest.param(
            ("lr: 0.001", "lr: 0.002"), SharedRows("features", 20, 20), id="features of all images"
        ),
        pytest.param(
            ("data: ten\n  test", "data: twenty\n  test"),
            SharedRows("features", 8 + 10, 20 + 10),
            id="some images new",
        ),
        pytest.param(("size: 8", "size: 9"), None, id="another transform"),
        pytest.param(("freeze: backbone", "freeze: none"), None, id="pixels that nobody kept"),
    ],
)
def test_an_added_cell_says_which_rows_are_shared(
    changed: tuple[str, str], rows: SharedRows | None
) -> None:
    difference = differ(base=changed)
    cell = only(difference)
    assert (cell.change, cell.shared_epochs, cell.with_label) == ("added", 0, None)
    assert cell.rows == rows
    assert len(difference.dropped) == 1


def test_pixels_are_shared_with_a_cell_that_reads_them() -> None:
    live = BASE.replace("freeze: backbone", "freeze: none")
    after = BASE
    cell = only(diff_graphs(compile_text(live), compile_text(after)))
    assert (cell.change, cell.rows) == ("added", SharedRows("pixels", 20, 20))


def test_another_test_set_reuses_the_training_and_asks_for_new_scores() -> None:
    cell = only(differ(base=("test: ten", "test: twenty")))
    assert (cell.change, cell.new_scores) == ("reused", ("test",))


def test_of_two_cells_with_one_training_the_one_of_the_same_label_is_named() -> None:
    difference = differ("grid: {test: [ten, twenty]}", "grid: {test: [ten, twenty]}")
    assert [(cell.label, cell.with_label) for cell in difference.cells] == [
        ("ten", "ten"),
        ("twenty", "twenty"),
    ]


def test_json_is_one_object_per_cell_with_the_dropped_last() -> None:
    found: list[dict[str, Any]] = differ("grid: {seed: [1, 2]}", "grid: {seed: [2, 3]}").to_json()
    assert [(row["change"], row["label"]) for row in found] == [
        ("reused", "seed 2"),
        ("added", "seed 3"),
        ("dropped", "seed 1"),
    ]


VIEWS = """
tta: {{flips: {views}, shifts: [identity, {{shift: [1, 0]}}]}}
ensembles:
  {name}: {{kind: mean, members: {{where: {{model.freeze: backbone}}, tta: flips}}}}
"""


def test_what_is_made_of_cells_shares_the_outputs_that_it_combines() -> None:
    before = compile_composites(VIEWS.format(views="[identity, horizontal_flip]", name="both"))
    flips = "[identity, horizontal_flip, vertical_flip]"
    after = compile_composites(VIEWS.format(views=flips, name="all"), "grid.seed=[1, 2]")
    difference = diff_graphs(before, after)
    told = {
        each.label: (each.change, each.shared_outputs, each.outputs, each.with_label)
        for each in difference.composites
        if each.label in ("seed 1 · none · shifts", "seed 1 · none · flips", "all")
    }
    assert told == {
        "seed 1 · none · shifts": ("reused", 4, 4, "seed 1 · none · shifts"),
        "seed 1 · none · flips": ("added", 4, 6, None),
        "all": ("added", 8, 12, None),
    }
    gone = [each.label for each in difference.dropped_composites]
    assert {"both", "seed 3 · none · shifts"} < set(gone)
    rows = difference.to_json()
    assert {row["kind"] for row in rows} == {"trained", "tta", "mean"}
    assert difference.count_composites("reused") == 4


def test_the_same_ensemble_under_another_name_is_reused() -> None:
    rest = "ensembles: {{{}: {{kind: mean}}}}\n"
    one, two = (compile_composites(rest.format(name)) for name in ("first", "second"))
    (each,) = diff_graphs(one, two).composites
    assert (each.change, each.label, each.with_label) == ("reused", "second", "first")


EPOCHS = st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True)


@given(before=EPOCHS, after=EPOCHS)
def test_shared_epochs_are_the_shorter_of_the_longest(before: list[int], after: list[int]) -> None:
    difference = differ(f"grid: {{epochs: {before}}}", f"grid: {{epochs: {after}}}")
    assert difference.shared_epochs == min(max(before), max(after))
    assert difference.epochs == max(after)
    for cell, epochs in zip(difference.cells, after, strict=True):
        assert cell.shared_epochs == min(epochs, max(before))
        assert (cell.change == "reused") == (epochs in before)
    assert [cell.epochs for cell in difference.dropped] == [e for e in before if e not in after]
