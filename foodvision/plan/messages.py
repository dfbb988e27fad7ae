"""Words for broken rules: what was found, what is near to it, what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from foodvision.plan.problems import RULE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic_core import ErrorDetails

_MAX_SHOWN = 60
_NEAR = 60
_EXAMPLES: dict[str | int, str] = {
    "augment": "{kind: horizontal_flip}",
    "mix": "{kind: mixup}",
    "schedule": "{kind: cosine}",
}


def show(value: Any) -> str:
    """Write a value as a plan would, shortened."""
    if isinstance(value, str):
        text = repr(value)
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError):
            text = repr(value)
        text = {"NaN": ".nan", "Infinity": ".inf", "-Infinity": "-.inf"}.get(text, text)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be."""
    from rapidfuzz import fuzz, process  # only an error needs it

    found = process.extractOne(
        word, list(known), scorer=fuzz.ratio, processor=str.lower, score_cutoff=_NEAR
    )
    return str(found[0]) if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return what to do about an unknown word: the nearest known one, or all of them."""
    known = list(known)
    if near := nearest(word, known):
        return f"; did you mean {near!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def unknown_key(key: str, known: Iterable[str], elsewhere: Iterable[str]) -> str:
    """Say that a key is not known here: where it belongs (at its highest), else the nearest one."""
    places = [path for path in elsewhere if path.rpartition(".")[2] == key]
    if places:
        depth = min(place.count(".") for place in places)
        places = [place for place in places if place.count(".") == depth]
        return f"unknown key here; did you mean {' or '.join(repr(place) for place in places)}?"
    return f"unknown key{suggestion(key, known)}"


def describe(error: ErrorDetails) -> str:
    """Say which rule a value of the wrong type or range breaks.

    Args:
        error: of pydantic; unknown keys and cross-field rules are not for here.
    """
    found = error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    kind = error["type"]
    if kind == RULE:
        return str(context["rule"])
    if kind == "missing":
        return "is missing: add it"
    if kind in {"literal_error", "enum"}:
        return _one_of(found, str(context["expected"]))
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _kind(found, context, error["loc"])
    if kind in _TEMPLATES:
        return f"{_TEMPLATES[kind](context)}, got {show(found)}{_hint(kind, found)}"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {show(found)}"


def _one_of(found: Any, expected: str) -> str:
    words = expected.replace(" or ", ", ").replace("'", "").split(", ")
    rule = f"must be one of {', '.join(words)}" if len(words) > 1 else f"must be {words[0]}"
    near = nearest(found, words) if isinstance(found, str) else None
    return f"{rule}, got {show(found)}" + (f"; did you mean {near!r}?" if near else "")


def _kind(found: Any, context: Mapping[str, Any], place: Iterable[str | int]) -> str:
    expected = str(context.get("expected_tags", ""))
    if isinstance(found, dict) and "kind" in found:
        return _one_of(found["kind"], expected)
    examples = [_EXAMPLES[part] for part in place if part in _EXAMPLES]
    example = examples[0] if examples else "{kind: adam, lr: 0.001}"
    return f"is missing: add it, as in {example}"


def _hint(kind: str, found: Any) -> str:
    if kind in {"int_type", "float_type"} and isinstance(found, str):
        return ": write a number without quotes"
    if kind == "string_type" and found is None:
        return ": write 'none' if that is meant"
    if kind == "string_type" and isinstance(found, int | float):
        return ": put it in quotes"
    return ""


def _fixed(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _context: text


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_TEMPLATES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda c: f"must be at least {_number(c['ge'])}",
    "greater_than": lambda c: f"must be greater than {_number(c['gt'])}",
    "less_than_equal": lambda c: f"must be at most {_number(c['le'])}",
    "less_than": lambda c: f"must be less than {_number(c['lt'])}",
    "finite_number": _fixed("must be a finite number"),
    "int_type": _fixed("must be a whole number"),
    "int_parsing_size": _fixed("must be a smaller number"),
    "float_type": _fixed("must be a number"),
    "bool_type": _fixed("must be true or false"),
    "string_type": _fixed("must be a text"),
    "string_too_short": lambda c: f"must have at least {c['min_length']} character",
    "string_pattern_mismatch": _fixed("must be 64 hexadecimal digits in lower case"),
    "list_type": _fixed("must be a list"),
    "tuple_type": _fixed("must be a list"),
    "dict_type": _fixed("must be a mapping"),
    "model_type": _fixed("must be a mapping"),
    "model_attributes_type": _fixed("must be a mapping"),
    "too_short": lambda c: f"must have at least {c['min_length']} entry",
    "too_long": lambda c: f"must have at most {c['max_length']} entries",
}
