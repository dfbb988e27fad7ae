"""Axes, choices, patterns: what `grid`, `zip`, `exclude`, `include`, `when` and `seeds` mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.plan.augmentation import with_preset_spelled_out
from foodvision.plan.paths import (
    CellPath,
    get,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foodvision.plan.draws import Range
    from foodvision.plan.problems import PlanPath
    from foodvision.plan.schema import RandomSearch


@dataclass(frozen=True)
class Choice:
    """One value of an axis.

    Attributes:
        label: what tables, `exclude` and `when` call it.
        text: its part of a cell's label.
        value: merged into the cell at the axis' path.
        where: in the plan.
    """

    label: str
    text: str
    value: Any
    where: PlanPath


@dataclass(frozen=True)
class Layer:
    """A choice on its way into a cell; `axis` is the number of its axis, `None` for `include`."""

    path: CellPath
    choice: Choice
    axis: int | None = None

    @property
    def name(self) -> str:
        """Return the dotted path."""
        return ".".join(self.path)

    @property
    def rank(self) -> int:
        """Return when it is merged: a mapping and a `kind` before the settings inside."""
        return len(self.path) - (self.path[-1] == "kind")


@dataclass(frozen=True)
class Axis:
    """Choices that the grid runs over: of one path, or of several that move together.

    Attributes:
        points: for each step of the axis, one layer per path; of a range, its two ends.
        where: in the plan.
        range: that values are drawn from; `None`: `points` are all there are.
    """

    points: tuple[tuple[Layer, ...], ...]
    where: PlanPath
    range: Range | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the dotted paths."""
        return tuple(layer.name for layer in self.points[0])


@dataclass(frozen=True)
class Pattern:
    """A partial match of a cell: every path must have one of its values or labels."""

    wanted: tuple[tuple[CellPath, tuple[Any, ...]], ...]
    where: PlanPath

    def matches(self, labels: Mapping[str, str], cell: Mapping[str, Any]) -> bool:
        """Say whether a cell (settings in full) with these labels of its axes matches."""
        return all(
            any(_is_wanted(path, value, labels, cell) for value in values)
            for path, values in self.wanted
        )


@dataclass(frozen=True)
class Included:
    """A cell that `include` adds; `label` is `None` where its values are the label."""

    layers: tuple[Layer, ...]
    label: str | None
    where: PlanPath


@dataclass(frozen=True)
class Axes:
    """Everything that makes cells of a base; `search` is `None` where all combinations count."""

    axes: tuple[Axis, ...]
    exclude: tuple[Pattern, ...]
    include: tuple[Included, ...]
    when: tuple[tuple[str, Pattern], ...]
    seeds: int | tuple[int, ...] | None
    search: RandomSearch | None = None

    @property
    def combinations(self) -> int:
        """Return the number of combinations before `exclude`, seeds counted."""
        count = math.prod(len(axis.points) for axis in self.axes)
        if self.search:
            count = self.search.n
        repeats = self.seeds if isinstance(self.seeds, int) else len(self.seeds or (0,))
        return (count + len(self.include)) * repeats


def _is_wanted(
    path: CellPath, wanted: Any, labels: Mapping[str, str], cell: Mapping[str, Any]
) -> bool:
    if isinstance(wanted, str) and labels.get(".".join(path)) == wanted:
        return True
    return is_same(get(cell, path), as_value(path, wanted))


def is_same(found: Any, wanted: Any) -> bool:
    """Say whether a value is the wanted one; of a mapping, only what is wanted has to be there."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and is_same(found[key], value) for key, value in wanted.items()
        )
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def as_value(path: CellPath, value: Any) -> Any:
    """Return a value of the cell as it is merged.

    The name of a data set becomes its mapping, a preset of `augment` its steps.
    """
    if path in {("data",), ("test",)} and isinstance(value, str):
        return {"name": value}
    return with_preset_spelled_out(value) if path == ("augment",) else value


def scalar_choice(path: CellPath, value: Any, where: PlanPath) -> Choice:
    """Return the choice of a scalar, which is its own label."""
    label = scalar_text(value)
    return Choice(label, _choice_text(path, value, label), as_value(path, value), where)


def scalar_text(value: Any) -> str:
    """Return a scalar as a label."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _choice_text(path: CellPath, value: Any, label: str) -> str:
    if isinstance(value, str):
        return label
    if path == ("epochs",):
        return f"{label} epoch" if value == 1 else f"{label} epochs"
    return f"{path[-1]} {label}"


class NoPlaceError(Exception):
    """A path leads into a value that is not a mapping."""

    def __init__(self, path: CellPath, found: Any) -> None:
        super().__init__(path, found)
        self.path = path
        self.found = found


def merge(old: Any, new: Any) -> Any:
    """Merge a mapping into a mapping, deeply; anything else replaces.

    Where `new` changes a `kind` or names a data set, it replaces the whole mapping.
    """
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    if "name" in new or ("kind" in new and new["kind"] != old.get("kind")):
        return new
    return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}


def put(cell: dict[str, Any], path: CellPath, value: Any, above: CellPath = ()) -> dict[str, Any]:
    """Return a copy of `cell` with `value` merged in at `path`; `cell` stays as it is.

    Raises:
        NoPlaceError: the path leads into a value that is not a mapping.
    """
    head, rest = path[0], path[1:]
    old = cell.get(head)
    if not rest:
        if head == "kind" and old != value:
            return {"kind": value}
        return {**cell, head: merge(old, value)}
    if old is not None and not isinstance(old, dict):
        raise NoPlaceError((*above, head), old)
    return {**cell, head: put(old or {}, rest, value, (*above, head))}
