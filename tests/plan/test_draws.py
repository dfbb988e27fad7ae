"""Random search: what is drawn, and what it depends on."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foodvision.plan.draws import Range
from foodvision.plan.expand import expand
from foodvision.plan.lint import lint
from foodvision.plan.load import load_plan
from tests.plan.conftest import plan_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from foodvision.plan.expand import Cell

    Cells = Callable[..., list[Cell]]

GRID: dict[str, Any] = {
    "model.dropout": {"uniform": [0.1, 0.8]},
    "optimizer.lr": {"log_uniform": [1e-5, 1e-1]},
    "model.hidden": {"int_uniform": [8, 64]},
    "epochs": [5, 10],
}
TOP = 2**64 - 1


def search(n: int, **settings: Any) -> dict[str, Any]:
    return {"kind": "random", "n": n, **settings}


def labels(cells: list[Cell]) -> list[str]:
    return [cell.label for cell in cells]


# One range


@pytest.mark.parametrize(
    ("span", "share", "value"),
    [
        (Range("uniform", 0.1, 0.8), 0, 0.1),
        (Range("uniform", 0.1, 0.8), TOP, 0.8),
        (Range("uniform", 0.1, 0.8), 2**63, 0.45),
        (Range("uniform", 0.0, 1.0), 2**64 // 3, 0.333),
        (Range("uniform", 0.0, 0.9), 2**64 // 3, 0.3),
        (Range("uniform", 0.0, 0.7), 2**64 // 3, 0.2333),
        (Range("uniform", -100.0, 900.0), 2**64 // 3, 233.0),
        (Range("uniform", 5.00001, 5.00002), 2**63, 5.000015),
        (Range("log_uniform", 1e-5, 1e-1), 0, 1e-5),
        (Range("log_uniform", 1e-5, 1e-1), TOP, 1e-1),
        (Range("log_uniform", 1e-5, 1e-1), 2**63, 1e-3),
        (Range("log_uniform", 1e-4, 1e-1), 2**63, 0.003162),
        (Range("log_uniform", 1.0, 1.23456789), TOP, 1.23456789),  # rounding stays inside
        (Range("int_uniform", 3, 6), 0, 3),
        (Range("int_uniform", 3, 6), 2**62 - 1, 3),
        (Range("int_uniform", 3, 6), 2**62, 4),
        (Range("int_uniform", 3, 6), TOP, 6),
        (Range("int_uniform", 0, 2**63 - 1), TOP, 2**63 - 1),
    ],
)
def test_places_in_a_range(span: Range, share: int, value: float) -> None:
    found = span.value(share)
    assert found == value
    assert isinstance(found, int) is (span.kind == "int_uniform")


@given(
    st.sampled_from(["uniform", "log_uniform", "int_uniform"]),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.integers(0, TOP),
    st.integers(0, TOP),
)
def test_a_range_is_never_left_and_keeps_order(
    kind: str, low: int, width: int, one: int, other: int
) -> None:
    scale = 1 if kind == "int_uniform" else 1e-4
    span = Range(kind, low * scale, (low + width) * scale)
    first, second = span.value(min(one, other)), span.value(max(one, other))
    assert span.low <= first <= second <= span.high


@given(st.floats(1e-9, 1e9), st.floats(1.001, 1e6), st.integers(0, TOP))
def test_a_logarithm_is_the_usual_one(low: float, factor: float, bits: int) -> None:
    found = Range("log_uniform", low, low * factor).value(bits)
    wanted = math.exp(math.log(low) + bits / 2**64 * math.log(factor))
    assert found == pytest.approx(wanted, rel=6e-4)


# Many draws


def test_draws_are_pinned(cells: Cells) -> None:
    """Another value here is another result for everybody's plans."""
    assert labels(cells(search=search(3), grid=GRID)) == PINNED


def test_draws_fill_their_ranges_evenly(cells: Cells) -> None:
    found = [cell.settings for cell in cells(search=search(400), grid=GRID)]
    thirds = [0.1 + 0.7 * k / 3 for k in range(4)]
    decades = [1e-5 * 10**k for k in range(5)]
    for edges, values in (
        (thirds, [one.model.dropout for one in found]),
        (decades, [one.optimizer.lr for one in found]),
        ([8, 27, 46, 65], [one.model.hidden for one in found]),
        ([5, 6, 11], [one.epochs for one in found]),
    ):
        shares = [
            sum(low <= value < high for value in values if value is not None) / len(values)
            for low, high in itertools.pairwise(edges)
        ]
        assert shares == pytest.approx([1 / len(shares)] * len(shares), abs=0.08)
    drawn = {
        (one.epochs, one.model.dropout is not None and one.model.dropout < 0.45) for one in found
    }
    assert len(drawn) == 4, "axes are drawn independently of each other"


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 2**63 - 1))
def test_fewer_draws_are_the_first_of_more(few: int, more: int, seed: int) -> None:
    grid = {**GRID, "optimizer.kind": ["adam", "sgd", "adamw"]}
    short, long = (
        expand(load_plan(plan_values(search=search(n, seed=seed), grid=grid)))
        for n in (few, few + more)
    )
    assert len(long) == few + more
    assert [cell.cell_id for cell in long[:few]] == [cell.cell_id for cell in short]


def test_other_seeds_draw_other_cells(cells: Cells) -> None:
    assert not set(labels(cells(search=search(20, seed=1), grid=GRID))) & set(
        labels(cells(search=search(20, seed=2), grid=GRID))
    )


def test_a_new_axis_leaves_the_others_alone(cells: Cells) -> None:
    before = cells(search=search(5), grid=GRID)
    after = cells(search=search(5), grid={"batch_size": [16, 32], **GRID})
    assert [cell.label.partition(" · ")[2] for cell in after] == labels(before)


def test_the_order_of_axes_and_values_changes_no_draw(cells: Cells) -> None:
    before = cells(search=search(5), grid=GRID)
    after = cells(search=search(5), grid=dict(reversed(GRID.items())) | {"epochs": [10, 5]})
    assert [cell.cell_id for cell in before] == [cell.cell_id for cell in after]


def test_a_new_value_takes_its_share_and_leaves_the_other_draws_alone(cells: Cells) -> None:
    grid = {"epochs": [5, 10], "optimizer.lr": {"uniform": [0.001, 0.1]}}
    before = cells(search=search(60), grid=grid)
    after = cells(search=search(60), grid={**grid, "epochs": [5, 10, 20]})
    changed = [
        (one.settings.epochs, other.settings.epochs)
        for one, other in zip(before, after, strict=True)
        if one != other
    ]
    assert 10 <= len(changed) <= 30
    assert {epochs for _, epochs in changed} == {20}


def test_a_choice_is_a_list(cells: Cells) -> None:
    plain = cells(search=search(4), grid={**GRID, "epochs": [5, 10]})
    assert cells(search=search(4), grid={**GRID, "epochs": {"choice": [5, 10]}}) == plain
    assert labels(cells(grid={"epochs": {"choice": [5, 10]}})) == ["5 epochs", "10 epochs"]


# Together with the rest of the language


def test_all_cells_differ_and_there_are_so_many(cells: Cells) -> None:
    grid = {"epochs": [1, 2, 3], "seed": [1, 2, 3, 4]}
    found = cells(search=search(12), grid=grid)
    assert sorted(labels(found)) == sorted(labels(cells(grid=grid)))
    assert labels(found) != labels(cells(grid=grid))


def test_groups_are_drawn_as_one(cells: Cells) -> None:
    group = {"data": ["a", "b"], "test": ["a", "b"]}
    found = cells(search=search(8), zip=[group], grid={"model.dropout": {"uniform": [0, 0.5]}})
    assert {(one.settings.data.name, one.settings.test.name) for one in found} == {
        ("a", "a"),
        ("b", "b"),
    }


def test_what_is_excluded_is_drawn_again(cells: Cells) -> None:
    found = cells(search=search(9), grid=GRID, exclude=[{"epochs": 5}])
    assert [cell.settings.epochs for cell in found] == [10] * 9


def test_an_axis_that_does_not_count_makes_equal_cells_which_are_drawn_again(cells: Cells) -> None:
    grid = {
        "optimizer": {"adam": {"kind": "adam", "lr": 0.001}, "sgd": {"kind": "sgd", "lr": 0.1}},
        "optimizer.momentum": {"uniform": [0, 0.99]},
    }
    found = cells(search=search(10), grid=grid, when={"optimizer.momentum": {"optimizer": "sgd"}})
    assert labels(found).count("adam") == 1
    assert len(set(labels(found))) == 10


def test_included_cells_and_seeds_come_on_top(cells: Cells) -> None:
    found = cells(search=search(3), grid=GRID, include=[{"long": {"epochs": 50}}], seeds=2)
    assert len(found) == (3 + 1) * 2
    assert labels(found)[-2:] == ["long · seed 42", "long · seed 43"]


def test_the_limit_is_one_of_cells(cells: Cells) -> None:
    grid = {"epochs": {"int_uniform": [1, 1000]}, "seed": {"int_uniform": [1, 1000]}}
    assert len(cells(search=search(20), grid=grid, limits={"cells": 20})) == 20


def test_a_random_search_is_no_reason_to_warn() -> None:
    plan = load_plan(
        plan_values(
            {"valid": 0.2},
            search=search(5),
            grid={**GRID, "data": ["a", "b"]},
            exclude=[{"model.hidden": 8, "epochs": 5}],
            rank={"by": "valid.accuracy", "then": "valid.loss"},
        )
    )
    assert lint(plan, expand(plan)) == []


def test_a_search_is_part_of_the_plan_and_not_of_its_cells() -> None:
    one, other = (load_plan(plan_values(search=search(n), grid=GRID)) for n in (2, 3))
    assert one.plan_id != other.plan_id
    assert [cell.cell_id for cell in expand(one)] == [cell.cell_id for cell in expand(other)][:2]


PINNED = [
    "dropout 0.1175 · lr 9.064e-05 · hidden 46 · 10 epochs",
    "dropout 0.4143 · lr 1.85e-05 · hidden 47 · 10 epochs",
    "dropout 0.3482 · lr 0.0001156 · hidden 12 · 5 epochs",
]
