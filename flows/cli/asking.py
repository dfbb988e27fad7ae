"""The command `sql`: questions to the warehouse, as a table or as a file for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli import formats, tables
from flows.cli.finding import translated
from flows.cli.options import AsJson, HomeFolder, current_home
from foodvision.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa

    from warehouse.statements import Question

_STANDARD_INPUT = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            '  $ foodvision sql "select max(test_accuracy) as best from leaderboard"\n'
            "    best\n"
            "  0.9712\n"
            "  $ foodvision sql -f axes\n"
            "  Which axis mattered most?\n"
            "\n\b\n"
            "  plan  axis       spread  best  best_mean  worst     …\n"
            "  demo  model      0.0953  mlp          0.9579  tiny_vgg  …\n"
            "  $ foodvision sql -f axes -o axes.csv\n"
            "  axes.csv: 3 rows"
        )
    )(sql)


def sql(
    query: Annotated[
        str | None, typer.Argument(metavar="[SQL]", help="One statement that reads.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="A file of SQL, - for the input, or a question's name or number.",
        ),
    ] = None,
    list_questions: Annotated[
        bool, typer.Option("--questions", help="List the questions that are answered by name.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="A Markdown table.")] = False,
    as_parquet: Annotated[bool, typer.Option("--parquet", help="Parquet; needs -o.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write a file; its ending says the format."
        ),
    ] = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Ask the warehouse, read-only. `show tables` and `describe leaderboard` tell the names."""
    flags = {"csv": as_csv, "markdown": as_markdown, "parquet": as_parquet, "json": as_json}
    form = formats.chosen_format([name for name, is_set in flags.items() if is_set], output)
    asked = [each for each in (query, file, list_questions or None) if each is not None]
    if len(asked) != 1:
        raise WarehouseError(
            "sql takes one thing: a statement, -f FILE or --questions, found "
            f"{len(asked) or 'none'}. For example: foodvision sql -f axes"
        )
    if list_questions:
        _tell(_list_questions(), form, output)
        return
    if query is not None:
        _require_statement(query)
    found = None if file is None else _question(file)
    answer = _ask(found.sql if found else _read(file) if file else query or "")
    if found and form == "table":
        tables.say(f"{found.question}\n")
    empty = f"No rows: {found.empty}." if found and found.empty else "No rows."
    _tell(answer, form, output, empty=empty)
    if found and form == "table" and answer.num_rows == found.most:
        _say_rest(found)


def _say_rest(question: Question) -> None:
    """Say how many rows there are where a question answers with some of them."""
    (count,) = _ask(question.count_sql)["rows"].to_pylist()
    if question.most is not None and count > question.most:
        tables.say(f"{question.most} of {count:,} rows are shown")


def _tell(answer: pa.Table, form: str, output: Path | None, *, empty: str = "No rows.") -> None:
    if output is None:
        formats.print_answer(answer, form, empty=empty)
        return
    formats.write_answer(answer, form, output)
    tables.say(f"{output}: {answer.num_rows:,} {'row' if answer.num_rows == 1 else 'rows'}")


def _ask(statement: str) -> pa.Table:
    import warehouse

    with translated():
        return warehouse.query(current_home().warehouse, statement)


def _require_statement(query: str) -> None:
    """Refuse the name of a question; one word is no statement."""
    from warehouse.statements import question

    name = query if question(query) else None if " " in query.strip() else _near(query)
    if name is not None:
        raise WarehouseError(
            f"a query is SQL, and {query!r} is none; a question goes by its name with -f; "
            f"did you mean `foodvision sql -f {name}`?"
        )


def _list_questions() -> pa.Table:
    import pyarrow as pa

    from warehouse.statements import questions

    keys = ("number", "name", "question")
    return pa.Table.from_pylist([{key: getattr(each, key) for key in keys} for each in questions()])


def _question(file: str) -> Question | None:
    """Return the question that goes by that name; None where it is the name of a file."""
    from warehouse.statements import question

    return None if file == _STANDARD_INPUT or Path(file).is_file() else question(file)


def _read(file: str) -> str:
    try:
        if file == _STANDARD_INPUT:
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise _unusable(file, f"which is none of these{_meant(file)}") from error
    except OSError as error:
        raise _unusable(file, f"which cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _unusable(file, "which is no text in UTF-8") from error


def _unusable(file: str, why: str) -> WarehouseError:
    end = "" if why.endswith("?") else "."
    return WarehouseError(
        "-f takes a file of SQL (UTF-8), - for the input, or the name or number of a question; "
        f"found {file!r}, {why}{end} `foodvision sql --questions` lists the questions."
    )


def _meant(file: str) -> str:
    near = _near(file)
    return f"; did you mean {near!r}?" if near else ""


def _near(file: str) -> str | None:
    from foodvision.plan.messages import nearest
    from warehouse.statements import questions

    return nearest(Path(file).stem, [each.name for each in questions()])
