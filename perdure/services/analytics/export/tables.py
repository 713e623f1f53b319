"""The tables of an export: their columns with types, in the order in which they are written.

No table holds a value that differs between two runs over the same files, such as a position, an attempt, or the time of
a commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from perdure.analysis.annotations import EMBEDDING_DIMENSIONS

_VECTOR = pa.list_(pa.field("element", pa.float32()), EMBEDDING_DIMENSIONS)
_TYPES = {
    "text": pa.string(),
    "count": pa.int64(),
    "real": pa.float64(),
    "texts": pa.list_(pa.field("element", pa.string())),
    "instant": pa.timestamp("us", "UTC"),
    "vector": _VECTOR,
}


@dataclass(frozen=True)
class Table:
    """A table of the export; `block` is the number of rows that are read and held at once."""

    name: str
    schema: pa.Schema
    block: int

    def batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        """Return the rows, at least one, as a record batch.

        A row has its values in the order of the columns.
        """
        columns = zip(*rows, strict=True)
        arrays = [_make_array(values, field.type) for values, field in zip(columns, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _make_array(values: tuple[Any, ...], of: pa.DataType) -> pa.Array:
    if of == _VECTOR:
        flat = pa.array(np.concatenate(values), type=pa.float32())
        return pa.FixedSizeListArray.from_arrays(flat, type=of)
    return pa.array(values, type=of)


def _make_table(name: str, block: int, columns: str) -> Table:
    """Return a table; `columns` alternates names and types, and a type with a ? allows null."""
    words = columns.split()
    fields = [
        pa.field(column, _TYPES[of.removesuffix("?")], nullable=of.endswith("?"))
        for column, of in zip(words[::2], words[1::2], strict=True)
    ]
    return Table(name, pa.schema(fields), block)


DOCUMENTS = _make_table(
    "documents",
    1000,
    """uri text  name text  status text  media_type text?  size_bytes count  sha256 text?  title text?  authors texts
       language text?  created instant?  modified instant?  characters count?  pages count?  chunk_count count?
       mention_count count?  identity_count count?  quality_score real?  warnings texts  reason text?  error_type text?
    """,
)
MENTIONS = _make_table(
    "mentions",
    10_000,
    """uri text  page count?  start_offset count  end_offset count  kind text  surface text  normalised text
       confidence real  identity_id text?  rule text?  score real?""",
)
IDENTITIES = _make_table(
    "identities",
    10_000,
    """identity_id text  kind text  name text  normalised text  mention_count count  document_count count
       confidence real  pagerank real?  community count?  degree count?  strength count?""",
)
NODES = _make_table(
    "nodes",
    10_000,
    """identity_id text  name text  kind text  mention_count count  document_count count  confidence real
       pagerank real?  community count?  degree count?  strength count?""",
)
"""Identities with the columns of a graph's node."""
ALIASES = _make_table("aliases", 10_000, "identity_id text  surface text  mention_count count  rule text  score real")
EDGES = _make_table("edges", 20_000, "source text  target text  weight count")
CHUNKS = _make_table(
    "chunks",
    500,
    "uri text  ordinal count  page count?  start_offset count  end_offset count  text text  embedding vector",
)

CSV_TABLES = (DOCUMENTS, MENTIONS, IDENTITIES, ALIASES, EDGES)
PARQUET_TABLES = (*CSV_TABLES, CHUNKS)
"""The tables of a Parquet export. CSV has no chunks, because an embedding of 1 KB takes ten times as much as text."""
