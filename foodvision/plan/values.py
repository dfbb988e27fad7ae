"""What the settings of a plan are made of: their base class, ranges of numbers, broken rules."""

from __future__ import annotations

import re
from collections.abc import Sequence  # noqa: TC003 - pydantic's errors carry them
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field
from pydantic_core import PydanticCustomError

from foodvision.plan.problems import RULE

MAX_COUNT = 1_000_000
MAX_PIXELS = 4096
MAX_ITEMS = 10**12
CROSS_FIELD = "cross_field"
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")

Clash = tuple[tuple[tuple[str | int, ...], ...], str]


class Settings(BaseModel):
    """Settings that cannot change, know no other keys, and take no text for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Share = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[int, Field(ge=1, le=MAX_ITEMS)]
Pixels = Annotated[int, Field(ge=1, le=MAX_PIXELS)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]


def broken_rule(message: str) -> PydanticCustomError:
    """Make the error of a broken rule; `message` is shown as it stands."""
    return PydanticCustomError(RULE, "{rule}", {"rule": message})


def broken_rules(clashes: Sequence[Clash]) -> PydanticCustomError:
    """Make the error of rules across fields: the paths that do not go together, and why."""
    text = "; ".join(message for _, message in clashes)
    return PydanticCustomError(CROSS_FIELD, "{text}", {"text": text, "clashes": tuple(clashes)})


def check_variables(text: str) -> str:
    """Refuse a text that begins a `${VARIABLE}` and does not end it."""
    if text.count("${") != len(_VARIABLE.findall(text)):
        raise broken_rule(f"must name variables like ${{NAME}}, got {text!r}: close the brace")
    return text


def text_or(tag: str) -> Discriminator:
    """Tell a text (`text`) from anything else (`tag`)."""
    return Discriminator(lambda value: "text" if isinstance(value, str) else tag)


def check_order(span: tuple[Any, Any]) -> tuple[Any, Any]:
    """Refuse a pair whose first number is larger than the second."""
    if span[0] > span[1]:
        raise broken_rule(f"must be [smallest, largest], got {list(span)}: turn them round")
    return span
