"""The Prefect tasks: a name for people, a state, and a call. Everything they call runs without."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed
from prefect.utilities.annotations import quote

from foodvision.errors import FoodVisionError
from tasks.runners import do_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import State

    from tasks.jobs import TaskGroup
    from tasks.outcomes import Ledger
    from tasks.runners import Runner
    from tasks.schedule import Underway

_Made = TypeVar("_Made")


def start_compute(group: TaskGroup, ledger: Ledger, runner: Runner) -> Underway:
    """Do a group of jobs as one task run; one that fails takes down what needs it, nothing else.

    Returns:
        What tells the end: the task run has ended already where the runner works in this process.
    """
    named = _compute.with_options(name=group.kind)
    given = (group.label, _whole(group), _whole(ledger), _whole(runner))
    if runner.is_apart:
        return named.submit(*given)
    named(*given, return_state=True)
    ended: Future[None] = Future()
    ended.set_result(None)
    return ended


def report_hits(count: int) -> None:
    """Show what need not be computed, as one task run in the state `Cached`."""
    _report_hits(count, return_state=True)


def do_step(label: str, work: Callable[[], _Made]) -> _Made:
    """Do one named step of a run as a task run; return, or raise, what it does.

    What a user can mend is a failed state with a sentence, without a traceback in the log.
    """
    state = _step(label, _whole(work), return_state=True)
    made = state.result(raise_on_failure=False)
    if isinstance(made, BaseException):
        raise made
    return cast("_Made", made)


@task(name="compute", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def _compute(label: str, group: TaskGroup, ledger: Ledger, runner: Runner) -> State[Any]:
    do_jobs(group.jobs, ledger, runner)
    failed = [job for job in group.jobs if job.key in ledger.failures]
    if failed:
        reason = ledger.failures[failed[0].key]
        return Failed(message=f"{len(failed)} of {len(group.jobs)} failed: {reason}")
    return Completed(message=f"{label}: done")


@task(
    name="found in the store",
    task_run_name="found in the store, {count} stages",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def _report_hits(count: int) -> State[Any]:
    return Completed(name="Cached", message=f"{count} finished stages were found in the store")


@task(name="step", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def _step(label: str, work: Callable[[], Any]) -> Any:  # noqa: ARG001 - names the task run
    try:
        return work()
    except FoodVisionError as error:
        return Failed(message=str(error), data=error)


def _whole(value: Any) -> Any:
    """Hand a value over as it is; Prefect would search it, a thousand cells deep, for futures."""
    return quote(value)
