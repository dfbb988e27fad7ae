"""Answers as text, CSV, Markdown, JSON or Parquet, on the screen or in a file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from flows.cli import tables
from foodvision.errors import WarehouseError
from foodvision.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

_ENDINGS = {".csv": "csv", ".md": "markdown", ".parquet": "parquet", ".json": "json"}


def chosen_format(flags: Sequence[str], output: Path | None) -> str:
    """Return the format that was asked for: by an option, else by the ending of the file.

    Args:
        flags: formats whose option was given.
        output: the file to write, if any.

    Returns:
        table, csv, markdown, parquet or json.

    Raises:
        WarehouseError: two formats, a file without any, or Parquet without a file.
    """
    if len(flags) > 1:
        raise WarehouseError(
            f"an answer has one format, found --{' and --'.join(flags)}. Leave out all but one."
        )
    if flags == ["parquet"] and output is None:
        raise WarehouseError("Parquet is no text for a screen. Name a file: --parquet -o FILE.")
    if flags:
        return flags[0]
    if output is None:
        return "table"
    ending = output.suffix.lower()
    if ending not in _ENDINGS:
        raise WarehouseError(
            f"the ending of a file says its format ({', '.join(_ENDINGS)}), found {output.name!r}. "
            "Change it, or give --csv, --markdown, --parquet or --json."
        )
    return _ENDINGS[ending]


def print_answer(answer: pa.Table, form: str, *, empty: str) -> None:
    """Print rows in a format, other than parquet; `empty` is said of a table without any."""
    if form == "table":
        tables.print_rows(answer.to_pylist(), _columns(answer), as_json=False, empty=empty)
    else:
        tables.say(_text(answer, form).rstrip("\n"))


def write_answer(answer: pa.Table, form: str, path: Path) -> None:
    """Write rows to a file in a format, whole or not at all.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    try:
        with replacing(path) as neighbour:
            if form == "parquet":
                from pyarrow.parquet import write_table

                write_table(answer, neighbour)
            else:
                neighbour.write_text(_text(answer, form), encoding="utf-8", newline="")
    except OSError as error:
        raise WarehouseError(
            f"an answer goes into a file that can be written, but for {path} the system says: "
            f"{error.strerror or error}. Name another file."
        ) from error


def _text(answer: pa.Table, form: str) -> str:
    if form == "json":
        return tables.to_json(answer.to_pylist()) + "\n"
    if form == "csv":
        return _csv(answer)
    return _markdown(answer)


def _csv(answer: pa.Table) -> str:
    """Return CSV as RFC 4180 has it; no value is an empty field, lists and structs are JSON."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(answer.column_names)
    writer.writerows([_field(value) for value in row.values()] for row in _rows(answer))
    return text.getvalue()


def _markdown(answer: pa.Table) -> str:
    from foodvision.report.tables import escape_markdown, markdown_table

    left = [index for index, field in enumerate(answer.schema) if not _is_number(field.type)]
    rows = [[str(_field(value)) for value in row.values()] for row in _rows(answer)]
    header = [escape_markdown(name) for name in answer.column_names]
    return markdown_table(header, rows, left=left) + "\n"


def _rows(answer: pa.Table) -> Sequence[Mapping[str, Any]]:
    """Return rows under the numbers of their columns: two may have one name."""
    numbered = answer.rename_columns([str(index) for index in range(answer.num_columns)])
    found: list[dict[str, Any]] = numbered.to_pylist()
    return found


def _field(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).lower() if isinstance(value, bool) else value


def _columns(answer: pa.Table) -> list[tables.Column]:
    return [
        tables.Column(field.name, field.name, _shown(field.type), is_number=_is_number(field.type))
        for field in answer.schema
    ]


def _shown(kind: Any) -> Callable[[Any], str]:
    import pyarrow.types as types

    if types.is_timestamp(kind):
        return tables.moment
    return tables.rounded if types.is_floating(kind) else str


def _is_number(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
