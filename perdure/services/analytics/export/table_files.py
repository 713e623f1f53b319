"""A table as one file, written in blocks. Equal blocks give equal bytes."""

import json
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from perdure.services.analytics.export.tables import Table

ROW_GROUP_ROWS = 100_000
ROW_GROUP_BYTES = 32 * 2**20
"""A Parquet row group is written when it has reached the bound on rows or the bound on bytes."""


class TableFile(Protocol):
    """A file of one table, complete after `close`. Every method may raise OSError."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a block of rows."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class ParquetFile:
    """A Parquet file, compressed with zstd.

    Args:
        path: file to write.
        table: columns and types.
    """

    def __init__(self, path: Path, table: Table) -> None:
        """Open the file."""
        self._writer = pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
        self._held: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a block of rows; write a row group when it is full."""
        self._held.append(batch)
        rows = sum(held.num_rows for held in self._held)
        size = sum(held.nbytes for held in self._held)
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        """Write the last row group and the footer."""
        try:
            self._write_group()
        finally:
            self._writer.close()

    def _write_group(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held), row_group_size=ROW_GROUP_ROWS)
            self._held = []


class CsvFile:
    """A CSV file in UTF-8 with a header. Lists are written as JSON.

    Texts are quoted, so that an empty text (`""`) differs from a missing one (no characters). A text that a spreadsheet
    would read as a formula is written unchanged, so that the file holds the document's own words.

    Args:
        path: file to write.
        table: columns and types.
    """

    def __init__(self, path: Path, table: Table) -> None:
        """Open the file and write the header."""
        self._schema = pa.schema([(field.name, _choose_printed_type(field.type)) for field in table.schema])
        self._writer = pyarrow.csv.CSVWriter(path, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a block of rows."""
        printed = [
            pa.array([json.dumps(value, ensure_ascii=False) for value in column.to_pylist()], pa.string())
            if pa.types.is_list(column.type)
            else column.cast(field.type)
            for column, field in zip(batch.columns, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(printed, schema=self._schema))

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()


def _choose_printed_type(of: pa.DataType) -> pa.DataType:
    if pa.types.is_list(of):
        return pa.string()
    return pa.timestamp("s", "UTC") if pa.types.is_timestamp(of) else of
