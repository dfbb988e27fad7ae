"""Two plans, runs or days side by side: what changed, and whether it is more than noise."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import warehouse
from foodvision.errors import PlanError, WarehouseError
from foodvision.evaluate.comparing import Change, Pair, Verdict, compare_pairs
from foodvision.hashing import digest
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from foodvision.plan.naming import hint
from tasks.certainty import answer_values, label_without_seed, read_answers
from tasks.journal import read_journal
from tasks.plans import open_plan
from tasks.ranking import rank_cells
from warehouse import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foodvision.home import Home
    from foodvision.plan.schema import Plan

Row = Mapping[str, Any]

_RUN_ID = re.compile(r"[0-9a-f]{6,8}|[0-9a-f]{8}-[0-9a-f-]*")
NOT_RECORDED = "not recorded then"
_FEW = 5
_SHORT = 12
_CHANGED = re.compile(r"^diff --git a/.+ b/(.+)$", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?")


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        text: as it was asked for.
        plan: the plan.
        run: the run that it is, or that its results come from; `None`: its plan has not run.
        rows: what is known of each cell: `cell_id`, `config_id`, `label`, `axes_json`, `status`,
            `result_key`.
    """

    text: str
    plan: Plan
    run: reading.PlannedRun | None
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """Name it for people."""
        if self.run is None:
            return f"{self.plan.name}, which has not run"
        at = self.run.started_at.astimezone(UTC)
        return f"{self.plan.name}, run {self.run.run_id[:8]} of {at:%Y-%m-%d %H:%M} UTC"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        run = self.run
        return {
            "asked": self.text,
            "plan": self.plan.name,
            "run_id": run and run.run_id,
            "started_at": run and run.started_at.isoformat(),
            "status": run and run.status,
            "cells": len(self.rows),
        }


@dataclass(frozen=True)
class Setting:
    """A value that differs; `None`: it is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class DataChange:
    """A data set by name, before and after.

    Attributes:
        name: in the plans.
        change: `same` images, `changed` ones, `added` or `removed` the whole set, or `unknown`
            where a run's journal is gone.
        images_added: files that were not there before, by their bytes.
        images_removed: files that are no longer there.
        images_relabelled: files that are of another class, or of the other split.
    """

    name: str
    change: str
    images_added: int = 0
    images_removed: int = 0
    images_relabelled: int = 0


@dataclass(frozen=True)
class ResultChange:
    """One configuration (cells that differ in their seed alone) on both sides.

    Attributes:
        label: after; the label before stands behind it where it was another.
        change: of its test score; `None` where a side has no result, or no test image is common.
        is_same_recipe: nothing but data and environment can have changed it.
        seeds_before: results that count.
        seeds_after: results that count.
    """

    label: str
    change: Change | None
    is_same_recipe: bool
    seeds_before: int
    seeds_after: int


@dataclass(frozen=True)
class Comparison:
    """Everything that differs.

    Attributes:
        before: one side.
        after: the other.
        score: what results are compared by: accuracy or loss on the test images.
        plan: settings of the plans that differ.
        data: every data set of either.
        environment: versions, device and host that differ; empty also where one has not run.
        results: configurations that both have.
        only_before: labels of configurations that only the first has.
        only_after: labels of configurations that only the second has.
    """

    before: Side
    after: Side
    score: str
    plan: tuple[Setting, ...]
    data: tuple[DataChange, ...]
    environment: tuple[Setting, ...]
    results: tuple[ResultChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    @property
    def is_of_one_run(self) -> bool:
        """Say whether both sides are one run, with the same settings and the same results."""
        before, after = self.before, self.after
        return (
            before.run is not None
            and before.run == after.run
            and not self.plan
            and _found(before.rows) == _found(after.rows)
        )

    def count(self, verdict: Verdict) -> int:
        """Return how many configurations changed in that way."""
        found = [each.change.verdict for each in self.results if each.change is not None]
        return found.count(verdict)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        lists = ("plan", "data", "environment", "results")
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "score": self.score,
            **{name: [asdict(each) for each in getattr(self, name)] for name in lists},
            "only_before": list(self.only_before),
            "only_after": list(self.only_after),
        }


def compare(before: str, after: str | None, home: Home) -> Comparison:
    """Compare two sides; each is a plan (file or name), a run (its id or how it begins) or a day.

    A day means the last run that began before it ended, of the plan of the other side; where both
    are days, of the plan that ran last. One side alone: its last run is held against the latest one
    before it that has other settings or results.

    Raises:
        PlanError: a side is none of these, or a plan is bad.
        WarehouseError: nothing has run yet, or no run is meant.
    """
    try:
        finder = _Finder(home)
        sides = finder.last_two(before) if after is None else finder.sides(before, after)
        return _compare(*sides, home)
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


# -- the two sides ----------------------------------------------------------------------------


class _Finder:
    """Finds what the words for a side mean."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._runs = reading.runs_as_planned(home.warehouse)

    def sides(self, before: str, after: str) -> tuple[Side, Side]:
        """Return both; what is no day is found first, and says which plan's day is meant."""
        texts = (before, after)
        found = [None if _DATE.fullmatch(text) else self._side(text) for text in texts]
        names = [side.plan.name for side in found if side]
        plan = names[0] if names else next((run.plan_name for run in self._runs), None)
        first, second = (
            side or self._on_day(text, plan) for side, text in zip(found, texts, strict=True)
        )
        return first, second

    def last_two(self, text: str) -> tuple[Side, Side]:
        """Return the last run that a text means, behind the last one before it that differs."""
        side, _ = self.sides(text, text)
        is_run = side.run is not None and (
            _DATE.fullmatch(text) or side.run.run_id.startswith(text)
        )
        name = side.plan.name
        runs = [run for run in self._runs if run.plan_name == name]
        if is_run and side.run is not None:
            runs = runs[runs.index(side.run) :]
        sides = (self._of_run(text, run) for run in runs)
        found = (each for each in sides if any(row["result_key"] for row in each.rows))
        after = next(found, None)
        before = after and next((each for each in found if _differ(each, after)), None)
        if after is None or before is None:
            until = f" until {text}" if is_run else ""
            raise WarehouseError(
                f"one side alone is held against a run before it that differs, and {name} has "
                f"{_runs_in_words(runs)}{until}. Run it with other settings, or name the other "
                f"side; `foodvision runs {shlex.quote(name)}` lists its runs."
            )
        return before, after

    def _side(self, text: str) -> Side:
        if text.endswith((".yaml", ".yml")) or "/" in text or Path(text).is_file():
            return self._of_plan(text, open_plan(Path(text)))
        if _RUN_ID.fullmatch(text):
            meant = [run for run in self._runs if run.run_id.startswith(text)]
            if len(meant) == 1:
                return self._of_run(text, meant[0])
            if meant:
                raise PlanError(
                    f"a run is named by its id or by how only that one begins, found {text!r}, "
                    f"with which {len(meant)} begin. Give more of it."
                )
        named = [run for run in self._runs if run.plan_name == text]
        if named:
            return self._of_plan(text, _plan_of(named[0]))
        names = [run.plan_name for run in self._runs]
        raise PlanError(
            "compare takes a plan's file, the name of a plan that ran, the id of a run, or a day "
            f"(2026-03-01), found {text!r}, which is none of these{hint(text, names)}"
        )

    def _on_day(self, text: str, plan: str | None) -> Side:
        end = _end_of(text)
        for run in self._runs:
            if run.started_at <= end and run.plan_name == plan:
                return self._of_run(text, run)
        raise WarehouseError(
            f"a day means the last run until then, and {plan or 'no plan'} had not run by {text}. "
            "Choose a later day; `foodvision runs` lists the runs."
        )

    def _of_run(self, text: str, run: reading.PlannedRun) -> Side:
        rows = reading.results_of_run(self._home.warehouse, run.run_id)
        return Side(text, _plan_of(run), run, tuple(rows))

    def _of_plan(self, text: str, plan: Plan) -> Side:
        """Look the results of a plan up by its cells, whichever runs they come from."""
        rows = rank_cells(plan, expand(plan), self._home)
        own = {row["run_id"] for row in rows}
        latest = next((run for run in self._runs if run.run_id in own), None)
        rows.sort(key=lambda row: row["position"])
        return Side(text, plan, latest, tuple(rows))


def _found(rows: Sequence[Row]) -> set[tuple[Any, ...]]:
    """Return what rows say of their cells, to tell whether two sides found the same."""
    return {(row["cell_id"], row["status"], row["result_key"]) for row in rows}


def _differ(before: Side, after: Side) -> bool:
    return before.plan != after.plan or _found(before.rows) != _found(after.rows)


def _runs_in_words(runs: Sequence[reading.PlannedRun]) -> str:
    """Say of runs, of which no two differ, how many there are."""
    if not runs:
        return "not run yet"
    return "one run" if len(runs) == 1 else f"{len(runs)} runs that do not"


def _plan_of(run: reading.PlannedRun) -> Plan:
    folder = Path(run.source_path).parent if run.source_path else Path.cwd()
    return load_plan(json.loads(run.plan_json), folder=folder)


def _end_of(text: str) -> datetime:
    """Return the end of a day, or a moment; without a zone it is meant in UTC."""
    try:
        if "T" in text:
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        day = date.fromisoformat(text) + timedelta(days=1)
    except ValueError as error:
        raise PlanError(f"a day is written like 2026-03-01, found {text!r} ({error}).") from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# -- what differs -----------------------------------------------------------------------------


def _compare(before: Side, after: Side, home: Home) -> Comparison:
    by = after.plan.rank.by.value
    score = "loss" if by.endswith("loss") else "accuracy"
    pairs, only_before, only_after = _paired(before.rows, after.rows)
    return Comparison(
        before=before,
        after=after,
        score=score,
        plan=tuple(_settings(before.plan.to_json(), after.plan.to_json())),
        data=tuple(_data_changes(before, after, home)),
        environment=tuple(_environment(before.run, after.run)),
        results=tuple(_result_changes(pairs, score, home)),
        only_before=only_before,
        only_after=only_after,
    )


def _settings(before: Any, after: Any, path: str = "") -> Iterator[Setting]:
    """Yield what differs, mapping by mapping; lists are values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            inner = f"{path}.{name}" if path else str(name)
            yield from _settings(before.get(name), after.get(name), inner)
    elif before != after:
        yield Setting(path, before, after)


def _environment(
    before: reading.PlannedRun | None, after: reading.PlannedRun | None
) -> Iterator[Setting]:
    if before is None or after is None:
        return
    sides = []
    for run in (before, after):
        known = json.loads(run.environment_json or "{}")
        known.pop("pid", None)
        if known.get("git"):
            known["git"] = _repository(known["git"])
        sides.append(known | {"device": run.device})
    for name in dict.fromkeys((*sides[0], *sides[1])):
        if name == "git" and all(name in side for side in sides):
            if sides[0][name] != sides[1][name]:  # whole: a commit says little without its changes
                yield Setting(name, sides[0][name], sides[1][name])
        elif all(name in side for side in sides):
            yield from _settings(sides[0][name], sides[1][name], name)
        else:
            yield Setting(name, *(_recorded(side, name) for side in sides))


def _repository(git: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a repository: what differs from the commit by a digest, and its files."""
    diff = git["diff"] or ""
    return {
        "commit": git["commit"],
        "branch": git["branch"],
        "changes": digest(diff)[:_SHORT] if diff else None,
        "files": _CHANGED.findall(diff),
    }


def _recorded(environment: Mapping[str, Any], name: str) -> Any:
    """Return what a run recorded under a name in a few words; older ones recorded less."""
    if name not in environment:
        return NOT_RECORDED
    value = environment[name]
    is_long = isinstance(value, dict) and len(value) > _FEW
    return f"{len(value)} recorded" if is_long else value


def _data_changes(before: Side, after: Side, home: Home) -> Iterator[DataChange]:
    sides = [_dataset_keys(side, home) for side in (before, after)]
    keys = {key for side in sides for key in side.values() if key}
    images: dict[str, dict[str, tuple[str, str]]] = {key: {} for key in keys}
    for row in reading.images_of_datasets(home.warehouse, sorted(keys)):
        images[row["dataset_key"]][row["image_sha256"]] = (row["split"], row["class_name"])
    for name in dict.fromkeys((*sides[0], *sides[1])):
        is_there = [name in side for side in sides]
        yield _data_change(name, is_there, [side.get(name) for side in sides], images)


def _data_change(
    name: str,
    is_there: Sequence[bool],
    keys: Sequence[str | None],
    images: Mapping[str, Mapping[str, tuple[str, str]]],
) -> DataChange:
    if not all(is_there):
        return DataChange(name, "added" if is_there[1] else "removed")
    if keys[0] is None or keys[1] is None:
        return DataChange(name, "unknown")
    old, new = images[keys[0]], images[keys[1]]
    added, removed = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    relabelled = sum(old[image] != new[image] for image in old.keys() & new.keys())
    change = "changed" if added or removed or relabelled else "same"
    return DataChange(name, change, added, removed, relabelled)


def _dataset_keys(side: Side, home: Home) -> dict[str, str | None]:
    """Return the key of each data set of a side, as its run found it."""
    keys: dict[str, str | None] = {}
    if side.run is not None:
        for path in home.journals.glob(f"*-{side.run.run_id}.jsonl"):
            events = [event for event in read_journal(path) if event["event"] == "dataset"]
            keys |= {event["name"]: event["key"] for event in events}
    return keys or dict.fromkeys(side.plan.data)


# -- results ----------------------------------------------------------------------------------

_Pair = tuple[list[Row], list[Row]]


def _paired(
    before: Sequence[Row], after: Sequence[Row]
) -> tuple[list[_Pair], tuple[str, ...], tuple[str, ...]]:
    """Pair configurations by their recipe, and what is left by its label.

    Returns:
        The pairs, in the order of the second side, and the labels of what has no partner.
    """
    old, new = _configurations(before), _configurations(after)
    pairs = {key: (old.pop(key), new[key]) for key in new if key in old}
    by_label = {label_without_seed(rows): key for key, rows in old.items()}
    for key, rows in new.items():
        if key not in pairs and (partner := by_label.pop(label_without_seed(rows), None)):
            pairs[key] = (old.pop(partner), rows)
    return (
        [pairs[key] for key in new if key in pairs],
        tuple(label_without_seed(rows) for rows in old.values()),
        tuple(label_without_seed(rows) for key, rows in new.items() if key not in pairs),
    )


def _configurations(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["config_id"], []).append(row)
    return found


def _result_changes(pairs: Sequence[_Pair], score: str, home: Home) -> Iterator[ResultChange]:
    """Compare all pairs that have results at once; the others are told without a change."""
    scored = [tuple([row for row in side if _has_result(row)] for side in pair) for pair in pairs]
    keys = dict.fromkeys(row["result_key"] for pair in scored for side in pair for row in side)
    results = list(keys)
    values = answer_values(read_answers(results, home), results, score)
    place = {key: number for number, key in enumerate(results)}
    sides = []
    for number, pair in enumerate(scored):
        old, new = ([place[row["result_key"]] for row in side] for side in pair)
        found = Pair(values[old], values[new], is_same=sorted(old) == sorted(new))
        if old and new and found.common().any():
            sides.append((number, found))
    changes = _changes(sides, score, results)
    for number, (older, newer) in enumerate(pairs):
        before, after = label_without_seed(older), label_without_seed(newer)
        yield ResultChange(
            label=after if before == after else f"{after} (was {before})",
            change=changes.get(number),
            is_same_recipe=older[0]["config_id"] == newer[0]["config_id"],
            seeds_before=len(scored[number][0]),
            seeds_after=len(scored[number][1]),
        )


def _changes(
    sides: Sequence[tuple[int, Pair]], score: str, results: Sequence[str]
) -> dict[int, Change]:
    if not sides:
        return {}
    is_share = score == "accuracy"
    seed = int(digest(sorted(results))[:16], 16)
    found = compare_pairs(
        [pair for _, pair in sides], seed=seed, is_share=is_share, is_better_high=is_share
    )
    return {number: change for (number, _), change in zip(sides, found, strict=True)}


def _has_result(row: Row) -> bool:
    return row["status"] == "completed" and bool(row["result_key"])
