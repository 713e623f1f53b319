"""One table as one file, written block by block; the same blocks give the same bytes."""

import json
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from perdure.services.analytics.export.tables import Table

ROW_GROUP_ROWS = 100_000
ROW_GROUP_BYTES = 32 * 2**20
"""A row group of Parquet is held until it has one or the other."""


class TableFile(Protocol):
    """The file is whole once `close` has returned. Both raise OSError."""

    def write(self, batch: pa.RecordBatch) -> None: ...
    def close(self) -> None: ...


class ParquetFile:
    """Compressed with zstd, with types, statistics and nulls."""

    def __init__(self, path: Path, table: Table) -> None:
        self._writer = pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
        self._held: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        rows, held = sum(one.num_rows for one in self._held), sum(one.nbytes for one in self._held)
        if rows >= ROW_GROUP_ROWS or held >= ROW_GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        try:
            self._write_group()
        finally:
            self._writer.close()

    def _write_group(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held), row_group_size=ROW_GROUP_ROWS)
            self._held = []


class CsvFile:
    """UTF-8 with a header; texts are quoted, so that an empty one (`""`) is told from none (nothing). Lists are JSON.

    Nothing is put before a text that a spreadsheet would take for a formula: it would no longer be what the document
    says.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._schema = pa.schema([(field.name, _printed(field.type)) for field in table.schema])
        self._writer = pyarrow.csv.CSVWriter(path, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        printed = [
            pa.array([json.dumps(one, ensure_ascii=False) for one in column.to_pylist()], pa.string())
            if pa.types.is_list(column.type)
            else column.cast(field.type)
            for column, field in zip(batch.columns, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(printed, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _printed(of: pa.DataType) -> pa.DataType:
    if pa.types.is_list(of):
        return pa.string()
    return pa.timestamp("s", "UTC") if pa.types.is_timestamp(of) else of
