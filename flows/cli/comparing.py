"""The command that holds two plans, runs or days side by side."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables, widths
from flows.cli.options import AsJson, HomeFolder, current_home
from flows.cli.tables import count

if TYPE_CHECKING:
    from tasks.comparing import Comparison, DataChange, ResultChange, Setting

_LONGEST = 60
_SHORT = 12
_MOST_FILES = 3
_WORDS = {"same": "the same", "noise": "noise", "better": "better", "worse": "WORSE"}
_DATA = {
    "same": "the same images",
    "added": "only after",
    "removed": "only before",
    "unknown": "not known: no journal of a run tells it",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision compare 2026-03-01 plans/demo.yaml\n"
            "  before: demo, run 0d2f41aa of 2026-03-01 09:00 UTC, 8 cells\n"
            "  after:  demo, run 77aa02c1 of 2026-03-08 09:00 UTC, 8 cells\n"
            "  Plan\n"
            "    base.optimizer.lr: 0.001 → 0.002\n"
            "  Data\n"
            "    digits: the same images\n"
            "  Results: test accuracy, 95 % for all of them at once\n"
            "  Cell        Before   After  Change      Low     High  Verdict\n"
            "  mlp · adam  0.9667  0.9690  +0.0022  -0.0177  +0.0221  noise\n"
            "  0 better, 0 worse, 8 within noise, 0 the same"
        )
    )(compare)


def compare(
    before: Annotated[
        str, typer.Argument(metavar="BEFORE", help="A plan (file or name), a run's id, or a day.")
    ],
    after: Annotated[
        str | None,
        typer.Argument(
            metavar="[AFTER]",
            help="The same, to hold against it; default: the last run of BEFORE, held against the "
            "one before it that differs.",
        ),
    ] = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Say what changed, and whether it is more than noise.

    In plan, data, environment and results.
    A day (2026-03-01) means the last run until it ended, of the other side's plan.
    """
    from tasks.comparing import compare as compare_sides

    found = compare_sides(before, after, current_home())
    if as_json:
        tables.print_json(found.to_json())
        return
    _show(found)


def _show(found: Comparison) -> None:
    if found.is_of_one_run:
        tables.say_wrapped(
            f"Both sides are {found.after.name}: nothing differs. `foodvision runs "
            f"{shlex.quote(found.after.plan.name)}` lists its runs."
        )
        return
    tables.say_wrapped(f"before: {found.before.name}, {count(len(found.before.rows), 'cell')}")
    tables.say_wrapped(f"after:  {found.after.name}, {count(len(found.after.rows), 'cell')}")
    _say_settings("Plan", found.plan)
    tables.say("\nData")
    for data in found.data:
        tables.say_wrapped(f"{data.name}: {_data_words(data)}", indent=2)
    _say_settings(
        "Environment", found.environment, is_known=bool(found.before.run and found.after.run)
    )
    _say_results(found)


def _say_settings(title: str, settings: tuple[Setting, ...], *, is_known: bool = True) -> None:
    tables.say(f"\n{title}")
    if not settings:
        tables.say("  no change" if is_known else "  not known: a side has not run")
    for setting in settings:
        sides = (setting.before, setting.after)
        old, new = _repositories(*sides) if setting.path == "git" else map(_value, sides)
        tables.say_wrapped(f"{setting.path}: {old} → {new}", indent=2)


def _value(value: Any) -> str:
    """Return a plan's value in one line, the end of a long one cut off."""
    if value is None:
        return "–"
    if value in ("", [], {}):
        return "(empty)"
    return widths.cut(value if isinstance(value, str) else _in_words(value), _LONGEST)


def _in_words(value: Any) -> str:
    """Return a value as a plan may write it, in one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_in_words(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_in_words, value))}]"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _repositories(before: Any, after: Any) -> tuple[str, str]:
    """Say where each side's repository stood; what differs from one commit alike, by its digest."""
    old, new = (_repository(value) for value in (before, after))
    if old != new:
        return old, new
    return f"{old} ({before['changes']})", f"{new} ({after['changes']})"


def _repository(git: Any) -> str:
    if git is None:
        return "no repository"
    if not isinstance(git, dict):
        return str(git)
    place = f"{git['commit'][:_SHORT]} on {git['branch'] or 'no branch'}"
    files = git["files"]
    if not git["changes"]:
        return place
    if not files:
        return f"{place}, with changes"
    more = f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
    return f"{place}, {count(len(files), 'file')} changed: {', '.join(files[:_MOST_FILES])}{more}"


def _data_words(data: DataChange) -> str:
    if data.change in _DATA:
        return _DATA[data.change]
    parts = {
        "added": data.images_added,
        "removed": data.images_removed,
        "of another class or split": data.images_relabelled,
    }
    told = [f"{number:,} {words}" for words, number in parts.items() if number]
    return f"images changed: {', '.join(told)}"


def _say_results(found: Comparison) -> None:
    tables.say(f"\nResults: test {found.score}, 95 % for all of them at once")
    tables.print_rows(
        [_row(each) for each in found.results],
        [
            tables.Column("Cell", "label"),
            tables.Column("Before", "before", tables.share, is_number=True),
            tables.Column("After", "after", tables.share, is_number=True),
            tables.Column("Change", "change", tables.difference, is_number=True),
            tables.Column("Low", "low", tables.difference, is_number=True),
            tables.Column("High", "high", tables.difference, is_number=True),
            tables.Column("Verdict", "verdict"),
        ],
        as_json=False,
        empty="  no cell is in both",
    )
    for side, labels in (("before", found.only_before), ("after", found.only_after)):
        if labels:
            tables.say_wrapped(f"only {side}: {', '.join(labels)}")
    if found.results:
        tables.say(
            f"{found.count('better')} better, {found.count('worse')} worse, "
            f"{found.count('noise')} within noise, {found.count('same')} the same"
        )


def _row(result: ResultChange) -> dict[str, Any]:
    change = result.change
    if change is None:
        return {"label": result.label, "verdict": "no result of both"}
    return {
        "label": result.label,
        "before": change.before,
        "after": change.after,
        "change": change.change,
        "low": change.low,
        "high": change.high,
        "verdict": _WORDS[change.verdict],
    }
