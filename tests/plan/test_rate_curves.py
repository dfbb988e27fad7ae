"""The learning rates that explain draws are those that are in the keys, and so those that train."""

from __future__ import annotations

from foodvision.plan.rate_curves import rate_curves
from tests.plan.test_graph import BASE, compiled, grid

WITHOUT_EPOCHS = BASE.replace("  epochs: 5\n", "")


def test_one_curve_for_each_distinct_schedule_with_its_cells() -> None:
    axes = "  schedule: {flat: {kind: constant}, down: {kind: cosine, min_lr: 0.0001}}\n"
    graph = compiled(grid(f"{axes}  seed: [1, 2]\n"))
    flat, down = rate_curves(graph)
    assert flat.cells == ("flat · seed 1", "flat · seed 2")
    assert down.cells == ("down · seed 1", "down · seed 2")
    assert down.learning_rates == graph.cells[2].chain.learning_rates
    assert {rate for epoch in flat.learning_rates for rate in epoch} == {0.001}
    assert [phase.schedule for phase in down.phases] == ["cosine, min_lr 0.0001"]


def test_groups_of_blocks_make_another_curve() -> None:
    graph = compiled(grid("  model: {one: {freeze: none}, many: {freeze: none, lr_scale: 0.5}}\n"))
    one, many = rate_curves(graph)
    assert [(group.blocks, group.factor) for group in one.phases[0].groups] == [("stem-head", 1.0)]
    assert [(group.blocks, group.factor) for group in many.phases[0].groups] == [
        ("stem", 0.25),
        ("body", 0.5),
        ("head", 1.0),
    ]


def test_phases_are_told_with_their_own_steps_and_momenta() -> None:
    phases = "[{epochs: 2, schedule: {kind: one_cycle}}, {epochs: 1, batch_size: 5}]"
    (curve,) = rate_curves(compiled(f"{WITHOUT_EPOCHS}  phases: {phases}\n"))
    assert [(p.first_epoch, p.last_epoch, p.steps) for p in curve.phases] == [(1, 2, 3), (3, 3, 2)]
    assert [len(epoch) for epoch in curve.learning_rates] == [3, 3, 2]
    assert [len(epoch) for epoch in curve.momenta] == [3, 3, 0]
    assert curve.to_json()["phases"][0]["schedule"] == "one_cycle"


def test_momenta_are_not_told_where_the_optimizers_own_count() -> None:
    assert [curve.momenta for curve in rate_curves(compiled())] == [()]
