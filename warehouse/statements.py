"""The SQL of the warehouse: files that ship inside the package, read by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Statement:
    """One SQL file.

    Attributes:
        name: file name without `.sql`.
        sql: the text; its first line states the grain.
    """

    name: str
    sql: str


@cache
def migrations() -> tuple[Statement, ...]:
    """Return every migration, the first version first."""
    return _folder("migrations")


@cache
def views() -> tuple[Statement, ...]:
    """Return every view in an order in which each finds those it reads.

    `leaderboard` is what other views build on; they do not build on each other.
    """
    return tuple(sorted(_folder("views"), key=lambda view: view.name != "leaderboard"))


@cache
def query_text(name: str) -> str:
    """Return the text of `queries/<name>.sql`."""
    return (files("warehouse") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def _folder(name: str) -> tuple[Statement, ...]:
    found = [
        Statement(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in (files("warehouse") / name).iterdir()
        if entry.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda statement: statement.name))
