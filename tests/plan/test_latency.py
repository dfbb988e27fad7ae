"""Which models share a measurement, and who waits for it: nobody."""

from __future__ import annotations

import pytest

from foodvision.plan.explain import explain
from foodvision.plan.load import load_plan
from foodvision.plan.work import plan_work
from tests.plan.test_graph import BASE, FakeFacts, FakeStore, compiled, grid


def key(*overrides: str, facts: FakeFacts | None = None) -> str:
    (cell,) = compiled(BASE, facts, *overrides).cells
    return cell.latency.key


@pytest.mark.parametrize(
    "override",
    [
        "base.model.arch=other",
        "base.model.hidden=3",
        "base.transform.size=9",
        "base.transform.channels=3",
        "base.threads=1",
        "base.precision=bfloat16",
        "base.device=cuda",
    ],
)
def test_another_shape_or_another_processor_is_measured_anew(override: str) -> None:
    assert key(override) != key()


def test_other_versions_machines_and_numbers_of_classes_are_measured_anew() -> None:
    others = [
        FakeFacts(environment_facts={"torch": "2.15.0"}),
        FakeFacts(machine="there"),
        FakeFacts(classes={"ten": ("a", "b", "c")}),
    ]
    assert len({key(), *(key(facts=facts) for facts in others)}) == 4


@pytest.mark.parametrize(
    "override",
    [
        "base.seed=7",
        "base.epochs=9",
        "base.optimizer.lr=0.5",
        "base.model.freeze=none",
        "base.model.weights=none",
        "base.model.dropout=0.5",
        "base.augment=standard",
        "base.batch_size=2",
        "base.micro_batch=2",
        "base.data=twenty",
    ],
)
def test_what_training_changes_is_not_measured_again(override: str) -> None:
    assert key(override) == key()


def test_a_model_is_measured_as_its_last_phase_sees_images() -> None:
    phases = "[{epochs: 2, transform.size: 4}, {epochs: 1}]"
    assert key("base.epochs=null", f"base.phases={phases}") == key()


def test_it_is_measured_where_the_plan_asks_once_a_shape_and_no_cell_waits() -> None:
    graph = compiled(grid("  seed: [1, 2]\n  model.arch: [net, other]\n"))
    assert plan_work(graph, FakeStore()).measuring == ()
    work = plan_work(graph, FakeStore(), latency=True)
    keys = {job.key for job in work.measuring}
    assert len(work.measuring) == len(keys) == 2
    assert not keys & {key for waited in work.waiting.values() for key in waited}
    assert work.predicted == plan_work(graph, FakeStore()).predicted


def test_a_measurement_is_not_made_twice() -> None:
    store, graph = FakeStore(), compiled()
    store.run(plan_work(graph, store), keeps_every_state=False)
    (job,) = plan_work(graph, store, latency=True).measuring
    store.score[job.key] = frozenset()  # where the fake keeps all that is no state
    work = plan_work(graph, store, latency=True)
    assert work.is_empty
    assert ("latency", job.key) in work.hits


def test_explain_says_what_is_measured_for_whom() -> None:
    graph = compiled(grid("  seed: [1, 2]\n"))
    stages = explain("small", graph, plan_work(graph, FakeStore(), latency=True)).stages
    (line,) = [stage for stage in stages if stage.kind == "latency"]
    assert line.what == "net, 8 px, 1 and 32 at a time"
    assert line.cells == ("seed 1", "seed 2")


def test_plans_that_do_not_ask_are_what_they_were() -> None:
    plain, asked, spelled_out = (
        load_plan(BASE, overrides)
        for overrides in ([], ["evaluate={latency: true}"], ["evaluate={latency: false}"])
    )
    assert plain.plan_id == spelled_out.plan_id != asked.plan_id
    assert "evaluate" not in plain.to_json()
    assert asked.to_json()["evaluate"] == {"latency": True}
