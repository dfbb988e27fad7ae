"""What the sections of a plan say: `grid`, `zip`, `exclude`, `include`, `when`, `seeds`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from foodvision.plan.axes import (
    Axes,
    Axis,
    Choice,
    Included,
    Layer,
    Pattern,
    as_value,
    is_same,
    scalar_choice,
    scalar_text,
)
from foodvision.plan.draws import (
    CHOICE,
    is_choice,
    is_range,
    misspelled_range,
    read_range,
)
from foodvision.plan.messages import show, suggestion
from foodvision.plan.names import name_problem
from foodvision.plan.paths import CellPath, all_paths, cell_tree, exists, get
from foodvision.plan.schema import RandomSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.problems import PlanPath

_DATA_PATHS = ("data", "test")
_DATA_KEYS = {"name", "fraction", "count"}


class Report(Protocol):
    """Takes a problem."""

    def __call__(self, path: PlanPath, message: str, *, at_key: bool = False) -> None:
        """Keep that `message` is wrong at `path` of the plan."""


def read_axes(plan: Mapping[str, Any], report: Report) -> Axes:
    """Read what the sections of a plan say, reporting every broken rule.

    Args:
        plan: plain values; a section whose shape is wrong is left out (the schema reports it).
        report: called with each problem; the axis concerned is left out.
    """
    search = plan.get("search")
    is_random = search not in (None, "grid")
    axes = _AxisReader(report, is_random=is_random).read(plan)
    if isinstance(search, RandomSearch) and not (plan.get("grid") or plan.get("zip")):
        report(("search",), "needs axes to draw from, found none: add grid", at_key=True)
    patterns = _PatternReader(axes, plan.get("base"), report)
    seeds = plan.get("seeds")
    if seeds is not None and any("seed" in axis.names for axis in axes):
        report(("seeds",), "seed is an axis already: keep the axis or seeds", at_key=True)
    return Axes(
        axes=axes,
        exclude=tuple(
            patterns.read(item, ("exclude", index))
            for index, item in enumerate(_list(plan.get("exclude")))
            if isinstance(item, dict)
        ),
        include=tuple(_read_includes(_list(plan.get("include")), axes, report)),
        when=tuple(_read_when(plan, patterns, report)),
        seeds=tuple(seeds) if isinstance(seeds, list) else seeds,
        search=search if isinstance(search, RandomSearch) else None,
    )


def read_pattern(
    raw: Mapping[str, Any], where: PlanPath, plan: Mapping[str, Any], axes: Axes, report: Report
) -> Pattern | None:
    """Read a partial match of cells, as in `exclude`; `None` for an empty one, which matches all.

    Args:
        raw: values by dotted path.
        where: in the plan.
        plan: plain values.
        axes: of the plan.
        report: called with each problem; the path concerned is left out.
    """
    if not raw:
        return None
    return _PatternReader(axes.axes, plan.get("base"), report).read(dict(raw), where)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def read_path(name: str, where: PlanPath, report: Report) -> CellPath | None:
    """Read a dotted path into the cell; `None` where no cell has it, which is reported."""
    path = tuple(name.split("."))
    if exists(path):
        return path
    message = f"no cell has such a setting{suggestion(name, all_paths())}"
    report(where, message, at_key=True)
    return None


class _AxisReader:
    def __init__(self, report: Report, *, is_random: bool) -> None:
        self._report = report
        self._is_random = is_random
        self._seen: dict[str, PlanPath] = {}

    def read(self, plan: Mapping[str, Any]) -> tuple[Axis, ...]:
        axes: list[Axis] = []
        for section in plan:
            if section == "grid":
                axes += self._grid(_mapping(plan["grid"]), len(axes))
            elif section == "zip":
                for index, group in enumerate(_list(plan["zip"])):
                    if isinstance(group, dict) and (axis := self._group(group, index, len(axes))):
                        axes.append(axis)
        return tuple(axes)

    def _grid(self, grid: dict[str, Any], number: int) -> list[Axis]:
        axes: list[Axis] = []
        for name, raw in grid.items():
            where = ("grid", name)
            path = self._claim(name, where)
            if path is None:
                continue
            place = number + len(axes)
            if is_range(raw):
                axes += self._range(path, raw, where, place)
            elif choices := self._choices(path, raw, where):
                axes.append(Axis(tuple((Layer(path, c, place),) for c in choices), where))
        return axes

    def _range(
        self, path: CellPath, raw: dict[str, Any], where: PlanPath, number: int
    ) -> list[Axis]:
        if not self._is_random:
            message = (
                "a range is drawn from: write search: {kind: random, n: 20} at the top, "
                "or a list of values here"
            )
            self._report(where, message)
            return []
        found = read_range(raw, where, self._report)
        if found is None:
            return []
        ends = [
            scalar_choice(path, end, (*where, found.kind, index))
            for index, end in enumerate((found.low, found.high))
        ]
        return [Axis(tuple((Layer(path, end, number),) for end in ends), where, found)]

    def _group(self, group: dict[str, Any], index: int, number: int) -> Axis | None:
        where: PlanPath = ("zip", index)
        if not group:
            self._report(where, "must have at least one axis, got none: add axes or delete it")
        columns = {name: self._column(name, raw, (*where, name)) for name, raw in group.items()}
        lists = [choices for choices in columns.values() if choices is not None]
        if not lists or len(lists) < len(columns):
            return None
        if len({len(choices) for choices in lists}) > 1:
            found = ", ".join(f"{name} {len(c or ())}" for name, c in columns.items())
            self._report(where, f"must have axes of equal lengths, got {found}: make them equal")
            return None
        points = tuple(
            tuple(
                Layer(tuple(name.split(".")), choices[step], number)
                for name, choices in zip(columns, lists, strict=True)
            )
            for step in range(len(lists[0]))
        )
        labels = [tuple(layer.choice.label for layer in point) for point in points]
        self._refuse_repeated([(" · ".join(label), where) for label in labels])
        return Axis(points, where)

    def _claim(self, name: str, where: PlanPath) -> CellPath | None:
        path = read_path(name, where, self._report)
        if path is None:
            return None
        if name in self._seen:
            first = ".".join(str(part) for part in self._seen[name])
            self._report(where, f"is an axis already (in {first}): keep one", at_key=True)
            return None
        self._seen[name] = where
        return path

    def _column(self, name: str, raw: Any, where: PlanPath) -> list[Choice] | None:
        path = self._claim(name, where)
        if path is None:
            return None
        if is_range(raw):
            message = "a range has no steps to move with other axes: move it to grid"
            self._report(where, message)
            return None
        return self._choices(path, raw, where, is_zipped=True)

    def _choices(
        self, path: CellPath, raw: Any, where: PlanPath, *, is_zipped: bool = False
    ) -> list[Choice] | None:
        if is_choice(raw):
            raw, where = raw[CHOICE], (*where, CHOICE)
        if kind := misspelled_range(raw):
            self._report(where, f"is no range that is known; did you mean {kind!r}?")
            return None
        if not isinstance(raw, list | dict):
            rule = "must be a list of values or a mapping of labelled choices"
            self._report(where, f"{rule}, got {show(raw)}: write [{_plain(raw)}]")
            return None
        if not raw:
            self._report(where, "must have at least one value, got none: add values or delete it")
            return None
        read = self._items(path, raw, where)
        choices = [choice for choice in read if choice is not None]
        if not is_zipped:
            self._refuse_repeated([(choice.label, choice.where) for choice in choices])
        return choices if len(choices) == len(read) else None

    def _items(
        self, path: CellPath, raw: list[Any] | dict[str, Any], where: PlanPath
    ) -> list[Choice | None]:
        if isinstance(raw, dict):
            return [
                read_labelled(path, label, value, (*where, label), self._report)
                for label, value in raw.items()
            ]
        return [
            read_item(path, item, (*where, index), self._report) for index, item in enumerate(raw)
        ]

    def _refuse_repeated(self, labels: Sequence[tuple[str, PlanPath]]) -> None:
        seen: set[str] = set()
        for label, where in labels:
            if label in seen:
                self._report(
                    where, f"label {label!r} is used twice: give each its own, or drop one"
                )
            seen.add(label)


def _plain(value: Any) -> str:
    return "…" if value is None else str(value)


def read_item(path: CellPath, item: Any, where: PlanPath, report: Report) -> Choice | None:
    """Read an item of a list: a scalar, a part of a data set, or a mapping with one key.

    Returns:
        `None` where it is neither, which is reported.
    """
    if isinstance(item, dict):
        if is_range(item):
            ((kind, _),) = item.items()
            message = f"a range is a whole axis, not one of its values: write {{{kind}: [a, b]}}"
            report(where, message)
            return None
        if path[0] in _DATA_PATHS and len(path) == 1 and item and set(item) <= _DATA_KEYS:
            return _data_choice(path, item, where)
        if len(item) == 1:
            ((label, value),) = item.items()
            return read_labelled(path, label, value, (*where, label), report)
    if isinstance(item, dict | list):
        rule = "must be a scalar or a mapping with one key, the label"
        report(where, f"{rule}, got {show(item)}: write LABEL: {show(item)}")
        return None
    if isinstance(item, str) and (problem := name_problem(item)):
        report(where, f"as its own label it {problem}; or label it: {{LABEL: {item!r}}}")
    return scalar_choice(path, item, where)


def read_labelled(
    path: CellPath, label: str, value: Any, where: PlanPath, report: Report
) -> Choice | None:
    """Read a labelled choice; `None` where the label is none, which is reported."""
    tree = cell_tree()
    for part in path:
        tree = tree[part]
    if label in tree:
        message = f"{label!r} is a setting of {'.'.join(path)}, not a label: "
        name = ".".join((*path, label))
        report(where, f"{message}write the axis {name}, or a label above it", at_key=True)
        return None
    if problem := name_problem(label):
        report(where, f"the label {problem}", at_key=True)
    return Choice(label, label, as_value(path, value), where)


def _data_choice(path: CellPath, item: dict[str, Any], where: PlanPath) -> Choice:
    parts = [str(item["name"])] if "name" in item else []
    fraction, count = item.get("fraction"), item.get("count")
    if isinstance(fraction, int | float):
        parts.append(f"{100 * fraction:.6g} %")
    if count is not None:
        parts.append(f"{scalar_text(count)} images")
    label = " ".join(parts) or path[-1]
    return Choice(label, label, item, where)


def seed_layer(seed: int, where: PlanPath) -> Layer:
    """Return the layer that `seeds` adds."""
    return Layer(("seed",), Choice(str(seed), f"seed {seed}", seed, where))


class _PatternReader:
    def __init__(self, axes: Sequence[Axis], base: Any, report: Report) -> None:
        self._base = base
        self._report = report
        self._choices = {
            layer.name: [point[index].choice for point in axis.points]
            for axis in axes
            for index, layer in enumerate(axis.points[0])
        }

    def read(self, raw: dict[str, Any], where: PlanPath) -> Pattern:
        if not raw:
            message = "must name at least one setting, got none: add one or delete it"
            self._report(where, message)
        wanted = []
        for name, value in raw.items():
            here = (*where, name)
            path = read_path(name, here, self._report)
            if path is None:
                continue
            values = tuple(value) if isinstance(value, list) else (value,)
            if not values:
                self._report(here, "must have at least one value, got none: add one")
            for index, one in enumerate(values):
                at = (*here, index) if isinstance(value, list) else here
                self._check_value(name, path, one, at)
            wanted.append((path, values))
        return Pattern(tuple(wanted), where)

    def _check_value(self, name: str, path: CellPath, value: Any, where: PlanPath) -> None:
        """Refuse a text that no choice of its axis could be."""
        choices = self._choices.get(name)
        if choices is None or not isinstance(value, str):
            return
        labels = [choice.label for choice in choices]
        found = [choice.value for choice in choices] + [as_value(path, get(self._base, path))]
        if value not in labels and not any(is_same(one, as_value(path, value)) for one in found):
            message = f"axis {name} has no choice {value!r}{suggestion(value, labels)}"
            self._report(where, message)


def _read_when(
    plan: Mapping[str, Any], patterns: _PatternReader, report: Report
) -> list[tuple[str, Pattern]]:
    groups = [_mapping(plan.get("grid")), *map(_mapping, _list(plan.get("zip")))]
    names = [name for group in groups for name in group]
    found = []
    for name, condition in _mapping(plan.get("when")).items():
        where = ("when", name)
        if name not in names:
            hint = suggestion(name, names) or "; the plan has no axis"
            report(where, f"must name an axis of grid or zip, got {name!r}{hint}", at_key=True)
        elif isinstance(condition, dict):
            found.append((name, patterns.read(condition, where)))
    return found


def _read_includes(raw: list[Any], axes: Sequence[Axis], report: Report) -> list[Included]:
    return [
        _read_include(item, axes, ("include", index), report)
        for index, item in enumerate(raw)
        if isinstance(item, dict)
    ]


def _read_include(
    item: dict[str, Any], axes: Sequence[Axis], where: PlanPath, report: Report
) -> Included:
    label = None
    if len(item) == 1:
        ((key, value),) = item.items()
        if isinstance(value, dict) and not exists(tuple(key.split("."))):
            label, item, where = key, value, (*where, key)
            if problem := name_problem(label):
                report(where, f"the label {problem}", at_key=True)
    if not item:
        report(where, "must set at least one setting, got none: add one or delete it")
    layers = []
    for name, value in item.items():
        here = (*where, name)
        if path := read_path(name, here, report):
            choice = _included_choice(path, value, axes, label, here, report)
            layers += [] if choice is None else [Layer(path, choice)]
    return Included(tuple(layers), label, where)


def _included_choice(
    path: CellPath,
    value: Any,
    axes: Sequence[Axis],
    label: str | None,
    where: PlanPath,
    report: Report,
) -> Choice | None:
    """Return the choice of an axis with this label, else the value itself."""
    name = ".".join(path)
    for axis in axes:
        for point in axis.points:
            for layer in point:
                if layer.name == name and layer.choice.label == value:
                    return layer.choice
    if label is not None and isinstance(value, dict | list):
        return Choice(label, label, value, where)
    return read_item(path, value, where, report)
