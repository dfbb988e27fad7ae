"""The Prefect tasks: a name for people, a state, and a call. Everything they call runs without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import State

    from tasks.jobs import TaskGroup
    from tasks.outcomes import Ledger


@task(name="compute", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def compute(label: str, group: TaskGroup, ledger: Ledger) -> State[Any]:
    """Do a group of jobs; one that fails takes down what needs it and nothing else."""
    for job in group.jobs:
        ledger.attempt(job)
    failed = [job for job in group.jobs if job.key in ledger.failures]
    if failed:
        reason = ledger.failures[failed[0].key]
        return Failed(message=f"{len(failed)} of {len(group.jobs)} failed: {reason}")
    return Completed(message=f"{label}: done")


@task(
    name="found in the store",
    task_run_name="found in the store · {count} stages",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def report_hits(count: int) -> State[Any]:
    """Show what need not be computed, as one task run in the state `Cached`."""
    return Completed(name="Cached", message=f"{count} finished stages were found in the store")


@task(name="step", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def step(label: str, work: Callable[[], Any]) -> Any:
    """Do one named step of a run and return what it returns."""
    return work()
