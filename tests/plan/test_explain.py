"""What explain says of each missing stage."""

from __future__ import annotations

from foodvision.plan.explain import explain
from foodvision.plan.work import plan_work
from tests.plan.test_graph import BASE, FakeStore, compiled, grid


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
