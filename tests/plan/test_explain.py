"""What explain says of each missing stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.plan.composites import composites
from foodvision.plan.expand import expand
from foodvision.plan.explain import explain
from foodvision.plan.graph import Graph, compile_cells
from foodvision.plan.load import load_plan
from foodvision.plan.work import plan_work
from tests.plan.test_graph import BASE, FakeFacts, FakeStore, compiled, grid

if TYPE_CHECKING:
    from foodvision.plan.keeping import Keeping


def _compiled_with_views(text: str) -> Graph:
    plan = load_plan(text)
    cells = expand(plan)
    return compile_cells(cells, FakeFacts(), composites(plan, cells))


def _said(text: str, store: FakeStore | None = None) -> list[tuple[str, str, int]]:
    graph = compiled(text)
    found = explain("small", graph, plan_work(graph, store or FakeStore()))
    return [(stage.kind, stage.what, len(stage.cells)) for stage in found.stages]


def test_trainings_on_two_data_sets_are_told_apart() -> None:
    said = _said(grid("  data: [ten, twenty]\n  epochs: [5, 10]\n"))
    assert [stage for stage in said if stage[0] == "train"] == [
        ("train", "net, ten, epochs 1-5", 2),
        ("train", "net, ten, epochs 6-10", 1),
        ("train", "net, twenty, epochs 1-5", 2),
        ("train", "net, twenty, epochs 6-10", 1),
    ]


def test_scores_name_the_data_set_that_they_are_on() -> None:
    store = FakeStore()
    graph = compiled(BASE)
    store.run(plan_work(graph, store), keeps_every_state=True)
    said = _said(BASE.replace("test: ten", "test: twenty"), store)
    assert ("score", "net on twenty, test", 1) in said


def test_trainings_that_read_alike_are_told_apart_by_their_labels() -> None:
    said = _said(
        grid(
            "  optimizer: {adam: {kind: adam, lr: 0.001}, sgd: {kind: sgd, lr: 0.1}}\n"
            "  epochs: [5, 10]\n  data: [ten, twenty]\n"
        )
    )
    assert [what for kind, what, _ in said if kind == "train"][:4] == [
        "net, ten, epochs 1-5, adam",
        "net, twenty, epochs 1-5, adam",
        "net, ten, epochs 6-10, adam",
        "net, twenty, epochs 6-10, adam",
    ]
    assert len({what for _, what, _ in said}) == len(said)


@pytest.mark.parametrize(
    ("rest", "kind", "what"),
    [
        pytest.param(
            "seeds: 2\n",
            "view",
            "net on ten, test, horizontal flip, sgd, seed 43",
            id="views of seeds and optimisers",
        ),
        pytest.param("", "features", "net, 8 px, horizontal flip", id="rows in a view"),
        pytest.param("", "composite", "tta of stored outputs, sgd", id="what is made of them"),
    ],
)
def test_views_and_their_rows_are_told_apart(rest: str, kind: str, what: str) -> None:
    text = grid("  optimizer: {adam: {kind: adam, lr: 0.001}, sgd: {kind: sgd, lr: 0.1}}\n")
    graph = _compiled_with_views(f"{text}{rest}tta: [identity, horizontal_flip, vertical_flip]\n")
    found = explain("small", graph, plan_work(graph, FakeStore()))
    said = [(stage.kind, stage.what) for stage in found.stages]
    assert (kind, what) in said
    assert len(set(said)) == len(said)


def test_rows_of_weights_from_different_seeds_are_told_apart() -> None:
    said = _said(grid("  model.weights: [none]\n  seed: [1, 2]\n"))
    rows = [what for kind, what, _ in said if kind == "features"]
    assert rows == ["net, 8 px, seed 1", "net, 8 px, seed 2"]


def _kept(*overrides: str, text: str = BASE) -> list[Keeping]:
    graph = compiled(text, None, *overrides)
    limit = load_plan(text, list(overrides)).limits.features_bytes
    work = plan_work(graph, FakeStore(), features_bytes=limit)
    return list(explain("small", graph, work).kept)


def test_features_are_told_with_their_blocks_and_bytes() -> None:
    (kept,) = _kept()
    assert (kept.kind, kept.blocks, kept.live_blocks) == ("features", ("stem", "body"), ())
    assert (kept.row_shape, kept.row_bytes, kept.images, kept.bytes) == ((6,), 24, 20, 480)
    assert kept.reasons == ()


@pytest.mark.parametrize(
    ("override", "cause", "text"),
    [
        ("base.model.freeze=none", "unfrozen", "freeze: none leaves every block trainable"),
        ("base.model.batchnorm=train", "batchnorm", "batchnorm: train moves"),
        ("base.augment=[{kind: vertical_flip}]", "augment", "augment (vertical_flip) changes"),
        ("base.mix={kind: mixup}", "mix", "mix (mixup) changes the images in every epoch"),
        ("limits.features_bytes=479", "limit", "all its features, 480 bytes, are above limits"),
    ],
)
def test_what_rules_features_out_is_told(override: str, cause: str, text: str) -> None:
    (kept,) = _kept(override)
    assert (kept.kind, kept.blocks, kept.row_shape) == ("pixels", (), (1, 8, 8))
    assert kept.live_blocks == (() if cause == "unfrozen" else ("stem", "body"))
    assert [reason.cause for reason in kept.reasons] == [cause]
    assert text in kept.reasons[0].text


def test_seeds_that_are_kept_alike_are_one_line() -> None:
    kept = _kept("base.model.weights=none", text=f"{BASE}seeds: 3\n")
    assert [(len(each.cells), each.images, each.bytes) for each in kept] == [(3, 60, 1440)]
