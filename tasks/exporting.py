"""The whole warehouse as Parquet files, for programs that do not speak DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

import warehouse
from foodvision.errors import WarehouseError
from foodvision.files import replacing
from warehouse.reading import relations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from foodvision.home import Home
    from warehouse.reading import Relation


@dataclass(frozen=True)
class Exported:
    """One table or view in its file.

    Attributes:
        name: of the table or view.
        rows: in the file.
        path: the file.
    """

    name: str
    rows: int
    path: Path


def export(home: Home, folder: Path) -> Iterator[Exported]:
    """Write every table and view to `folder/<name>.parquet`, each file whole or not at all.

    All of them are of one moment, whoever loads meanwhile. Comments go along, in the metadata
    (`comment`) of the file and of each column.

    Args:
        home: whose warehouse.
        folder: made if missing; files of these names are replaced, others are left alone.

    Raises:
        WarehouseError: the warehouse cannot be read, or the folder cannot be written.
    """
    try:
        with warehouse.connect(home.warehouse) as connection:
            for relation in relations(connection):
                path = folder / f"{relation.name}.parquet"
                reader = connection.sql(f'from "{relation.name}"').to_arrow_reader(_BATCH_ROWS)
                yield Exported(relation.name, _write(reader, relation, path), path)
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
    except OSError as error:
        raise WarehouseError(
            f"an export goes into a folder that can be written, but for {folder} the system says: "
            f"{error.strerror or error}. Name another folder."
        ) from error


_BATCH_ROWS = 100_000


def _write(reader: pa.RecordBatchReader, relation: Relation, path: Path) -> int:
    schema = pa.schema(
        [field.with_metadata({"comment": relation.columns[field.name]}) for field in reader.schema],
        metadata={"comment": relation.comment},
    )
    rows = 0
    with replacing(path) as neighbour, ParquetWriter(neighbour, schema) as writer:
        for batch in reader:
            writer.write_batch(batch.cast(schema))
            rows += batch.num_rows
    return rows
