"""One test per rule of the plan language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foodvision.errors import PlanError
from foodvision.plan.cell_schema import CellSettings
from foodvision.plan.expand import expand
from foodvision.plan.input_schema import TransformSettings
from foodvision.plan.load import load_plan
from foodvision.plan.schema import Plan
from foodvision.plan.training_schema import AdamSettings, SgdSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from foodvision.plan.expand import Cell

    Cells = Callable[..., list[Cell]]
    Values = Callable[..., dict[str, Any]]

OPTIMIZERS = {
    "adam": {"kind": "adam", "lr": 0.001, "betas": [0.8, 0.99]},
    "sgd": {"kind": "sgd", "lr": 0.1},
}


def labels(cells: list[Cell]) -> list[str]:
    return [cell.label for cell in cells]


def test_a_plan_without_axes_is_one_cell_named_like_the_plan(cells: Cells) -> None:
    (cell,) = cells()
    assert (cell.label, cell.axes, cell.position, cell.plan) == ("p", {}, 0, "p")


def test_the_product_runs_in_file_order_the_last_axis_fastest(cells: Cells) -> None:
    found = cells(grid={"data": ["b", "a"], "epochs": [10, 5]})
    assert labels(found) == ["b · 10 epochs", "b · 5 epochs", "a · 10 epochs", "a · 5 epochs"]
    assert [cell.position for cell in found] == [0, 1, 2, 3]
    assert found[1].axes == {"data": "b", "epochs": "5"}
    assert (found[1].settings.data.name, found[1].settings.epochs) == ("b", 5)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ({"epochs": [1, 5]}, ["1 epoch", "5 epochs"]),
        ({"seed": [3]}, ["seed 3"]),
        ({"optimizer.lr": [1e-3, 1e-5]}, ["lr 0.001", "lr 1e-05"]),
        ({"model.hidden": [None, 8]}, ["hidden none", "hidden 8"]),
        ({"model.arch": ["mlp", "resnet18"]}, ["mlp", "resnet18"]),
        ({"model.freeze": [3]}, ["freeze 3"]),
        ({"epochs": {"short": 1, "long": 9}}, ["short", "long"]),
        ({"epochs": [1, {"long": 9}]}, ["1 epoch", "long"]),
        ({"data": [{"name": "a", "fraction": 0.5}, "b"]}, ["a 50 %", "b"]),
        ({"data": [{"name": "a", "count": 100}]}, ["a 100 images"]),
        ({"data": {"半分": {"fraction": 0.5}}}, ["半分"]),
    ],
)
def test_labels(cells: Cells, grid: dict[str, Any], expected: list[str]) -> None:
    assert labels(cells(grid=grid)) == expected


def test_a_bool_is_labelled_by_its_setting(cells: Cells) -> None:
    base = {"optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9}}
    found = cells(base, grid={"optimizer.nesterov": [True, False]})
    assert labels(found) == ["nesterov true", "nesterov false"]


def test_a_labelled_choice_is_merged_deeply(cells: Cells) -> None:
    base = {"model": {"arch": "tiny_vgg", "dropout": 0.2, "freeze": "backbone"}}
    (cell,) = cells(base, grid={"model": {"wide": {"hidden": 64}}})
    model = cell.settings.model
    assert (model.arch, model.dropout, model.freeze, model.hidden) == (
        "tiny_vgg",
        0.2,
        "backbone",
        64,
    )


def test_a_choice_that_changes_the_kind_replaces(cells: Cells) -> None:
    base = {"optimizer": {"kind": "adam", "lr": 0.5, "weight_decay": 0.1}}
    same, other = cells(base, grid={"optimizer": OPTIMIZERS})
    assert same.settings.optimizer == AdamSettings(
        kind="adam", lr=0.001, betas=(0.8, 0.99), weight_decay=0.1
    )
    assert other.settings.optimizer == SgdSettings(kind="sgd", lr=0.1)


def test_a_kind_may_be_an_axis_beside_its_settings(cells: Cells) -> None:
    found = cells(grid={"optimizer.lr": [0.1, 0.2], "optimizer.kind": ["adam", "sgd"]})
    assert [(c.settings.optimizer.kind, c.settings.optimizer.lr) for c in found] == [
        ("adam", 0.1),
        ("sgd", 0.1),
        ("adam", 0.2),
        ("sgd", 0.2),
    ]


def test_a_mapping_replaces_a_text(cells: Cells) -> None:
    base = {"model": {"arch": "resnet18", "weights": "DEFAULT"}, "transform": "auto"}
    own, small = cells(base, grid={"transform": ["auto", {"small": {"size": 64}}]})
    assert own.settings.transform == "auto"
    assert small.settings.transform == TransformSettings(size=64)


def test_a_setting_inside_is_merged_after_the_whole(cells: Cells) -> None:
    found = cells(grid={"optimizer.lr": [0.5], "optimizer": OPTIMIZERS})
    assert [cell.settings.optimizer.lr for cell in found] == [0.5, 0.5]


def test_naming_a_data_set_replaces_its_part(cells: Cells) -> None:
    base = {"data": {"name": "a", "fraction": 0.5}}
    found = cells(base, grid={"data": ["b", {"half": {"fraction": 0.25}}]})
    assert [(c.settings.data.name, c.settings.data.fraction) for c in found] == [
        ("b", None),
        ("a", 0.25),
    ]


def test_zip_moves_together_and_is_one_axis_in_file_order(values: Values) -> None:
    group = {"data": ["a", "b"], "test": ["a", "b"], "epochs": [1, 2]}
    plan = values(zip=[group], grid={"batch_size": [8, 16]})
    found = expand(load_plan(plan))
    assert labels(found) == [
        "a · 1 epoch · batch_size 8",
        "a · 1 epoch · batch_size 16",
        "b · 2 epochs · batch_size 8",
        "b · 2 epochs · batch_size 16",
    ]
    assert found[3].axes == {"data": "b", "test": "b", "epochs": "2", "batch_size": "16"}
    grid_first = {key: plan[key] for key in ("name", "data", "base", "grid", "zip")}
    assert labels(expand(load_plan(grid_first)))[1] == "batch_size 8 · b · 2 epochs"


def test_a_zipped_path_may_repeat_a_value(cells: Cells) -> None:
    found = cells(zip=[{"data": ["a", "b", "a"], "epochs": [1, 2, 3]}])
    assert [(c.settings.data.name, c.settings.epochs) for c in found] == [
        ("a", 1),
        ("b", 2),
        ("a", 3),
    ]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ([{"data": "a"}], ["b · 5 epochs · small", "b · 9 epochs · small"]),
        ([{"data": "a", "epochs": 5}, {"data": "b"}], ["a · 9 epochs · small"]),
        ([{"epochs": [5, 9], "data": "b"}], ["a · 5 epochs · small", "a · 9 epochs · small"]),
        ([{"epochs": "5"}], ["a · 9 epochs · small", "b · 9 epochs · small"]),
        ([{"transform": "small", "epochs": 9}], ["a · 5 epochs · small", "b · 5 epochs · small"]),
        ([{"transform.size": 16, "data": "b"}], ["a · 5 epochs · small", "a · 9 epochs · small"]),
        (
            [{"transform": {"size": 16}, "data": "b"}],
            ["a · 5 epochs · small", "a · 9 epochs · small"],
        ),
        ([{"threads": 2, "data": "b"}], ["a · 5 epochs · small", "a · 9 epochs · small"]),
    ],
    ids=["label", "all-paths", "list", "label-of-number", "own-label", "value", "part", "default"],
)
def test_exclude_removes_partial_matches(cells: Cells, exclude: list[Any], left: list[str]) -> None:
    grid = {"data": ["a", "b"], "epochs": [5, 9], "transform": {"small": {"size": 16}}}
    assert labels(cells(grid=grid, exclude=exclude)) == left


def test_exclude_sees_the_defaults_of_a_replaced_kind(cells: Cells) -> None:
    grid = {"optimizer": OPTIMIZERS, "epochs": [1, 2]}
    found = cells(grid=grid, exclude=[{"optimizer.momentum": 0, "epochs": 2}])
    assert labels(found) == ["adam · 1 epoch", "adam · 2 epochs", "sgd · 1 epoch"]


def test_true_is_not_one(cells: Cells) -> None:
    assert len(cells(grid={"epochs": [1, 2]}, exclude=[{"epochs": True}])) == 2


def test_include_adds_cells_over_the_base(cells: Cells) -> None:
    found = cells(
        grid={"epochs": [1, 2]},
        exclude=[{"epochs": 7}],
        include=[{"epochs": 7, "data": "b"}, {"big": {"model.arch": "resnet18", "seed": 1}}],
    )
    assert labels(found) == ["1 epoch", "2 epochs", "7 epochs · b", "big"]
    assert found[2].axes == {"epochs": "7", "data": "b"}
    assert found[3].settings.epochs == 5
    assert found[3].settings.model.arch == "resnet18"


def test_include_may_name_the_choice_of_an_axis(cells: Cells) -> None:
    found = cells(grid={"optimizer": OPTIMIZERS}, include=[{"optimizer": "sgd", "epochs": 9}])
    assert labels(found) == ["adam", "sgd", "sgd · 9 epochs"]
    assert found[2].settings.optimizer == SgdSettings(kind="sgd", lr=0.1)


def test_when_drops_an_axis_and_equal_cells_become_one(cells: Cells) -> None:
    found = cells(
        grid={"optimizer": OPTIMIZERS, "optimizer.momentum": [0.5, 0.9]},
        when={"optimizer.momentum": {"optimizer.kind": "sgd"}},
    )
    assert labels(found) == ["adam", "sgd · momentum 0.5", "sgd · momentum 0.9"]
    assert found[0].axes == {"optimizer": "adam"}
    assert found[0].aliases == ()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"optimizer": "sgd"}, 3),
        ({"optimizer": ["sgd", "adam"]}, 4),
        ({"optimizer.kind": ["sgd"]}, 3),
        ({"optimizer": "sgd", "epochs": 1}, 2),
    ],
    ids=["label", "labels", "values", "all"],
)
def test_when_conditions(cells: Cells, condition: dict[str, Any], expected: int) -> None:
    grid = {"optimizer": OPTIMIZERS, "optimizer.weight_decay": [0.1, 0.2]}
    found = cells(grid=grid, when={"optimizer.weight_decay": condition})
    assert len(found) == expected


def test_a_when_sees_what_earlier_ones_dropped(cells: Cells) -> None:
    found = cells(
        grid={"epochs": [1, 9], "batch_size": [8, 16], "seed": [1, 2]},
        when={"batch_size": {"epochs": 9}, "seed": {"batch_size": 16}},
    )
    assert labels(found) == [
        "1 epoch",
        "9 epochs · batch_size 8",
        *(f"9 epochs · batch_size 16 · seed {seed}" for seed in (1, 2)),
    ]


def test_when_drops_a_zip_group_as_one(cells: Cells) -> None:
    group = {"batch_size": [8, 16], "micro_batch": [4, 8]}
    found = cells(grid={"epochs": [1, 9]}, zip=[group], when={"micro_batch": {"epochs": 9}})
    assert labels(found) == [
        "1 epoch",
        "9 epochs · batch_size 8 · micro_batch 4",
        "9 epochs · batch_size 16 · micro_batch 8",
    ]


def test_when_applies_to_included_cells_too(cells: Cells) -> None:
    found = cells(
        grid={"epochs": [1], "seed": [7]},
        include=[{"epochs": 2, "seed": 9}],
        when={"seed": {"epochs": 1}},
    )
    assert [cell.settings.seed for cell in found] == [7, 42]


@pytest.mark.parametrize(("seeds", "expected"), [(3, [10, 11, 12]), ([5, 2], [5, 2]), (1, [10])])
def test_seeds_repeat_last(cells: Cells, seeds: Any, expected: list[int]) -> None:
    found = cells({"seed": 10}, grid={"epochs": [1, 2]}, seeds=seeds)
    assert [cell.settings.seed for cell in found] == expected * 2
    assert labels(found)[0] == f"1 epoch · seed {expected[0]}"
    assert found[0].axes == {"epochs": "1", "seed": str(expected[0])}


def test_one_recipe_is_one_cell_with_two_labels(cells: Cells) -> None:
    choices = {"usual": {"size": 32}, "plain": {"resize": "squash"}, "big": {"size": 64}}
    found = cells(grid={"transform": choices})
    assert [(cell.label, cell.aliases) for cell in found] == [("usual", ("plain",)), ("big", ())]
    assert [cell.position for cell in found] == [0, 1]


def test_cell_id_knows_neither_names_nor_labels_nor_ranking(values: Values) -> None:
    plan = values(grid={"epochs": [1, 2], "batch_size": [4]})
    other = values(
        {"data": "x", "test": "x"},
        grid={"batch_size": {"four": 4}, "epochs": {"one": 1, "two": 2}},
        rank={"by": "seconds"},
        save="none",
        description="another",
        limits={"cells": 7},
    )
    other["name"], other["data"] = "q", {"x": {"source": "./a", "on_bad_image": "fail"}}
    first, second = expand(load_plan(plan)), expand(load_plan(other))
    assert [cell.cell_id for cell in first] == [cell.cell_id for cell in second]
    assert [cell.label for cell in first] != [cell.label for cell in second]


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 6},
        {"seed": 1},
        {"valid": 0.1},
        {"test": "b"},
        {"data": "b"},
        {"data": {"name": "a", "count": 10}},
        {"threads": 1},
        {"device": "cpu"},
        {"loss": {"label_smoothing": 0.1}},
        {"augment": [{"kind": "horizontal_flip"}]},
        {"mix": {"kind": "mixup"}},
        {"precision": "bfloat16"},
        {"model": {"arch": "tiny_vgg", "batchnorm": "train"}},
    ],
    ids=str,
)
def test_cell_id_knows_every_setting(cells: Cells, change: dict[str, Any]) -> None:
    assert cells(change)[0].cell_id != cells()[0].cell_id


@pytest.mark.parametrize(
    "source",
    [{"source": "./c"}, {"source": "./a", "split": 0.2}, {"source": "./a", "on_bad_image": "skip"}],
)
def test_cell_id_knows_the_source(values: Values, source: dict[str, Any]) -> None:
    changed = {**values(), "data": {"a": source}}
    first, second = expand(load_plan(values())), expand(load_plan(changed))
    assert first[0].cell_id != second[0].cell_id
    assert len(first[0].cell_id) == 16


def test_cell_ids_stay_what_they_are(cells: Cells) -> None:
    """Results are found by these: a change here orphans every table that people have."""
    assert [cell.cell_id for cell in cells(grid={"epochs": [5, 10]})] == PINNED


PINNED = ["26cc5205f935ad90", "c9094c7bb44a7fdf"]


def test_variables_stay_as_they_are(cells: Cells) -> None:
    (cell,) = cells({"model": {"arch": "mlp", "weights": "${SOME_WEIGHTS}"}})
    assert cell.settings.model.weights == "${SOME_WEIGHTS}"


def test_settings_are_what_others_see_as_json(cells: Cells) -> None:
    (cell,) = cells()
    assert cell.settings.model_dump(mode="json") == {
        "data": {"name": "a", "fraction": None, "count": None},
        "test": {"name": "a", "fraction": None, "count": None},
        "valid": 0.0,
        "model": {
            "arch": "tiny_vgg",
            "weights": "none",
            "weights_sha256": None,
            "freeze": "none",
            "batchnorm": "auto",
            "lr_scale": None,
            "dropout": None,
            "hidden": None,
        },
        "transform": {
            "size": 32,
            "resize": "squash",
            "resize_to": None,
            "interpolation": "bilinear",
            "channels": 3,
            "normalize": "none",
        },
        "augment": "none",
        "mix": "none",
        "batch_size": 32,
        "epochs": 5,
        "optimizer": {
            "kind": "adam",
            "lr": 0.001,
            "betas": [0.9, 0.999],
            "eps": 1e-8,
            "weight_decay": 0.0,
        },
        "schedule": {"kind": "constant", "warmup": None},
        "accumulate": 1,
        "clip": None,
        "ema": None,
        "stop": None,
        "loss": {"kind": "cross_entropy", "label_smoothing": 0.0},
        "seed": 42,
        "precision": "float32",
        "threads": 2,
        "micro_batch": None,
        "device": "auto",
    }
    assert CellSettings.model_validate(cell.settings.model_dump(mode="json")) == cell.settings


def test_a_preset_is_its_list_of_steps(cells: Cells, values: Values) -> None:
    steps = [{"kind": "random_crop", "padding": 0.125}, {"kind": "horizontal_flip"}]
    named, spelled = (cells({"augment": augment})[0] for augment in ("standard", steps))
    assert named.cell_id == spelled.cell_id
    assert load_plan(values({"augment": "standard"})) == load_plan(values({"augment": steps}))


def test_a_preset_is_found_by_its_name(cells: Cells) -> None:
    grid = {"augment": ["none", "standard", "strong"], "epochs": [1, 2]}
    found = cells(
        {"augment": "standard"},
        grid=grid,
        exclude=[{"augment": ["none", "strong"], "epochs": 2}],
        include=[{"augment": "strong", "epochs": 3}, {"epochs": 4}],
    )
    assert [cell.label for cell in found] == [
        "none · 1 epoch",
        "standard · 1 epoch",
        "standard · 2 epochs",
        "strong · 1 epoch",
        "strong · 3 epochs",
        "4 epochs",
    ]
    assert cells({"augment": "strong"}, grid={"epochs": [1]}, exclude=[{"augment": "none"}])
    with pytest.raises(PlanError, match="must leave a cell"):
        cells({"augment": "strong"}, grid={"epochs": [1]}, exclude=[{"augment": "strong"}])


def test_ways_of_mixing_are_labelled_choices(cells: Cells) -> None:
    mix = {"no": "none", "mixup": {"kind": "mixup", "alpha": 0.2}, "cutmix": {"kind": "cutmix"}}
    found = cells(grid={"mix": mix}, when={"mix": {"epochs": 5}})
    assert [cell.settings.model_dump()["mix"] for cell in found] == [
        "none",
        {"kind": "mixup", "alpha": 0.2, "p": 1.0},
        {"kind": "cutmix", "alpha": 1.0, "p": 1.0},
    ]
    alphas = cells({"mix": {"kind": "either"}}, grid={"mix.alpha": [0.2, 1.0]})
    assert [cell.label for cell in alphas] == ["alpha 0.2", "alpha 1.0"]
    assert len(cells({"mix": {"kind": "either"}}, exclude=[{"mix.p": 0.5}])) == 1


def test_a_plan_made_without_the_loader_is_still_refused(values: Values) -> None:
    plan = Plan.model_validate(values(grid={"epochs": [0]}))
    with pytest.raises(PlanError, match=r"use load_plan"):
        expand(plan)
    plan = Plan.model_validate(values(grid={"epochs": []}))
    with pytest.raises(PlanError, match=r"grid\.epochs: must have at least one value"):
        expand(plan)


AXES = {
    "epochs": st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True),
    "optimizer.lr": st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=3, unique=True),
    "data": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True),
    "seed": st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True),
}


@settings(max_examples=60, deadline=None)
@given(grid=st.fixed_dictionaries({}, optional=AXES), data=st.data())
def test_every_combination_exactly_once_whatever_the_order(
    values: Values, grid: dict[str, list[Any]], data: st.DataObject
) -> None:
    found = expand(load_plan(values(grid=grid)))
    size = 1
    for choices in grid.values():
        size *= len(choices)
    assert len(found) == size == len({cell.cell_id for cell in found})
    shuffled = {
        name: data.draw(st.permutations(grid[name]))
        for name in data.draw(st.permutations(sorted(grid)))
    }
    again = expand(load_plan(values(grid=shuffled)))
    assert {cell.cell_id for cell in again} == {cell.cell_id for cell in found}
    assert expand(load_plan(values(grid=grid))) == found
