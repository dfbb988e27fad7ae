"""Warnings: what is allowed in a plan, but seldom meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foodvision.plan.expand import drafts, identified
from foodvision.plan.phases import phase_steps
from foodvision.plan.problems import PlanPath, Problem, path_text
from foodvision.plan.sections import read_axes
from foodvision.plan.training_schema import PlateauSchedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.plan.axes import Axes
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan

Images = Mapping[tuple[str, str], Collection[str]] | Callable[[str, str], Collection[str] | None]


@dataclass(frozen=True)
class LintWarning(Problem):
    """Something that is allowed, but seldom meant.

    Attributes:
        rule: `idle-axis`, `duplicate-cells`, `test-ranking`, `no-valid`, `test-members`,
            `test-watched`, `idle-stop`, `idle-alert`, `leak`, `idle-exclude` or `unused-data`.
    """

    rule: str = ""


def lint(plan: Plan, cells: Sequence[Cell], images: Images | None = None) -> list[LintWarning]:
    """Return the warnings about a plan, in the order of its lines.

    Args:
        plan: from `load_plan`.
        cells: from `expand`.
        images: sha256 of the images by (data set, `train` or `test`), as a mapping or a function;
            what is missing or `None` is not looked at (data that is not there yet).
    """
    axes = read_axes(plan.sections(), _cannot_happen)
    found = [
        *_idle_axes(plan, cells, axes),
        *_duplicates(plan, cells, axes),
        *_rankings(plan, cells),
        *_members(plan),
        *_watched(plan, cells),
        *_stops(plan, cells),
        *_idle_alerts(plan),
        *_idle_excludes(plan, axes),
        *_unused_data(plan, cells),
        *_leaks(plan, cells, images),
    ]
    return sorted(found, key=lambda w: (w.line is None, w.line or 0, w.column or 0))


def _cannot_happen(path: PlanPath, message: str, *, at_key: bool = False) -> None:  # noqa: ARG001
    raise AssertionError(f"a loaded plan has no problems: {path_text(path)}: {message}")


def _warning(plan: Plan, rule: str, path: PlanPath, message: str) -> LintWarning:
    place = plan.place(path)
    return LintWarning(place.file, place.line, place.column, path_text(path), message, rule)


def _idle(plan: Plan, cells: Sequence[Cell], axes: Axes) -> list[int]:
    """Return the axes whose values all make the same cell, whatever the others are."""
    if axes.search or not any(cell.aliases for cell in cells):
        return []
    made: list[dict[tuple[tuple[str, str], ...], set[str]]] = [{} for _ in axes.axes]
    for draft, _, identity in identified(plan, axes):
        for number, axis in enumerate(axes.axes):
            others = tuple(item for item in draft.labels.items() if item[0] not in axis.names)
            made[number].setdefault(others, set()).add(identity)
    return [
        number
        for number, axis in enumerate(axes.axes)
        if len(axis.points) > 1 and all(len(ids) == 1 for ids in made[number].values())
    ]


def _idle_axes(plan: Plan, cells: Sequence[Cell], axes: Axes) -> Iterator[LintWarning]:
    for number in _idle(plan, cells, axes):
        axis = axes.axes[number]
        message = (
            f"this axis changes nothing, its {len(axis.points)} values make the same cells: "
            "delete it, or look for another axis that overrides it"
        )
        yield _warning(plan, "idle-axis", axis.where, message)


def _duplicates(plan: Plan, cells: Sequence[Cell], axes: Axes) -> Iterator[LintWarning]:
    same = [cell for cell in cells if cell.aliases]
    if not same or _idle(plan, cells, axes):
        return
    more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
    message = (
        f"{same[0].aliases[0]!r} is the same cell as {same[0].label!r}{more}, it is trained once "
        "and listed once: make them different, or drop one"
    )
    yield _warning(plan, "duplicate-cells", ("grid",), message)


def _rankings(plan: Plan, cells: Sequence[Cell]) -> Iterator[LintWarning]:
    for name, key in (("by", plan.rank.by), ("then", plan.rank.then)):
        if key is not None and key.part == "test" and len(cells) > 1:
            wanted = key.value.replace("test", "valid")
            message = (
                f"chooses the best of {len(cells)} cells by the test set ({key.value}), whose "
                f"score then flatters the winner: write valid: 0.2 in base and rank by {wanted}"
            )
            yield _warning(plan, "test-ranking", ("rank", name), message)
            break
    for name, key in (("by", plan.rank.by), ("then", plan.rank.then)):
        without = [cell for cell in cells if cell.settings.valid == 0]
        if key is not None and key.part == "valid" and without:
            message = (
                f"ranks by {key.value}, and {len(without)} of {len(cells)} cells set nothing "
                "aside (valid is 0): write valid: 0.2 in base"
            )
            yield _warning(plan, "no-valid", ("rank", name), message)
            break


def _members(plan: Plan) -> Iterator[LintWarning]:
    for name, ensemble in plan.ensembles.items():
        members = ensemble.members
        if members.top is not None and members.by.startswith("test."):
            message = (
                f"chooses its members by the test set ({members.by}), whose score then flatters "
                f"it: write by: {members.by.replace('test', 'valid')}, with valid: 0.2 in base"
            )
            yield _warning(plan, "test-members", ("ensembles", name, "members", "by"), message)


def _watched(plan: Plan, cells: Sequence[Cell]) -> Iterator[LintWarning]:
    settings = [step.settings for cell in cells for step in phase_steps(cell.settings)]
    metrics = {
        "stop": [one.stop.metric for one in settings if one.stop is not None],
        "schedule": [
            one.schedule.metric for one in settings if isinstance(one.schedule, PlateauSchedule)
        ],
    }
    words = {"stop": "stop rules choose the epoch", "schedule": "schedules move the learning rate"}
    for section, found in metrics.items():
        by_test = [metric for metric in found if metric.startswith("test.")]
        if by_test:
            message = (
                f"{len(by_test)} of {len(found)} {words[section]} by the test set ({by_test[0]}), "
                "whose score then flatters the result: write valid: 0.2 in base and metric: "
                f"{by_test[0].replace('test', 'valid')}"
            )
            yield _warning(plan, "test-watched", ("base", section), message)
    for place, rule in enumerate(plan.alerts):
        metric = rule.condition.metric
        if rule.stop and metric.startswith("test."):
            message = (
                f"ends trainings by the test set ({rule.when}), whose score then flatters the "
                f"result: write valid: 0.2 in base and {rule.when.replace('test', 'valid', 1)}"
            )
            yield _warning(plan, "test-watched", ("alerts", place, "when"), message)


def _stops(plan: Plan, cells: Sequence[Cell]) -> Iterator[LintWarning]:
    watched = [
        (step.settings.stop, step.settings.epochs)
        for cell in cells
        for step in phase_steps(cell.settings)
        if step.settings.stop is not None
    ]
    idle = [(rule.patience, epochs) for rule, epochs in watched if rule.patience >= epochs]
    if idle:
        message = (
            f"{len(idle)} of {len(watched)} stop rules can end nothing: patience ({idle[0][0]}) is "
            f"not less than the epochs ({idle[0][1]}) that they watch: train longer, or have less "
            "patience"
        )
        yield _warning(plan, "idle-stop", ("base", "stop"), message)


def _idle_alerts(plan: Plan) -> Iterator[LintWarning]:
    for place, rule in enumerate(plan.alerts):
        if foregone := rule.condition.foregone:
            message = f"{foregone} holds, whatever {rule.condition.metric} is: correct the bound"
            yield _warning(plan, "idle-alert", ("alerts", place, "when"), message)


def _idle_excludes(plan: Plan, axes: Axes) -> Iterator[LintWarning]:
    if axes.search or not axes.exclude:
        return
    open_axes = dataclasses.replace(axes, exclude=(), include=(), when=(), seeds=None)
    waiting = list(axes.exclude)
    for draft in drafts(plan.base.model_dump(mode="json"), open_axes):
        waiting = [p for p in waiting if not p.matches(draft.labels, draft.settings)]
        if not waiting:
            return
    for pattern in waiting:
        message = "matches no combination, so it removes nothing: correct or delete it"
        yield _warning(plan, "idle-exclude", pattern.where, message)


def _unused_data(plan: Plan, cells: Sequence[Cell]) -> Iterator[LintWarning]:
    used = {choice.name for c in cells for choice in (c.settings.data, c.settings.test)}
    for name in plan.data:
        # A data set of the same source may stand for another: cells are recipes, not names.
        if name not in used and not any(plan.data[name] == plan.data[one] for one in used):
            message = f"no cell uses the data set {name!r}: use it or delete it"
            yield _warning(plan, "unused-data", ("data", name), message)


def _leaks(plan: Plan, cells: Sequence[Cell], images: Images | None) -> Iterator[LintWarning]:
    if images is None:
        return
    pairs = dict.fromkeys((cell.settings.data.name, cell.settings.test.name) for cell in cells)
    for data, test in pairs:
        trained, scored = _digests(images, data, "train"), _digests(images, test, "test")
        if shared := trained & scored:
            message = (
                f"{len(shared)} of the {len(scored)} test images of {test!r} are also training "
                f"images of {data!r}, so the score flatters: test on images that {data!r} does "
                "not train on"
            )
            yield _warning(plan, "leak", ("data", data), message)


def _digests(images: Images, name: str, part: str) -> frozenset[str]:
    found = images(name, part) if callable(images) else images.get((name, part))
    return frozenset(found or ())
