"""In which order and how many at a time: jobs that need nothing of each other run side by side."""

from __future__ import annotations

import queue
from collections import Counter
from functools import partial
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.jobs import TaskGroup


class Underway(Protocol):
    """Something that was started and will end, like a future."""

    def add_done_callback(self, fn: Callable[[Any], None], /) -> None:
        """Have `fn` called when it ends, from whatever thread; at once where it has ended."""


def run_groups(
    groups: Sequence[TaskGroup],
    *,
    workers: Callable[[TaskGroup], int],
    start: Callable[[TaskGroup], Underway],
    ended: Callable[[TaskGroup], None],
) -> None:
    """Start every group when what it comes after has ended, as many at a time as there are workers.

    Args:
        groups: to run; what a group needs and no group makes is there already.
        workers: that can do a group.
        start: starts a group and returns at once.
        ended: called in this thread after each group, in the order of their ends.
    """
    makers = {job.key: number for number, group in enumerate(groups) for job in group.jobs}
    order = TopologicalSorter(
        {
            number: [makers[key] for key in sorted(group.needs | group.after) if key in makers]
            for number, group in enumerate(groups)
        }
    )
    order.prepare()
    ready: list[int] = []
    busy: Counter[tuple[str, ...]] = Counter()
    ends: queue.SimpleQueue[int] = queue.SimpleQueue()
    while order.is_active():
        ready = sorted([*ready, *order.get_ready()])
        for number in tuple(ready):
            group = groups[number]
            if busy[group.devices] < workers(group):
                ready.remove(number)
                busy[group.devices] += 1
                start(group).add_done_callback(partial(_note_end, ends, number))
        number = ends.get()
        busy[groups[number].devices] -= 1
        order.done(number)
        ended(groups[number])


def _note_end(ends: queue.SimpleQueue[int], number: int, _: object) -> None:
    ends.put(number)
