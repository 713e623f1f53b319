"""Whatever a name consists of, a file of it is valid, and says the same when it is read back."""

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
"""What Postgres can hold."""
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
    community = None if rank is None else 0
    return (identity, name, "person", 3, 2, 0.9, rank, community, 1, 2)


def written(form: Callable[[io.StringIO], GraphFile], nodes: list[Row], edges: list[Row]) -> str:
    stream = io.StringIO(newline="")
    file = form(stream)
    file.begin()
    for one in nodes:  # a block each
        file.add_nodes([one])
    for one in edges:
        file.add_edges([one])
    file.end()
    return stream.getvalue()


def as_xml_has_it(text: str) -> str:
    """By the definition of Char in XML 1.0."""
    return "".join(
        one if one in "\t\n\r" or (ord(one) >= 32 and ord(one) not in (0xFFFE, 0xFFFF)) else "\ufffd" for one in text
    )


@given(NAMES)
def test_every_name_is_read_back_from_graphml_but_for_what_xml_forbids(name: str) -> None:
    read = ET.fromstring(written(GraphmlFile, [node("a", name)], []).encode())
    [found] = read.iter(f"{XMLNS}node")
    data = {one.get("key"): one.text or "" for one in found}
    assert data["name"] == as_xml_has_it(name)
    assert list(data) == list(NODE_ATTRIBUTES)


@pytest.mark.parametrize("name", ODD)
def test_odd_names_and_ids_survive_graphml(name: str) -> None:
    test_every_name_is_read_back_from_graphml_but_for_what_xml_forbids.hypothesis.inner_test(name)  # type: ignore[attr-defined]
    read = ET.fromstring(written(GraphmlFile, [], [(name, "b", 1)]).encode())
    [edge] = read.iter(f"{XMLNS}edge")
    assert edge.get("source") == as_xml_has_it(name)


@given(st.lists(NAMES, max_size=4))
def test_every_name_is_read_back_from_json(names: list[str]) -> None:
    edges = [("a", "b", 2)] * len(names)
    read = json.loads(written(NodeLinkFile, [node(str(n), name) for n, name in enumerate(names)], edges).encode())
    assert [one["name"] for one in read["nodes"]] == names
    assert read["edges"] == [{"source": "a", "target": "b", "weight": 2}] * len(names)


def test_what_is_unknown_is_left_out_of_graphml_and_null_in_json() -> None:
    nodes = [node("a", "A", rank=None)]
    assert {"pagerank", "community"}.isdisjoint(
        one.get("key") for one in ET.fromstring(written(GraphmlFile, nodes, [])).iter(f"{XMLNS}data")
    )
    assert json.loads(written(NodeLinkFile, nodes, []))["nodes"][0]["pagerank"] is None


def mention(surface: str, rule: str | None) -> tuple[Any, ...]:
    return ("file:///a", None, 0, 9, "person", surface, "x", 0.1, rule, rule, None if rule is None else 1e-12)


def csv_of(table: Table, blocks: list[list[tuple[Any, ...]]], folder: str) -> Path:
    return _file(CsvFile, table, blocks, Path(folder) / "file.csv")


def _file(
    form: Callable[[Path, Table], TableFile], table: Table, blocks: list[list[tuple[Any, ...]]], path: Path
) -> Path:
    file = form(path, table)
    for block in blocks:
        file.write(table.batch(block))
    file.close()
    return path


@given(st.lists(st.tuples(NAMES, st.none() | NAMES), min_size=1, max_size=5))
def test_every_text_is_read_back_from_csv_and_an_empty_one_is_not_none(texts: list[tuple[str, str | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [mention(surface, rule) for surface, rule in texts]
        read = pyarrow.csv.read_csv(
            csv_of(MENTIONS, [[row] for row in rows], folder),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=MENTIONS.schema,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    assert [tuple(one.values()) for one in read.to_pylist()] == rows


def test_lists_and_times_in_csv_are_what_other_tools_read(tmp_path: Path) -> None:
    time = datetime(1, 2, 3, 4, 5, 6, tzinfo=UTC)
    row = ("u", "n", "processed", None, 1, None, "", ['a"b', "ö"], None, time, None, *[None] * 6, [], None, None)
    text = csv_of(DOCUMENTS, [[row]], str(tmp_path)).read_bytes().decode().splitlines()[1]
    assert text == '"u","n","processed",,1,,"","[""a\\""b"", ""ö""]",,0001-02-03 04:05:06Z,,,,,,,,"[]",,'


@pytest.mark.parametrize("form", [CsvFile, ParquetFile])
def test_a_table_without_rows_still_has_its_columns(form: type[CsvFile | ParquetFile], tmp_path: Path) -> None:
    path = _file(form, MENTIONS, [], tmp_path / "empty")
    read = pyarrow.parquet.read_table(path) if form is ParquetFile else pyarrow.csv.read_csv(path)
    assert (read.num_rows, read.column_names) == (0, MENTIONS.schema.names)


def test_a_row_group_of_parquet_is_no_larger_than_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(1).random((90, 256), np.float32)
    blocks = [[("u", n, None, 0, 1, "x", vectors[n])] for n in range(90)]
    monkeypatch.setattr(table_files, "ROW_GROUP_ROWS", 40)
    by_rows = pyarrow.parquet.ParquetFile(_file(ParquetFile, CHUNKS, blocks, tmp_path / "rows"))
    assert [by_rows.metadata.row_group(n).num_rows for n in range(by_rows.num_row_groups)] == [40, 40, 10]
    monkeypatch.setattr(table_files, "ROW_GROUP_BYTES", 30 * 1100)
    by_bytes = pyarrow.parquet.ParquetFile(_file(ParquetFile, CHUNKS, blocks, tmp_path / "bytes"))
    assert max(by_bytes.metadata.row_group(n).num_rows for n in range(by_bytes.num_row_groups)) <= 31
    assert by_bytes.read().equals(by_rows.read())
    assert (
        pa.array(by_rows.read()["embedding"].combine_chunks()).flatten().to_numpy().tolist() == vectors.ravel().tolist()
    )


def test_what_may_not_be_null_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid):
        _file(ParquetFile, MENTIONS, [[(None, *mention("a", None)[1:])]], tmp_path / "file")
