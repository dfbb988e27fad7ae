"""From a plan to its cells: pure, every combination once, in the order of the file."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.errors import PlanError
from foodvision.hashing import canonical_json, digest
from foodvision.plan.alerts import stopping_bounds
from foodvision.plan.axes import Axes, Layer, NoPlaceError, put
from foodvision.plan.cell_schema import CellSettings
from foodvision.plan.draws import draw
from foodvision.plan.paths import with_defaults
from foodvision.plan.phases import phase_steps
from foodvision.plan.problems import path_text
from foodvision.plan.sections import read_axes, seed_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from foodvision.plan.alerts import Condition
    from foodvision.plan.problems import PlanPath
    from foodvision.plan.schema import Plan, RandomSearch

CELL_ID_LENGTH = 16
# Draws of a random search for each cell that is wanted. Each of as many combinations has turned up
# by then, but for one chance in e^100; so where cells are lacking, there are no more.
DRAWS_PER_CELL = 100
# Settings that came when results were kept already: at their default they leave old ids alone.
_LATER_SETTINGS = ("augment", "mix", "accumulate")
SEPARATOR = " · "
_BASE_LABEL = "base"


@dataclass(frozen=True)
class Cell:
    """One point of the grid.

    Attributes:
        plan: the plan's name.
        cell_id: 16 hex digits of the digest of the recipe; see `cell_id`.
        label: the values of its axes, in the order of the file.
        axes: label of the choice by dotted path; an axis that `when` dropped is not there.
        settings: fully resolved.
        position: in the plan, from 0.
        aliases: other labels of the same recipe.
        bounds: what ends its training, because an alert of the plan says so.
    """

    plan: str
    cell_id: str
    label: str
    axes: Mapping[str, str]
    settings: CellSettings
    position: int
    aliases: tuple[str, ...] = ()
    bounds: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A cell before it is checked.

    Attributes:
        layers: what is merged over the base, in the order of the file.
        settings: unchecked, with defaults.
        label: of an included cell that has its own.
        conflict: a layer whose path leads into a value that is not a mapping; it is left out.
        phase: where the settings are those of one phase: what it sets itself.
    """

    layers: tuple[Layer, ...]
    settings: dict[str, Any]
    label: str | None
    conflict: tuple[Layer, NoPlaceError] | None
    phase: tuple[Layer, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """Return the label of each path's choice."""
        return {layer.name: layer.choice.label for layer in self.layers}


def cell_id(
    settings: CellSettings, data: Mapping[str, Any], bounds: Sequence[Condition] = ()
) -> str:
    """Return the identity of a recipe: 16 hex digits.

    Names of data sets do not count: what they stand for does. A setting that the language did not
    always have does not count where it is as if it were not there.

    Args:
        settings: the cell's.
        data: the settings of each data set (JSON values), by name.
        bounds: what ends its training.
    """
    first, *later = phase_steps(settings)
    recipe = _recipe(first.settings, data)
    if later:  # one phase alone is a cell like any other
        recipe["later_phases"] = [
            {**_recipe(step.settings, data), "optimizer_state": step.start} for step in later
        ]
    if bounds:
        recipe["bounds"] = sorted(bound.name for bound in bounds)
    return digest(recipe)[:CELL_ID_LENGTH]


def _recipe(settings: CellSettings, data: Mapping[str, Any]) -> dict[str, Any]:
    recipe = settings.model_dump(mode="json", exclude_none=True)
    for name in _LATER_SETTINGS:
        if recipe[name] == CellSettings.model_fields[name].default:
            del recipe[name]
    for part in ("data", "test"):
        choice = recipe[part]
        choice["name"] = data[choice["name"]]
    return recipe


def expand(plan: Plan) -> list[Cell]:
    """Return the cells of a plan: product or draws, `exclude`, `include`, `when`, `seeds`.

    Two combinations with the same recipe are one cell; the first gives the label, the others are
    its `aliases`.

    Raises:
        PlanError: the plan was not made by `load_plan` and breaks its rules.
    """
    axes = read_axes(plan.sections(), _refuse)
    first: dict[str, tuple[Draft, CellSettings, str]] = {}
    aliases: dict[str, list[str]] = {}
    has_axes = bool(axes.axes or axes.include or axes.seeds)
    for draft, settings, identity in identified(plan, axes):
        label = _label(draft, plan.name, has_axes=has_axes)
        if identity not in first:
            first[identity] = (draft, settings, label)
        elif label != first[identity][2] and label not in aliases.get(identity, ()):
            aliases.setdefault(identity, []).append(label)
    return [
        Cell(
            plan=plan.name,
            cell_id=key,
            label=label,
            axes=draft.labels,
            settings=settings,
            position=place,
            aliases=tuple(aliases.get(key, ())),
            bounds=stopping_bounds(plan.alerts, settings),
        )
        for place, (key, (draft, settings, label)) in enumerate(first.items())
    ]


def identified(plan: Plan, axes: Axes) -> Iterator[tuple[Draft, CellSettings, str]]:
    """Yield every cell of a plan, repetitions included, checked and with its `cell_id`.

    Raises:
        PlanError: a cell breaks a rule.
    """
    sources = {
        name: source.model_dump(mode="json", exclude_none=True)
        for name, source in plan.data.items()
    }
    for draft in drafts(plan.base.model_dump(mode="json"), axes):
        settings = _checked(draft, sources)
        yield draft, settings, cell_id(settings, sources, stopping_bounds(plan.alerts, settings))


def _refuse(path: PlanPath, message: str, *, at_key: bool = False) -> None:  # noqa: ARG001
    raise PlanError(f"{path_text(path)}: {message}")


def _checked(draft: Draft, sources: Mapping[str, Any]) -> CellSettings:
    try:
        settings = CellSettings.model_validate(draft.settings)
    except ValueError as error:
        message = f"a cell must obey the plan's rules, {draft.labels} does not: use load_plan"
        raise PlanError(f"{message} ({error})") from error
    for choice in (settings.data, settings.test):
        if choice.name not in sources:
            raise PlanError(f"data must have the data set {choice.name!r}, it does not: add it")
    return settings


def _label(draft: Draft, plan_name: str, *, has_axes: bool) -> str:
    if not has_axes:
        return plan_name
    # Axes that move together often say the same twice: data a, test a.
    texts = dict.fromkeys(
        (number if layer.axis is None else f"axis {layer.axis}", layer.choice.text)
        for number, layer in enumerate(draft.layers)
        if draft.label is None or layer.choice.where[0] == "seeds"
    )
    own = [] if draft.label is None else [draft.label]
    return SEPARATOR.join([*own, *(text for _, text in texts)]) or _BASE_LABEL


def drafts(base: dict[str, Any], axes: Axes, *, is_sparse: bool = False) -> Iterator[Draft]:
    """Yield every cell before it is checked, in the order of the file, repetitions included.

    Args:
        base: the base cell, plain values.
        axes: what the plan says about it.
        is_sparse: only so many combinations that every choice of every axis occurs, and both ends
            of every range.
    """
    chosen = _chosen(base, axes, _combinations(axes, is_sparse=is_sparse))
    if axes.search and not is_sparse:
        chosen = _different(_chosen(base, axes, _draws(axes, axes.search)), axes.search.n)
    for draft in chosen:
        yield from _repeated(base, draft, axes, is_sparse)
    for included in axes.include:
        draft = _merged(base, included.layers, included.label)
        yield from _repeated(base, _without_unmet(base, draft, axes), axes, is_sparse)


def _chosen(
    base: dict[str, Any], axes: Axes, combinations: Iterable[tuple[Layer, ...]]
) -> Iterator[Draft]:
    """Yield the cells of combinations that are not excluded, without axes that do not count."""
    for layers in combinations:
        draft = _merged(base, layers, None)
        if not any(pattern.matches(draft.labels, draft.settings) for pattern in axes.exclude):
            yield _without_unmet(base, draft, axes)


def _draws(axes: Axes, search: RandomSearch) -> Iterator[tuple[Layer, ...]]:
    """Yield combinations drawn at random: more than are asked for, since some will be equal."""
    for number in range(DRAWS_PER_CELL * search.n):
        points = [draw(axis, search.seed, number) for axis in axes.axes]
        yield tuple(itertools.chain.from_iterable(points))


def _different(found: Iterable[Draft], most: int) -> Iterator[Draft]:
    """Yield the first so many cells whose settings differ."""
    seen: set[str] = set()
    for draft in found:
        identity = canonical_json(draft.settings)
        if identity not in seen:
            seen.add(identity)
            yield draft
        if len(seen) == most:
            return


def _combinations(axes: Axes, *, is_sparse: bool) -> Iterator[tuple[Layer, ...]]:
    points = [axis.points for axis in axes.axes]
    if not is_sparse:
        for combination in itertools.product(*points):
            yield tuple(itertools.chain.from_iterable(combination))
        return
    start = [steps[0] for steps in points]
    yield tuple(itertools.chain.from_iterable(start))
    for index, steps in enumerate(points):
        for step in steps[1:]:
            changed = [*start[:index], step, *start[index + 1 :]]
            yield tuple(itertools.chain.from_iterable(changed))


def _merged(base: dict[str, Any], layers: tuple[Layer, ...], label: str | None) -> Draft:
    """Merge layers over the base: mappings first, then the settings inside them."""
    cell, conflict = base, None
    for layer in sorted(layers, key=lambda layer: layer.rank):
        try:
            cell = put(cell, layer.path, layer.choice.value)
        except NoPlaceError as error:
            conflict = (layer, error)
    return Draft(layers, with_defaults(cell), label, conflict)


def _without_unmet(base: dict[str, Any], draft: Draft, axes: Axes) -> Draft:
    """Drop, one `when` after the other, the axes whose condition does not hold."""
    for name, condition in axes.when:
        dropped = [layer for layer in draft.layers if layer.name == name]
        if not dropped or condition.matches(draft.labels, draft.settings):
            continue
        numbers = {layer.axis for layer in dropped} - {None}
        kept = tuple(
            layer for layer in draft.layers if layer not in dropped and layer.axis not in numbers
        )
        draft = _merged(base, kept, draft.label)
    return draft


def _repeated(base: dict[str, Any], draft: Draft, axes: Axes, is_sparse: bool) -> Iterator[Draft]:
    if axes.seeds is None:
        yield draft
        return
    first = draft.settings.get("seed")
    if isinstance(axes.seeds, int):
        start = first if isinstance(first, int) else 0
        seeds: list[tuple[int, PlanPath]] = [
            (start + step, ("seeds",)) for step in range(1 if is_sparse else axes.seeds)
        ]
    else:
        seeds = [(seed, ("seeds", index)) for index, seed in enumerate(axes.seeds)]
    for seed, where in seeds:
        yield _merged(base, (*draft.layers, seed_layer(seed, where)), draft.label)
