"""Warnings about what a plan needs and is not there: environment variables, folders and files.

Here, and not beside the other warnings: what a plan means does not depend on where it lies.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from foodvision.errors import FoodVisionError
from foodvision.plan.alerts import WebhookTarget
from foodvision.plan.lint import LintWarning
from foodvision.plan.problems import path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

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
    webhooks = {
        target.webhook
        for rule in plan.alerts
        for target in rule.notify
        if isinstance(target, WebhookTarget)
    }
    used = _used_sources(plan, cells) | _used_weights(cells) | webhooks
    places = _places(plan, {text for text in used if unset_variables(text)})
    return [_unset_warning(plan, path, unset_variables(text)) for path, text in places]


def absence_warnings(plan: Plan, cells: Sequence[Cell]) -> list[LintWarning]:
    """Return a warning for each place that names a folder or a file that is not there.

    A warning, and no error: it may be mounted later. Looked up as a run does it, so what lies in
    the folder of `FOODVISION_SOURCES` is there.

    Args:
        plan: from `load_plan`.
        cells: from `expand`; what none of them uses need not be there.
    """
    from foodvision.data.sources import locate
    from foodvision.models.weights_files import is_entry_name, weights_file

    def find_source(text: str) -> None:
        locate(text, base=plan.folder).require_there()

    def find_weights(text: str) -> None:
        if not is_entry_name(text):
            weights_file(text, base=plan.folder)

    absent = _lacks(_used_sources(plan, cells), find_source)
    absent |= _lacks(_used_weights(cells), find_weights)
    return [
        _warning(plan, path, absent[text], "absent-file") for path, text in _places(plan, absent)
    ]


def _lacks(texts: Collection[str], find: Callable[[str], None]) -> dict[str, str]:
    """Return the errors of look-ups by what was looked up; variables are told of elsewhere."""
    found = {}
    for text in texts:
        if unset_variables(text):
            continue
        try:
            find(text)
        except FoodVisionError as error:
            found[text] = str(error)
    return found


def _used_sources(plan: Plan, cells: Sequence[Cell]) -> set[str]:
    choices = [choice for cell in cells for choice in (cell.settings.data, cell.settings.test)]
    return {plan.data[choice.name].source for choice in choices}


def _used_weights(cells: Sequence[Cell]) -> set[str]:
    return {cell.settings.model.weights for cell in cells}


def _places(plan: Plan, texts: Collection[str]) -> list[tuple[PlanPath, str]]:
    """Return where a plan writes texts; not in the base what the choices of an axis write, too."""
    values = plan.to_json()
    found = [
        (path, text)
        for section in _SECTIONS
        for path, text in _texts(values.get(section), (section,))
        if text in texts
    ]
    chosen = {text for path, text in found if path[0] not in {"data", "base"}}
    return [
        (path, text)
        for path, text in found
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


def _unset_warning(plan: Plan, path: PlanPath, names: Sequence[str]) -> LintWarning:
    are = "is" if len(names) == 1 else "are"
    exports = " ".join(f"{name}=..." for name in names)
    message = f"{' and '.join(names)} {are} not set in the environment: export {exports}"
    if all(isinstance(part, str) for part in path):  # --set does not lead into lists
        message += f", or --set {path_text(path)}=PATH"
    return _warning(plan, path, message, "unset-variable")


def _warning(plan: Plan, path: PlanPath, message: str, rule: str) -> LintWarning:
    place = plan.place(path)
    return LintWarning(place.file, place.line, place.column, path_text(path), message, rule)
