"""Which logs tell of a plan's stages: of each the latest, whichever run, of any plan, wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.errors import PlanError
from foodvision.plan.composites import Composite, composites
from foodvision.plan.expand import Cell, expand
from foodvision.store import Store
from tasks.journal import journals, read_journal
from tasks.reach import Reach
from tasks.records import latest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.schema import Plan

Event = dict[str, Any]
_SHORTEST_ID = 6


@dataclass(frozen=True)
class StageLog:
    """The log of a stage.

    Attributes:
        kind: of the stage.
        key: of the stage.
        label: for people.
        error: why it failed; `None`: it did not.
        seconds: that it took.
        path: of the file; it may be gone.
    """

    kind: str
    key: str
    label: str
    error: str | None
    seconds: float
    path: Path


@dataclass(frozen=True)
class FoundLogs:
    """The logs about a plan, or a cell of it.

    Attributes:
        plan: its name.
        run: of the plan's latest run; `None`: none is kept.
        stages: of stages, in the order in which they ended.
    """

    plan: str
    run: Path | None
    stages: Sequence[StageLog]


def find_logs(plan: Plan, home: Home, *, cell: str | None = None) -> FoundLogs:
    """Find the logs of a plan's stages.

    Args:
        plan: the plan.
        home: whose journals name them.
        cell: only of the stages behind this cell: its label, or the beginning of its id.

    Raises:
        PlanError: the plan has no such cell.
    """
    ids = {each.cell_id for each in _chosen(plan, cell)}
    runs = [events for path in journals(home.journals) if (events := read_journal(path))]
    own = [events for events in runs if events[0]["plan_name"] == plan.name]
    wanted = _stages_behind(ids, own, Store(home.store))
    found: dict[tuple[str, str], Event] = {}
    for events in runs:
        for event in _tried(events):
            stage = (event["kind"], event["key"])
            if stage in wanted or ids.intersection(event["cells"]) or _is_everyones(event, cell):
                found.pop(stage, None)
                found[stage] = event
    run = own[-1][0].get("log") if own else None
    return FoundLogs(
        plan=plan.name,
        run=home.root / run if run else None,
        stages=[_stage_log(event, home) for event in found.values()],
    )


def _chosen(plan: Plan, cell: str | None) -> list[Cell | Composite]:
    cells = expand(plan)
    known: list[Cell | Composite] = [*cells, *composites(plan, cells)]
    if cell is None:
        return known
    chosen = [each for each in known if each.label == cell]
    if not chosen and len(cell) >= _SHORTEST_ID:
        chosen = [each for each in known if each.cell_id.startswith(cell.lower())]
    if len(chosen) != 1:
        labels = ", ".join(each.label for each in known[:5])
        raise PlanError(
            f"a cell is named by its label, or by {_SHORTEST_ID} or more letters of its id; "
            f"{len(chosen) or 'none'} of the plan {plan.name} is called {cell!r}. There are, among "
            f"others, {labels}."
        )
    return chosen


def _stages_behind(
    ids: Collection[str], runs: Sequence[Sequence[Event]], store: Store
) -> set[tuple[str, str]]:
    """Return kind and key of the stages that cells stand on, as their latest run named them."""
    compiled = next((each for events in reversed(runs) if (each := latest(events, "compiled"))), {})
    named = {part: _of(ids, compiled.get(part, ())) for part in ("cells", "composites")}
    recipes = {
        (recipe["kind"], recipe["key"])
        for each in (*named["cells"], *named["composites"])
        for recipe in each["recipes"]
    }
    reach = Reach(store, ())
    return reach.of([[{"event": "compiled", "hits": [], **named}]]) | recipes


def _of(ids: Collection[str], cells: Sequence[Event]) -> list[Event]:
    return [each for each in cells if each["cell_id"] in ids]


def _tried(events: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    """Yield the stages that a run tried, and kept a log of."""
    for event in events:
        if event["event"] == "stage" and event.get("log"):
            yield dict(event)


def _is_everyones(event: Event, cell: str | None) -> bool:
    return cell is None and not event["cells"]


def _stage_log(event: Event, home: Home) -> StageLog:
    return StageLog(
        kind=event["kind"],
        key=event["key"],
        label=event["label"],
        error=event["error"],
        seconds=event["seconds"],
        path=home.root / event["log"],
    )
