"""What of the store the kept runs reach, and what may therefore go.

A run is kept as long as its journal is. It reaches the data it was about, the states on the way to
each of its results, their scores, views and composites, and the rows that its models read.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from foodvision.errors import StoreError
from foodvision.plan.graph import score_key
from tasks.journal import STARTED, journals, read_events

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from foodvision.home import Home
    from foodvision.store import Entry, Store

# Held while a run decides what it will use and writes that to its journal, and while stages are
# collected: so a run has either told what it needs, or sees what is gone.
REACH_LOCK = "reach"

_SHARDS = ("pixels-shard", "features-shard")
# Kinds whose reach is known; what this version does not know stays.
_JUDGED = ("dataset", "train", "score", "view", "composite", "latency", *_SHARDS)

Events = list[dict[str, Any]]
_Stage = tuple[str, str]


@dataclass(frozen=True)
class Rule:
    """What may be collected.

    Attributes:
        older_than: days since it was written; `None`: no matter.
        keep: bytes that may stay, the oldest go first; `None`: no matter.
        unreached: only what no kept run reaches.
        runs: of each plan, that count as kept, the latest first; `None`: all.
    """

    older_than: float | None = None
    keep: float | None = None
    unreached: bool = False
    runs: int | None = None


@dataclass(frozen=True)
class Found:
    """What lies in the store.

    Attributes:
        entries: whose manifests can be read, by kind and key.
        problems: why others cannot be judged.
    """

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


def find_entries(store: Store) -> Found:
    """Read every manifest; one that cannot be read is told, and stops nothing."""
    entries, problems = [], []
    for kind in store.kinds():
        for key in list(store.keys(kind)):
            try:
                entries.append(store.get(kind, key))
            except StoreError as problem:
                if store.has(kind, key):  # else: collected meanwhile
                    problems.append(str(problem))
    return Found(tuple(entries), tuple(problems))


def doomed(
    entries: Sequence[Entry], rule: Rule, home: Home, store: Store, living: Collection[str]
) -> list[Entry]:
    """Return the entries that a rule lets go, the oldest first.

    What a living run reaches stays whatever the rule, and so does what was written since the first
    of them began.

    Args:
        entries: of the store.
        rule: what may go.
        home: whose journals tell what runs reach.
        store: where the entries lie.
        living: ids of the runs that are under way.
    """
    runs = [events for path in journals(home.journals) if (events := read_events(path))]
    alive = [events for events in runs if events[0].get("run_id") in living]
    spared = Reach(store, entries).of(alive)
    since = min((_started(events) for events in alive), default=datetime.max.replace(tzinfo=UTC))
    if rule.unreached:
        spared |= Reach(store, entries).of(_kept(runs, rule.runs))
    candidates = sorted(
        (
            entry
            for entry in entries
            if (entry.kind, entry.key) not in spared
            and written_at(entry) < since
            and (entry.kind in _JUDGED or not rule.unreached)
        ),
        key=written_at,
    )
    return _by_age_and_size(candidates, rule, sum(entry.size_bytes for entry in entries))


def written_at(entry: Entry) -> datetime:
    """Return when an entry was written."""
    return datetime.fromisoformat(entry.manifest["written_at"])


def _by_age_and_size(candidates: Sequence[Entry], rule: Rule, held: int) -> list[Entry]:
    """Return the candidates that are too old, and then the oldest of the rest, to make room."""
    if rule.older_than is None and rule.keep is None:
        return list(candidates)
    gone: list[Entry] = []
    if rule.older_than is not None:
        limit = datetime.now(UTC) - timedelta(days=rule.older_than)
        gone = [entry for entry in candidates if written_at(entry) < limit]
    if rule.keep is not None:
        held -= sum(entry.size_bytes for entry in gone)
        for entry in candidates[len(gone) :]:
            if held <= rule.keep:
                break
            gone.append(entry)
            held -= entry.size_bytes
    return gone


def _started(events: Events) -> datetime:
    return datetime.fromisoformat(events[0]["at"])


def _kept(runs: Sequence[Events], last: int | None) -> Iterator[Events]:
    """Yield the runs that count as kept; journals are in the order in which runs began."""
    seen: dict[str, int] = {}
    for events in reversed(runs):
        plan = events[0].get("plan_name", "") if events[0]["event"] == STARTED else ""
        seen[plan] = seen.get(plan, 0) + 1
        if last is None or seen[plan] <= last:
            yield events


@dataclass
class Reach:
    """Follows what runs told in their journals through the manifests of the store."""

    store: Store
    entries: Sequence[Entry]
    _found: set[_Stage] = field(default_factory=set)
    _recipes: set[str] = field(default_factory=set)

    def of(self, runs: Iterable[Events]) -> set[_Stage]:
        """Return kind and key of every entry that these runs reach."""
        for events in runs:
            for event in events:
                if event["event"] == "dataset":
                    self._found.add(("dataset", event["key"]))
                elif event["event"] == "compiled":
                    self._follow_compiled(event)
        self._follow_rows()
        return self._found

    def _follow_compiled(self, event: Mapping[str, Any]) -> None:
        for kind, key in event["hits"]:
            self._follow_chain(key, ()) if kind == "train" else self._found.add((kind, key))
        for cell in event["cells"]:
            scores = cell["scores"].values()
            self._found |= {("score", score["key"]) for score in scores}
            self._found |= {("dataset", score["dataset"]) for score in scores}
            scored = [score["on"] for score in scores]
            self._follow_chain(cell["final"], scored)
            watched = [cell["curve"], *cell["given_up"]] if "curve" in cell else []
            for part in watched:  # what stop rules have looked at
                self._follow_chain(part["held"], scored)
            self._recipes |= {recipe["key"] for recipe in cell["recipes"]}
            self._found.add(("latency", cell.get("latency_key", "")))
        for composite in event.get("composites", ()):
            self._follow_composite(composite["key"])
            self._recipes |= {recipe["key"] for recipe in composite["recipes"]}

    def _follow_chain(self, state: str, scored: Sequence[str]) -> None:
        """Follow a state to what holds it and the states before it, with their scores."""
        key: str | None = state
        while key and (entry := self._entry("train", key)):
            held = entry.notes["states"][-1]  # an alias names the entry that holds it
            self._found.add(("train", held))
            self._found |= {("score", score_key(held, on)) for on in scored}
            key = entry.notes["parent"]

    def _follow_composite(self, key: str) -> None:
        self._found.add(("composite", key))
        if entry := self._entry("composite", key):
            for voice in entry.inputs["voices"]:
                for stages in voice.values():
                    self._found |= {(kind, inner) for kind, inner in stages}

    def _follow_rows(self) -> None:
        """Follow recipes to their shards; features also to the pixels that they are made of."""
        shards = [entry for entry in self.entries if entry.kind in _SHARDS]
        for entry in shards:
            if entry.notes.get("recipe") in self._recipes and "pixels" in entry.inputs:
                self._recipes.add(entry.inputs["pixels"])
        self._found |= {
            (entry.kind, entry.key)
            for entry in shards
            if entry.notes.get("recipe") in self._recipes
        }

    def _entry(self, kind: str, key: str) -> Entry | None:
        with contextlib.suppress(StoreError):
            return self.store.get(kind, key)
        return None
