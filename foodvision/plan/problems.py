"""What is wrong with a plan, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foodvision.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable

RULE = "plan_rule"
PlanPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A place in a text.

    Attributes:
        file: the file as the user named it, `<plan>` for a text, `--set base.epochs=0` for an
            override, empty for a mapping.
        line: from 1; `None` where there are no lines (overrides, mappings).
        column: from 1; `None` where there are no lines.
    """

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One broken rule: where, what was found, what to do.

    Attributes:
        file: see `Place`.
        line: see `Place`.
        column: see `Place`.
        path: inside the plan, like `grid.epochs[1]`; empty for the whole plan.
        message: the rule, what was found, what to do.
    """

    file: str
    line: int | None
    column: int | None
    path: str
    message: str

    def __str__(self) -> str:
        place = str(Place(self.file, self.line, self.column))
        return ": ".join(part for part in (place, self.path, self.message) if part)


class PlanProblems(PlanError):  # noqa: N818 - it is several
    """Everything that is wrong with one plan, in the order of its lines.

    Attributes:
        problems: never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[PlanProblems], tuple[tuple[Problem, ...]]]:
        return (PlanProblems, (self.problems,))


def path_text(path: PlanPath) -> str:
    """Write a path as people read it: `grid.epochs[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
