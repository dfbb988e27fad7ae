"""The dotted paths of a cell: which exist, and what stands there by default."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from foodvision.plan.cell_schema import CellSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CellPath = tuple[str, ...]
Tree = dict[str, "Tree"]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _mappings(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a mapping at this place may be; paths do not lead into lists."""
    if get_origin(annotation) in {list, tuple}:
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _mappings(part)


def _tree(models: tuple[type[BaseModel], ...]) -> Tree:
    tree: Tree = {}
    for model in models:
        for name, field in model.model_fields.items():
            tree.setdefault(name, {}).update(_tree(tuple(_mappings(field.annotation))))
    return tree


@lru_cache(maxsize=1)
def cell_tree() -> Tree:
    """Return every key of a cell with the keys below it, of all kinds together."""
    return _tree((CellSettings,))


def exists(path: CellPath) -> bool:
    """Say whether some cell has a value at `path`."""
    tree = cell_tree()
    for part in path:
        if part not in tree:
            return False
        tree = tree[part]
    return bool(path)


@lru_cache(maxsize=1)
def all_paths() -> tuple[str, ...]:
    """Return every dotted path of a cell, parents before children."""

    def walk(tree: Tree, prefix: str) -> Iterator[str]:
        for name, below in tree.items():
            yield f"{prefix}{name}"
            yield from walk(below, f"{prefix}{name}.")

    return tuple(walk(cell_tree(), ""))


def _kind_of(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return str(get_args(field.annotation)[0]) if field else None


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    return {
        name: to_jsonable_python(field.default)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }


@lru_cache(maxsize=1)
def _section_defaults() -> dict[str, dict[str | None, dict[str, Any]]]:
    return {
        name: {_kind_of(model): _defaults(model) for model in _mappings(field.annotation)}
        for name, field in CellSettings.model_fields.items()
        if any(_mappings(field.annotation))
    }


def with_defaults(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return an unchecked cell whose settings all stand there, as far as its kinds are known."""
    full = {**_defaults_of_cell(), **cell}
    for section, by_kind in _section_defaults().items():
        value = full.get(section)
        if not isinstance(value, dict):
            continue
        kind = value.get("kind")
        defaults = by_kind.get(kind) if isinstance(kind, str) else None
        defaults = by_kind.get(None) if defaults is None else defaults
        if defaults and any(name not in value for name in defaults):
            full[section] = {**defaults, **value}
    return full


@lru_cache(maxsize=1)
def _defaults_of_cell() -> dict[str, Any]:
    return _defaults(CellSettings)


def get(cell: Any, path: CellPath) -> Any:
    """Return the value at `path`, or `MISSING`."""
    for part in path:
        if not isinstance(cell, dict) or part not in cell:
            return MISSING
        cell = cell[part]
    return cell


def known_keys(root: type[BaseModel], loc: Sequence[str | int]) -> tuple[str, ...]:
    """Return the keys that a mapping may have.

    Args:
        root: the model of the whole.
        loc: where the mapping stands, as pydantic says it (with the kinds of tagged unions).
    """
    models: tuple[type[BaseModel], ...] = (root,)
    for part in loc:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields:
            models = tuple(m for field in fields for m in _models(field.annotation))
        else:
            models = tuple(m for m in models if _kind_of(m) == part) or models
    return tuple(dict.fromkeys(name for model in models for name in model.model_fields))


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()
