"""Orders that are no command of ours, and what was meant by them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_OTHER_NAMES = {"history": "runs", "train": "run", "leaderboard": "rank"}
_PLAN_ENDINGS = (".yaml", ".yml")
_INSTEAD = {"--dry-run": "`foodvision explain PLAN` says what a run would do, and what it costs."}


class Commands(TyperGroup):
    """The commands; one that is not known, and an option, are told with what was meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names, as typer does."""
        if self.get_command(ctx, args[0]) is None and (told := what_was_meant(args, self.commands)):
            ctx.fail(told)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; say of an option that it does not know where to find what it means."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            if instead := _INSTEAD.get(getattr(error, "option_name", "")):
                error.message = f"{error.message}. {instead}"
            raise


def what_was_meant(words: Sequence[str], commands: Container[str]) -> str | None:
    """Return what is wrong with words of which the first is no command; None: nothing is known.

    Args:
        words: of the command line, behind the program's name.
        commands: that are known.
    """
    first, *rest = words
    if first in _OTHER_NAMES:
        return f"No such command {first!r}. Did you mean {_OTHER_NAMES[first]!r}?"
    if not first.endswith(_PLAN_ENDINGS):
        return None
    command = next((word for word in rest if word in commands), "run")
    others = [word for word in rest if word != command]
    meant = shlex.join(["foodvision", command, first, *others])
    return f"A command comes before its plan, found {first!r} first. Did you mean `{meant}`?"
