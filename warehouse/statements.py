"""The SQL of the warehouse: files that ship inside the package, read by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_LIMIT = re.compile(r"^limit (?P<most>\d+)\s*\Z", re.MULTILINE)


@dataclass(frozen=True)
class Statement:
    """One SQL file.

    Attributes:
        name: file name without `.sql`.
        sql: the text; its first line states the grain.
    """

    name: str
    sql: str


@dataclass(frozen=True)
class Question(Statement):
    """One of the questions that people ask most; `name` is short, without its number.

    Attributes:
        number: place among the questions, from 1.
        question: in words.
        empty: what is so where the answer has no row; empty where it always has one.
        most: rows that it answers with at most; None: with all.
    """

    number: int
    question: str
    empty: str
    most: int | None

    @property
    def count_sql(self) -> str:
        """Return the statement that counts all rows, `rows`, also those that are left out."""
        return f"select count(*) as rows from ({_LIMIT.sub('', self.sql)}\n) as answer"

    @property
    def full_name(self) -> str:
        """Return the name of its file, without `.sql`."""
        return f"{self.number:02}_{self.name}"


@cache
def migrations() -> tuple[Statement, ...]:
    """Return every migration, the first version first."""
    return _folder("migrations")


@cache
def views() -> tuple[Statement, ...]:
    """Return every view in an order in which each finds those it reads.

    `leaderboard`, on top of `collapsed`, and `continuations` are what other views build on; they
    do not build on each other.
    """
    first = ("collapsed", "leaderboard", "continuations")
    names = {name: place for place, name in enumerate(first)}
    return tuple(sorted(_folder("views"), key=lambda view: names.get(view.name, len(first))))


@cache
def query_text(name: str) -> str:
    """Return the text of `queries/<name>.sql`."""
    return (files("warehouse") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def questions() -> tuple[Question, ...]:
    """Return every example question, by number."""
    return tuple(_question(statement) for statement in _folder("queries", "questions"))


def question(name: str) -> Question | None:
    """Return the question of that name, number, or both; None where there is none."""
    wanted = name.removesuffix(".sql").lower()
    for each in questions():
        if wanted in (each.name, each.full_name, str(each.number), f"{each.number:02}"):
            return each
    return None


def _question(statement: Statement) -> Question:
    number, _, name = statement.name.partition("_")
    told = dict(
        line.removeprefix("-- ").split(": ", maxsplit=1)
        for line in statement.sql.splitlines()
        if line.startswith(("-- question: ", "-- empty: "))
    )
    limit = _LIMIT.search(statement.sql)
    most = int(limit["most"]) if limit else None
    return Question(name, statement.sql, int(number), told["question"], told.get("empty", ""), most)


def _folder(*path: str) -> tuple[Statement, ...]:
    found = [
        Statement(entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in files("warehouse").joinpath(*path).iterdir()
        if entry.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda statement: statement.name))
