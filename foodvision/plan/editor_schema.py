"""A JSON schema of the plan language, for editors: completion, hover texts, red lines."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from foodvision.plan.paths import all_paths
from foodvision.plan.schema import Plan, RankBy
from foodvision.plan.values import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)
_ONE_AXIS: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "minItems": 1, "description": "values, or mappings of one label each"},
        {
            "type": "object",
            "minProperties": 1,
            "description": "labelled choices, or a range as {uniform: [a, b]}",
        },
    ]
}
_OPTIMIZER_STATE = {
    "enum": ["reset", "keep"],
    "description": "what the optimizer knows when the phase begins",
}


def editor_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of a plan, made from the models.

    It accepts every plan that `load_plan` accepts; rules across fields are for `load_plan` alone.
    """
    whole = Plan.model_json_schema()
    _describe(whole, Plan)
    models: list[type] = [*_below(Settings), RankBy]
    described = {model.__name__: model for model in models}
    for name, definition in whole["$defs"].items():
        _describe(definition, described[name])
    axes = {
        "type": "object",
        "properties": dict.fromkeys(all_paths(), _ONE_AXIS),
        "additionalProperties": False,
    }
    pattern = {"type": "object", "propertyNames": {"enum": list(all_paths())}, "minProperties": 1}
    _allow_phases(whole["$defs"]["CellSettings"])
    properties = whole["properties"]
    properties["grid"].update(axes)
    properties["zip"]["items"] = {**axes, "minProperties": 1}
    properties["exclude"]["items"] = pattern
    properties["when"].update(
        {"propertyNames": {"enum": list(all_paths())}, "additionalProperties": pattern}
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "A FoodVision plan",
    }


def _below(model: type[Settings]) -> Iterator[type[Settings]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


def _allow_phases(cell: dict[str, Any]) -> None:
    """Let a cell have phases instead of epochs."""
    cell["required"].remove("epochs")
    cell["oneOf"] = [
        {"required": ["epochs"], "properties": {"phases": {"maxItems": 0}}},
        {
            "required": ["phases"],
            "properties": {"phases": {"type": "array", "minItems": 1}},
            "not": {"required": ["epochs"]},
        },
    ]
    cell["properties"]["phases"] = {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                **{path: {} for path in all_paths()},
                "optimizer_state": _OPTIMIZER_STATE,
            },
            "required": ["epochs"],
            "additionalProperties": False,
        },
    }


def _describe(definition: dict[str, Any], model: type) -> None:
    """Move what a docstring says of attributes to the attributes."""
    text = inspect.getdoc(model) or ""
    summary, _, attributes = text.partition("\nAttributes:\n")
    definition["description"] = summary.strip()
    for name, words in _ATTRIBUTE.findall(attributes):
        if name in definition.get("properties", {}):
            definition["properties"][name]["description"] = " ".join(words.split())
