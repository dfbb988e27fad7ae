"""Every setting of a cell, changed alone: read off the schema, so that none can be forgotten."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from foodvision.plan.cell_schema import CellSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]
Place = tuple[str | int, ...]

NUMBERS = (0.5, 0.25, 0.75, 0.9, 0.01, 1, 2, 3, 4, 5, 6, 8, 12, 32, 33, 1000)
ABSENT = object()
Value = TypeVar("Value")


@dataclass(frozen=True)
class Change:
    """One setting that is changed, and nothing else.

    Attributes:
        path: dotted; the kind of a choice is a part of it: `optimizer.sgd.momentum`.
        before: a cell.
        after: the same cell with another value there, in an order to be tried: a rule across
            settings may refuse some of them. Empty where no value could be made up.
    """

    path: str
    before: Json
    after: tuple[Json, ...]


def every_change(
    cell: Json,
    *,
    examples: Mapping[str, Sequence[Any]],
    contexts: Mapping[str, Mapping[str, Any]],
) -> Iterator[Change]:
    """Change every setting that a cell can have, also those of the kinds that it does not choose.

    Args:
        cell: a valid one, written as in a plan.
        examples: values of settings that no schema can make up (names, files), by path; the first
            pattern (`schedule.*.warmup`) that fits says them.
        contexts: settings that must be there for another one to be given at all, likewise (the
            value `ABSENT` takes one away).
    """
    return _Walk(examples, contexts).mapping(CellSettings.model_json_schema(), cell, (), ())


class _Walk:
    def __init__(
        self,
        examples: Mapping[str, Sequence[Any]],
        contexts: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._examples = examples
        self._contexts = contexts
        self._definitions: Json = CellSettings.model_json_schema().get("$defs", {})

    def mapping(
        self, node: Json, cell: Json, place: Place, label: tuple[str, ...]
    ) -> Iterator[Change]:
        for name, below in node["properties"].items():
            if name != "kind":
                yield from self._setting(below, cell, (*place, name), (*label, name))

    def _setting(
        self, node: Json, cell: Json, place: Place, label: tuple[str, ...]
    ) -> Iterator[Change]:
        path = ".".join(label)
        cell = _resolved_cell(_with(cell, _fitting(self._contexts, path) or {}))
        variants = [v for variant in _variants(node) for v in _variants(self._resolved(variant))]
        mappings = [variant for variant in map(self._resolved, variants) if _is_mapping(variant)]
        lists = [variant for variant in variants if self._items(variant)]
        plain = [variant for variant in variants if variant not in lists]
        values = self._plain_values(
            path if plain and not mappings else "", [self._resolved(variant) for variant in plain]
        )
        change = _change(path, cell, place, values)
        if change.after or not (values or mappings or lists):
            yield change
        for variant in mappings:
            yield from self._choice(variant, cell, place, label)
        for variant in lists:
            for item in self._items(variant):
                yield from self._choice(item, cell, place, label, in_list=True)

    def _choice(
        self,
        variant: Json,
        cell: Json,
        place: Place,
        label: tuple[str, ...],
        *,
        in_list: bool = False,
    ) -> Iterator[Change]:
        """Choose one kind of mapping, then change what is inside it."""
        kind = variant["properties"].get("kind", {}).get("const")
        label = (*label, kind) if kind else label
        inside = (*place, 0) if in_list else place
        held = _get(cell, inside)
        if not isinstance(held, dict) or held.get("kind") != kind:
            smallest = self._smallest(variant, label)
            chosen = _put(cell, place, [smallest] if in_list else smallest)
            yield _change(".".join(label), cell, place, [_get(chosen, place)])
            cell = _resolved_cell(chosen)
        yield from self.mapping(variant, cell, inside, label)

    def _plain_values(self, path: str, variants: Sequence[Json]) -> list[Any]:
        given = _fitting(self._examples, path)
        if given is not None:
            return list(given)
        return [value for variant in variants for value in self._values(variant)]

    def _values(self, node: Json) -> Iterator[Any]:
        """Yield values of a setting that is no mapping and no list of mappings."""
        if len(variants := _variants(node)) > 1:
            for variant in variants:
                yield from self._values(self._resolved(variant))
        elif "const" in node or "enum" in node:
            yield from node.get("enum", [node.get("const")])
        elif node.get("type") == "boolean":
            yield from (True, False)
        elif node.get("type") == "null":
            yield None
        elif node.get("type") in ("integer", "number"):
            yield from (number for number in NUMBERS if _fits(number, node))
        elif node.get("type") == "array":
            yield from self._arrays(node)

    def _arrays(self, node: Json) -> Iterator[list[Any]]:
        if "prefixItems" in node:
            columns = [list(self._values(self._resolved(item))) for item in node["prefixItems"]]
            yield from (list(row) for row in zip(*columns, strict=False))
            yield from (list(row) for row in zip(columns[0], *columns[:0:-1], strict=False))
        elif "items" in node:
            for value in self._values(self._resolved(node["items"])):
                yield from ([value] * length for length in (1, 3))

    def _smallest(self, node: Json, label: tuple[str, ...]) -> Json:
        """Return a mapping that says only what it must."""
        given = _fitting(self._examples, ".".join(label))
        if given is not None:
            return dict(given[0])
        found: Json = {}
        for name in node.get("required", ()):
            below = self._resolved(node["properties"][name])
            values = self._plain_values(".".join((*label, name)), [below])
            values = values or [self._smallest(below, (*label, name))]
            found[name] = values[0]
        return found

    def _items(self, variant: Json) -> list[Json]:
        """Return the mappings that a list at this place may hold."""
        items = self._resolved(variant).get("items")
        if not isinstance(items, dict):
            return []
        return [item for item in map(self._resolved, _variants(items)) if _is_mapping(item)]

    def _resolved(self, node: Json) -> Json:
        name = node.get("$ref", "").rpartition("/")[2]
        return {**self._definitions[name], **node} if name else node


def _fitting(by_pattern: Mapping[str, Value], path: str) -> Value | None:
    return next((v for pattern, v in by_pattern.items() if fnmatchcase(path, pattern)), None)


def _variants(node: Json) -> list[Json]:
    found: list[Json] = node.get("anyOf") or node.get("oneOf") or [node]
    return found


def _is_mapping(node: Json) -> bool:
    return bool(node.get("properties"))


def _fits(number: float, node: Json) -> bool:
    whole = node["type"] == "number" or isinstance(number, int)
    return (
        whole
        and number >= node.get("minimum", number)
        and number <= node.get("maximum", number)
        and (node.get("exclusiveMinimum") is None or number > node["exclusiveMinimum"])
        and (node.get("exclusiveMaximum") is None or number < node["exclusiveMaximum"])
    )


def _change(path: str, cell: Json, place: Place, values: Sequence[Any]) -> Change:
    held = _get(cell, place)
    after = [_put(cell, place, value) for value in values if value != held]
    return Change(path, cell, tuple(after))


def _resolved_cell(cell: Json) -> Json:
    """Return a cell with its defaults; as it stands where a rule refuses it."""
    try:
        return CellSettings.model_validate(cell).model_dump(mode="json")
    except ValueError:
        return cell


def _get(value: Any, place: Place) -> Any:
    for part in place:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and len(value) > part else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _put(cell: Json, place: Place, value: Any) -> Json:
    changed = copy.deepcopy(cell)
    inner: Any = changed
    for part in place[:-1]:
        inner = inner[part] if isinstance(part, int) else inner.setdefault(part, {})
    if value is ABSENT:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = value
    return changed


def _with(cell: Json, settings: Mapping[str, Any]) -> Json:
    for path, value in settings.items():
        cell = _put(cell, tuple(path.split(".")), value)
    return cell
