"""How jobs share task runs: small siblings together, chains in one place, every worker busy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from foodvision.plan.expand import expand
from foodvision.plan.graph import compile_cells
from foodvision.plan.load import load_plan
from foodvision.plan.work import plan_work
from tasks import jobs
from tasks.jobs import TaskGroup, plan_tasks
from tests.plan.test_graph import BASE, FakeFacts, FakeStore

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADS = """
grid:
  seed: [1, 2, 3, 4, 5, 6]
  epochs: [2, 4]
"""


def planned(
    axes: str, *overrides: str, workers: int = 1, store: Any = None, latency: bool = False
) -> list[TaskGroup]:
    graph = compile_cells(expand(load_plan(BASE + axes, list(overrides))), FakeFacts())
    work = plan_work(graph, store or FakeStore(), latency=latency)
    return plan_tasks(graph, work, devices=lambda s: (s.device,), workers=workers)


def trainings(groups: Sequence[TaskGroup]) -> list[list[str]]:
    return [[job.label for job in group.jobs] for group in groups if group.kind == "train"]


def check_order(groups: Sequence[TaskGroup]) -> None:
    """See to it that the groups can run one after the other, and every job after its needs."""
    made = {job.key for group in groups for job in group.jobs}
    done: set[str] = set()
    for group in groups:
        assert len({job.devices for job in group.jobs}) == 1
        for job in group.jobs:
            assert {need for need in job.needs if need in made} <= done
            done.add(job.key)
    assert done == made


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_heads_are_shared_out_and_chains_stay_together(workers: int) -> None:
    groups = planned(HEADS, "base.model.freeze=backbone", workers=workers)
    check_order(groups)
    counts = [len(found) for found in trainings(groups)]
    assert counts == [12 // workers] * workers
    for group in groups:
        if group.kind == "train":
            own = {job.key for job in group.jobs}
            assert not {need for need in group.needs if need not in own} - {groups[0].jobs[0].key}


def test_long_trainings_have_task_runs_of_their_own() -> None:
    groups = planned(HEADS, "base.model.freeze=none")
    check_order(groups)
    assert [len(found) for found in trainings(groups)] == [1] * 12


def test_no_task_run_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = planned(HEADS, "base.model.freeze=backbone")
    monkeypatch.setattr(jobs, "GROUP_BYTES", 1)
    assert [len(found) for found in trainings(whole)] == [12]
    groups = planned(HEADS, "base.model.freeze=backbone")
    check_order(groups)
    assert [len(found) for found in trainings(groups)] == [1] * 12


def test_devices_do_not_share_a_task_run() -> None:
    text = "grid:\n  seed: [1, 2]\n  device: [cpu, mps]\n"
    groups = planned(text, "base.model.freeze=backbone")
    check_order(groups)
    assert {group.devices for group in groups} <= {("cpu",), ("mps",)}


@pytest.mark.parametrize("workers", [1, 4])
def test_scores_are_shared_out(workers: int) -> None:
    store = FakeStore()
    graph = compile_cells(expand(load_plan(BASE + HEADS)), FakeFacts())
    store.run(plan_work(graph, store), keeps_every_state=True)
    store.score.clear()
    groups = planned(HEADS, workers=workers, store=store)
    assert {group.kind for group in groups} <= {"pixels", "score"}
    scores = [group for group in groups if group.kind == "score"]
    assert len(scores) == workers
    assert sum(len(group.jobs) for group in scores) == 12


def test_models_are_measured_one_by_one_after_everything_else() -> None:
    axes = "grid:\n  seed: [1, 2]\n  model.arch: [net, other]\n  device: [cpu, mps]\n"
    groups = planned(axes, latency=True)
    check_order(groups)
    *others, first, second = groups
    assert "latency" not in {group.kind for group in others}
    assert [(group.kind, len(group.jobs)) for group in (first, second)] == [("latency", 2)] * 2
    before = {job.key for group in others for job in group.jobs}
    assert first.after == before
    assert second.after == before | {job.key for job in first.jobs}
    assert not first.needs | second.needs
