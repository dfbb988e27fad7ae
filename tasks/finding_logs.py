"""Which logs tell of a plan's stages: of each the latest, whichever run, of any plan, wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from foodvision.errors import PlanError
from foodvision.plan.composites import Composite, composites
from foodvision.plan.expand import SEPARATOR, Cell, expand
from foodvision.plan.naming import hint, meant
from foodvision.store import Store
from tasks.journal import DIED, journals, read_journal
from tasks.logs import RUN_LOG
from tasks.reach import Reach
from tasks.records import cell_outcomes, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.schema import Plan

Event = dict[str, Any]
_SHORTEST_ID = 6
_HEX = re.compile(r"[0-9a-fA-F]+")
_PARTS = {"train": 2, "score": 1}  # of a label, before the cells


@dataclass(frozen=True)
class StageLog:
    """The log of a stage.

    Attributes:
        kind: of the stage.
        key: of the stage.
        label: for people, without the cells.
        cells: labels of the plan's cells that wanted it.
        place: what these labels have in common, and how many they are.
        error: why it failed; `None`: it did not.
        has_diverged: it trained, and its loss or weights became no finite numbers.
        seconds: that it took.
        path: of the file; it may be gone.
    """

    kind: str
    key: str
    label: str
    cells: tuple[str, ...]
    place: str
    error: str | None
    has_diverged: bool
    seconds: float
    path: Path

    @property
    def status(self) -> str:
        """Return done, diverged or failed."""
        return "failed" if self.error is not None else "diverged" if self.has_diverged else "done"


@dataclass(frozen=True)
class CellsLog:
    """The log of cells that failed, and no stage of theirs did: they lacked something.

    Attributes:
        cells: their labels.
        error: why they failed.
        path: of the log of the run that says so; it may be gone.
    """

    cells: tuple[str, ...]
    error: str
    path: Path


@dataclass(frozen=True)
class FoundLogs:
    """The logs about a plan, or a cell of it.

    Attributes:
        plan: its name.
        run: of the plan's latest run; `None`: none is kept.
        has_ended_well: that run has, or goes on: it neither died, nor was it killed, nor failed in
            what is told of neither by stages nor by cells.
        stages: of stages, in the order in which they ended.
        lacking: of cells that failed without a stage, each cause once.
    """

    plan: str
    run: Path | None
    has_ended_well: bool
    stages: Sequence[StageLog]
    lacking: Sequence[CellsLog] = ()


def find_logs(plan: Plan, home: Home, *, name: str | None = None) -> FoundLogs:
    """Find the logs of a plan's stages.

    Args:
        plan: the plan.
        home: whose journals name them.
        name: only of the stages behind this cell: its label or words that only it has, or the
            beginning of its id; or of one stage: the beginning of its key.

    Raises:
        PlanError: the plan has no such cell, and no such stage.
    """
    finder = _Finder(plan, home)
    if name is None:
        return finder.of_cells(finder.known, with_everyones=True)
    return finder.of_stages(name) or finder.of_cells([finder.cell(name)])


class _Finder:
    """Reads the journals of a home once."""

    def __init__(self, plan: Plan, home: Home) -> None:
        cells = expand(plan)
        self.known: list[Cell | Composite] = [*cells, *composites(plan, cells)]
        self._plan = plan
        self._home = home
        self._store = Store(home.store)
        self._labels = {each.cell_id: each.label for each in self.known}
        self._runs = [events for path in journals(home.journals) if (events := read_journal(path))]
        self._own = [events for events in self._runs if events[0]["plan_name"] == plan.name]

    def of_cells(
        self, cells: Sequence[Cell | Composite], *, with_everyones: bool = False
    ) -> FoundLogs:
        """Return the logs of all stages behind cells, and of those that name no cell."""
        ids = {each.cell_id for each in cells}
        ids |= _voices(ids, self._own)  # what is made of cells stands on their training
        wanted = _stages_behind(ids, self._own, self._store)
        return self._found(
            lambda event: (
                (event["kind"], event["key"]) in wanted
                or bool(ids.intersection(event["cells"]))
                or (with_everyones and not event["cells"])
            ),
            [each for each in self.known if each.cell_id in ids],
        )

    def of_stages(self, key: str) -> FoundLogs | None:
        """Return the logs of the plan's stages whose key begins so; `None`: there is none."""
        if len(key) < _SHORTEST_ID or not _HEX.fullmatch(key):
            return None
        found = self.of_cells(self.known, with_everyones=True)
        stages = [each for each in found.stages if each.key.startswith(key.lower())]
        return replace(found, stages=stages, lacking=()) if stages else None

    def cell(self, name: str) -> Cell | Composite:
        """Return the cell that a name means."""
        labels = meant(name, self._labels.values())
        chosen = [each for each in self.known if [each.label] == labels]
        if not chosen and len(name) >= _SHORTEST_ID:
            chosen = [each for each in self.known if each.cell_id.startswith(name.lower())]
        if len(chosen) != 1:
            raise PlanError(
                f"a cell is named by its label or words of it, or by {_SHORTEST_ID} or more "
                "letters of its id, a stage by as many of its key; "
                f"{len(chosen) or 'none'} of the plan {self._plan.name} is called {name!r}"
                f"{hint(name, self._labels.values())}"
            )
        return chosen[0]

    def _found(
        self, is_wanted: Callable[[Event], bool], cells: Sequence[Cell | Composite]
    ) -> FoundLogs:
        found: dict[tuple[str, str], Event] = {}
        for events in self._runs:
            for event in filter(is_wanted, _tried(events)):
                stage = (event["kind"], event["key"])
                found.pop(stage, None)
                found[stage] = event
        last = self._own[-1] if self._own else ()
        run = last[0].get("log") if last else None
        lacking = self._lacking(cells)
        return FoundLogs(
            plan=self._plan.name,
            run=self._home.root / run if run else None,
            has_ended_well=_has_ended_well(last, is_told=bool(lacking)),
            stages=[self._stage_log(event) for event in found.values()],
            lacking=lacking,
        )

    def _lacking(self, cells: Sequence[Cell | Composite]) -> list[CellsLog]:
        """Return why cells failed of which a run's own log tells, in the last that had them."""
        last: dict[str, Mapping[str, Any]] = {}
        for events in self._own:
            last |= cell_outcomes(events)
        alike: dict[tuple[str, str], list[str]] = {}
        for cell in cells:
            event = last.get(cell.cell_id)
            if event and PurePosixPath(event.get("log") or "").name == RUN_LOG:
                alike.setdefault((event["error"], event["log"]), []).append(cell.label)
        return [
            CellsLog(tuple(labels), error, self._home.root / log)
            for (error, log), labels in alike.items()
        ]

    def _stage_log(self, event: Event) -> StageLog:
        cells = [self._labels[each] for each in event["cells"] if each in self._labels]
        return StageLog(
            kind=event["kind"],
            key=event["key"],
            label=stage_words(event["kind"], event["label"]),
            cells=tuple(cells),
            place=common_place(cells),
            error=event["error"],
            has_diverged=self._has_diverged(event),
            seconds=event["seconds"],
            path=self._home.root / event["log"],
        )

    def _has_diverged(self, event: Event) -> bool:
        is_kept = event["error"] is None and self._store.has("train", event["key"])
        if event["kind"] != "train" or not is_kept:
            return False
        return bool(self._store.get("train", event["key"]).notes["diverged"])


def _has_ended_well(events: Sequence[Event], *, is_told: bool) -> bool:
    """Say whether a run left nothing that only its own log tells.

    Args:
        events: of its journal.
        is_told: what its cells lacked is told of.
    """
    ended = latest(events, "finished")
    if not ended or ended["status"] == "completed":
        return True
    return is_told and ended["status"] == "failed" and not latest(events, DIED)


def stage_words(kind: str, label: str) -> str:
    """Return what a stage is called, without the cells that its label ends with."""
    parts = label.split(", ")
    return ", ".join(parts[: _PARTS.get(kind, len(parts))]) if kind != "composite" else "combine"


def common_place(labels: Sequence[str]) -> str:
    """Say which cells a stage is for: the label, or what several have in common, and how many."""
    if len(labels) < 2:
        return "".join(labels)
    first, *others = (label.split(SEPARATOR) for label in labels)
    common = [part for part in first if all(part in other for other in others)]
    count = f"{len(labels)} cells"
    return f"{SEPARATOR.join(common)} ({count})" if common else count


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


def _voices(ids: Collection[str], runs: Sequence[Sequence[Event]]) -> set[str]:
    """Return the cells that composites are made of, or may be, as their latest run named them."""
    compiled = next((each for events in reversed(runs) if (each := latest(events, "compiled"))), {})
    made = _of(ids, compiled.get("composites", ()))
    return {voice for each in made for voice in each["voices"]}


def _of(ids: Collection[str], cells: Sequence[Event]) -> list[Event]:
    return [each for each in cells if each["cell_id"] in ids]


def _tried(events: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    """Yield the stages that a run tried, and kept a log of."""
    for event in events:
        if event["event"] == "stage" and event.get("log"):
            yield dict(event)
