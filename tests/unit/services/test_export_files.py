"""An exported file is valid for any name, and reading the file gives the same values back."""

import io
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.services.analytics.export import table_files
from perdure.services.analytics.export.graph_files import NODE_ATTRIBUTES, GraphFile, GraphmlFile, NodeLinkFile, Row
from perdure.services.analytics.export.table_files import CsvFile, ParquetFile, TableFile
from perdure.services.analytics.export.tables import CHUNKS, DOCUMENTS, MENTIONS, Table

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
"""Any text that Postgres can store."""
ODD = [
    "",
    " ",
    "\r\n",
    "\t x \n",
    ']]> & <a b="c">',
    "\x01\x0b\x1f\x7f\x85",
    "\ufffe\uffff\U0001ffff",
    '=1+1,"',
    "null",
]
XMLNS = "{http://graphml.graphdrawing.org/xmlns}"


def node(identity: str, name: str, rank: float | None = 0.25) -> Row:
    """Return a row of a graph's node; a node without a rank has no community either."""
    community = None if rank is None else 0
    return (identity, name, "person", 3, 2, 0.9, rank, community, 1, 2)


def write_graph(form: Callable[[io.StringIO], GraphFile], nodes: list[Row], edges: list[Row]) -> str:
    """Return the text of a graph file that was written with a block for each node and edge."""
    stream = io.StringIO(newline="")
    file = form(stream)
    file.begin()
    for row in nodes:
        file.add_nodes([row])
    for row in edges:
        file.add_edges([row])
    file.end()
    return stream.getvalue()


def replace_forbidden_characters(text: str) -> str:
    """Return the text with U+FFFD for each character outside the production Char of XML 1.0."""
    return "".join(char if _is_xml_character(char) else "\ufffd" for char in text)


def _is_xml_character(char: str) -> bool:
    return char in "\t\n\r" or (ord(char) >= 32 and ord(char) not in (0xFFFE, 0xFFFF))


@given(NAMES)
def test_graphml_keeps_every_name_that_xml_allows(name: str) -> None:
    read = ET.fromstring(write_graph(GraphmlFile, [node("a", name)], []).encode())
    [element] = read.iter(f"{XMLNS}node")
    data = {item.get("key"): item.text or "" for item in element}
    assert data["name"] == replace_forbidden_characters(name)
    assert list(data) == list(NODE_ATTRIBUTES)


@pytest.mark.parametrize("name", ODD)
def test_graphml_keeps_odd_names_and_ids(name: str) -> None:
    test_graphml_keeps_every_name_that_xml_allows.hypothesis.inner_test(name)  # type: ignore[attr-defined]
    read = ET.fromstring(write_graph(GraphmlFile, [], [(name, "b", 1)]).encode())
    [edge] = read.iter(f"{XMLNS}edge")
    assert edge.get("source") == replace_forbidden_characters(name)


@given(st.lists(NAMES, max_size=4))
def test_json_keeps_every_name(names: list[str]) -> None:
    edges = [("a", "b", 2)] * len(names)
    read = json.loads(write_graph(NodeLinkFile, [node(str(n), name) for n, name in enumerate(names)], edges).encode())
    assert [item["name"] for item in read["nodes"]] == names
    assert read["edges"] == [{"source": "a", "target": "b", "weight": 2}] * len(names)


def test_unknown_values_are_absent_in_graphml_and_null_in_json() -> None:
    nodes = [node("a", "A", rank=None)]
    assert {"pagerank", "community"}.isdisjoint(
        item.get("key") for item in ET.fromstring(write_graph(GraphmlFile, nodes, [])).iter(f"{XMLNS}data")
    )
    assert json.loads(write_graph(NodeLinkFile, nodes, []))["nodes"][0]["pagerank"] is None


def mention(surface: str, rule: str | None) -> tuple[Any, ...]:
    """Return a row of the table of mentions."""
    return ("file:///a", None, 0, 9, "person", surface, "x", 0.1, rule, rule, None if rule is None else 1e-12)


def write_csv(table: Table, blocks: list[list[tuple[Any, ...]]], folder: str) -> Path:
    """Write the blocks to a CSV file in the folder, and return its path."""
    return _write_table(CsvFile, table, blocks, Path(folder) / "file.csv")


def _write_table(
    form: Callable[[Path, Table], TableFile], table: Table, blocks: list[list[tuple[Any, ...]]], path: Path
) -> Path:
    file = form(path, table)
    for block in blocks:
        file.write(table.batch(block))
    file.close()
    return path


@given(st.lists(st.tuples(NAMES, st.none() | NAMES), min_size=1, max_size=5))
def test_csv_keeps_every_text_and_distinguishes_empty_from_null(texts: list[tuple[str, str | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [mention(surface, rule) for surface, rule in texts]
        read = pyarrow.csv.read_csv(
            write_csv(MENTIONS, [[row] for row in rows], folder),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=MENTIONS.schema,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    assert [tuple(row.values()) for row in read.to_pylist()] == rows


def test_csv_writes_lists_as_json_and_times_in_utc(tmp_path: Path) -> None:
    time = datetime(1, 2, 3, 4, 5, 6, tzinfo=UTC)
    row = ("u", "n", "processed", None, 1, None, "", ['a"b', "ö"], None, time, None, *[None] * 6, [], None, None)
    text = write_csv(DOCUMENTS, [[row]], str(tmp_path)).read_bytes().decode().splitlines()[1]
    assert text == '"u","n","processed",,1,,"","[""a\\""b"", ""ö""]",,0001-02-03 04:05:06Z,,,,,,,,"[]",,'


@pytest.mark.parametrize("form", [CsvFile, ParquetFile])
def test_file_of_empty_table_has_its_columns(form: type[CsvFile | ParquetFile], tmp_path: Path) -> None:
    path = _write_table(form, MENTIONS, [], tmp_path / "empty")
    read = pyarrow.parquet.read_table(path) if form is ParquetFile else pyarrow.csv.read_csv(path)
    assert (read.num_rows, read.column_names) == (0, MENTIONS.schema.names)


def test_parquet_row_groups_keep_their_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(1).random((90, 256), np.float32)
    blocks = [[("u", n, None, 0, 1, "x", vectors[n])] for n in range(90)]
    monkeypatch.setattr(table_files, "ROW_GROUP_ROWS", 40)
    by_rows = pyarrow.parquet.ParquetFile(_write_table(ParquetFile, CHUNKS, blocks, tmp_path / "rows"))
    assert [by_rows.metadata.row_group(n).num_rows for n in range(by_rows.num_row_groups)] == [40, 40, 10]
    monkeypatch.setattr(table_files, "ROW_GROUP_BYTES", 30 * 1100)
    by_bytes = pyarrow.parquet.ParquetFile(_write_table(ParquetFile, CHUNKS, blocks, tmp_path / "bytes"))
    assert max(by_bytes.metadata.row_group(n).num_rows for n in range(by_bytes.num_row_groups)) <= 31
    assert by_bytes.read().equals(by_rows.read())
    assert (
        pa.array(by_rows.read()["embedding"].combine_chunks()).flatten().to_numpy().tolist() == vectors.ravel().tolist()
    )


def test_null_in_required_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid):
        _write_table(ParquetFile, MENTIONS, [[(None, *mention("a", None)[1:])]], tmp_path / "file")
