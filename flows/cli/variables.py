"""Warnings about environment variables that a plan needs and nobody has set.

Here, and not beside the other warnings: what a plan means does not depend on the environment.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from foodvision.plan.alerts import WebhookTarget
from foodvision.plan.lint import LintWarning
from foodvision.plan.problems import path_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foodvision.plan.expand import Cell
    from foodvision.plan.problems import PlanPath
    from foodvision.plan.schema import Plan

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SECTIONS = ("data", "base", "grid", "zip", "include", "when", "alerts")


def unset_variables(text: str) -> tuple[str, ...]:
    """Return the variables `${NAME}` of a text that are unset or empty, each once."""
    names = dict.fromkeys(_VARIABLE.findall(text))
    return tuple(name for name in names if not os.environ.get(name))


def variable_warnings(plan: Plan, cells: Sequence[Cell]) -> list[LintWarning]:
    """Return a warning for each place where a variable is needed and not set.

    Weights and sources of cells need some, and addresses of webhooks.

    Args:
        plan: from `load_plan`.
        cells: from `expand`; what none of them uses needs no variable.
    """
    used = {cell.settings.model.weights for cell in cells}
    used |= {
        plan.data[choice.name].source
        for cell in cells
        for choice in (cell.settings.data, cell.settings.test)
    }
    used |= {
        target.webhook
        for rule in plan.alerts
        for target in rule.notify
        if isinstance(target, WebhookTarget)
    }
    found = {
        path: text
        for section in _SECTIONS
        for path, text in _texts(plan.to_json().get(section), (section,))
        if text in used and unset_variables(text)
    }
    chosen = {text for path, text in found.items() if path[0] not in {"data", "base"}}
    return [
        _warning(plan, path, unset_variables(text))
        for path, text in found.items()
        if path[0] != "base" or text not in chosen  # to set it in the base would change nothing
    ]


def _texts(value: Any, path: PlanPath) -> Iterator[tuple[PlanPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*path, number))


def _warning(plan: Plan, path: PlanPath, names: Sequence[str]) -> LintWarning:
    place = plan.place(path)
    are = "is" if len(names) == 1 else "are"
    exports = " ".join(f"{name}=..." for name in names)
    message = f"{' and '.join(names)} {are} not set in the environment: export {exports}"
    if all(isinstance(part, str) for part in path):  # --set does not lead into lists
        message += f", or --set {path_text(path)}=PATH"
    return LintWarning(
        place.file, place.line, place.column, path_text(path), message, "unset-variable"
    )
