"""Exports are complete, equal to the database, reproducible, and replace no other file."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import rustworkx

from orchestration.queries.export import export_run
from orchestration.settings import Settings
from orchestration.settings.temporal import TemporalSettings
from perdure.services.analytics.export import ExportFormat, tables
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.exports import PostgresExportStore
from tests.integration.command_line import Ended
from tests.integration.finished_run import finished
from tests.integration.shared_run import script

VIEWS = {
    "documents": "described_documents",
    "mentions": "resolved_mentions",
    "identities": "ranked_identities",
    "aliases": "(SELECT *, score::double precision AS real_score FROM identity_aliases)",
    "edges": "graph_edges",
}
ORDER = {
    "documents": "uri",
    "mentions": "uri, ordinal",
    "identities": "pagerank DESC, mention_count DESC, identity_id",
    "aliases": "identity_id, mention_count DESC, surface",
    "edges": "source, target",
}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    pool = PostgresPool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(tmp_path, database_url, TemporalSettings("127.0.0.1:1"))


async def export(settings: Settings, run: str, form: str, path: Path, *more: str) -> Ended:
    return await script(settings, "export", "-w", run, "--format", form, "--output", str(path), *more)


async def said_by_sql(pool: PostgresPool, name: str) -> list[dict[str, Any]]:
    columns = ["real_score AS score" if (name, entry) == ("aliases", "score") else entry for entry in columns_of(name)]
    ordered = ", ".join(
        part if "count" in part or "ordinal" in part or "rank" in part else f'{part} COLLATE "C"'
        for part in ORDER[name].split(", ")
    )
    async with pool.connection() as conn:
        rows = await conn.fetch(
            f"SELECT {', '.join(columns)} FROM {VIEWS[name]} AS t WHERE workflow_id = 'run' ORDER BY {ordered}"
        )
    return [dict(row) for row in rows]


def columns_of(name: str) -> list[str]:
    [table] = [entry for entry in tables.CSV_TABLES if entry.name == name]
    return list(table.schema.names)


async def test_parquet_and_csv_hold_the_views_rows(pool: PostgresPool, settings: Settings, tmp_path: Path) -> None:
    await finished(pool, "run")
    parquet = tmp_path / "parquet"
    csv = tmp_path / "csv"
    counts = (await export(settings, "run", "parquet", parquet, "--json")).json["rows"]
    assert (await export(settings, "run", "csv", csv)).code == 0
    for table in tables.CSV_TABLES:
        expected = await said_by_sql(pool, table.name)
        assert len(expected) == counts[table.name] > 0
        read = pyarrow.parquet.read_table(parquet / f"{table.name}.parquet")
        assert read.schema.equals(table.schema)
        assert read.to_pylist() == expected
        assert read_csv(csv / f"{table.name}.csv", table).to_pylist() == expected

    chunks = pyarrow.parquet.read_table(parquet / "chunks.parquet").to_pylist()
    async with pool.connection() as conn:
        stored = await conn.fetch(
            """SELECT uri, o.ordinal, page, o.start_offset, o.end_offset, passage AS text, embedding
               FROM cited_chunks o JOIN chunks USING (workflow_id, position, ordinal)
               WHERE workflow_id = 'run' ORDER BY uri COLLATE "C", ordinal"""
        )
    assert [{**row, "embedding": row["embedding"].tolist()} for row in stored] == chunks
    assert np.linalg.norm(chunks[0]["embedding"]) == pytest.approx(1)


def read_csv(path: Path, table: tables.Table) -> Any:
    """Return the rows of a CSV file, converted to the types of the table."""
    lists = {field.name for field in table.schema if pyarrow.types.is_list(field.type)}
    types = {field.name: pyarrow.string() if field.name in lists else field.type for field in table.schema}
    read = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        ),
    )
    for name in lists:
        parsed = pyarrow.array([json.loads(entry) for entry in read[name].to_pylist()], table.schema.field(name).type)
        read = read.set_column(read.schema.get_field_index(name), name, parsed)
    return read


async def test_graphml_and_json_hold_the_same_graph(pool: PostgresPool, settings: Settings, tmp_path: Path) -> None:
    await finished(pool, "run")
    graphml = tmp_path / "graph.graphml"
    plain = tmp_path / "graph.json"
    for form, path in (("graphml", graphml), ("json", plain)):
        assert (await export(settings, "run", form, path)).code == 0
    identities = await said_by_sql(pool, "identities")
    edges = await said_by_sql(pool, "edges")
    renamed = {"identity_id": "id", "mention_count": "mentions", "document_count": "documents"}
    expected = [{renamed.get(key, key): value for key, value in entry.items()} for entry in identities]
    for entry in expected:
        del entry["normalised"]

    read = json.loads(plain.read_text("utf-8"))
    assert (read["nodes"], read["edges"]) == (expected, edges)

    [graph] = rustworkx.read_graphml(str(graphml))
    for entry in expected:
        entry["name"] = entry["name"].replace("\x02", "\ufffd").replace("\ufffe", "\ufffd")
    assert [{key: node[key] for key in expected[0]} for node in graph.nodes()] == expected
    linked = {
        (graph[source]["id"], graph[target]["id"], edge["weight"])
        for source, target, edge in graph.weighted_edge_list()
    }
    assert linked == {(entry["source"], entry["target"], entry["weight"]) for entry in edges}


async def test_equal_results_export_to_equal_bytes(pool: PostgresPool, tmp_path: Path) -> None:
    await finished(pool, "run")
    await finished(pool, "other", [2, 3, 1, 0])
    for form in ExportFormat:
        made = []
        for name, run in (("first", "run"), ("second", "run"), ("third", "other")):
            path = tmp_path / f"{name}-{form}"
            if not form.is_graph:
                path.mkdir()
            await export_run(PostgresExportStore(pool), run, form, path, lambda *_: None)
            made.append([entry.read_bytes() for entry in (sorted(path.iterdir()) if path.is_dir() else [path])])
        assert made[0] == made[1] == made[2]


async def test_block_size_changes_no_row(pool: PostgresPool) -> None:
    await finished(pool, "run")
    async with PostgresExportStore(pool).snapshot("run") as run:
        for table in (*tables.PARQUET_TABLES, tables.NODES):
            read = [
                [row for block in [block async for block in run.blocks(replace(table, block=size))] for row in block]
                for size in (1, 2, table.block)
            ]
            batches = [table.batch(rows) for rows in read]
            assert batches[0] == batches[1] == batches[2]
            assert len(read[0]) == await run.count(table) > 0


async def test_kind_leaves_entities_of_other_kinds_out(pool: PostgresPool, settings: Settings, tmp_path: Path) -> None:
    await finished(pool, "run")
    identities = await said_by_sql(pool, "identities")
    kind = identities[0]["kind"]
    wanted = {row["identity_id"] for row in identities if row["kind"] == kind}
    ended = await export(settings, "run", "json", tmp_path / "graph.json", "--kind", kind)
    assert ended.code == 0, ended
    graph = json.loads((tmp_path / "graph.json").read_text("utf-8"))
    assert {node["id"] for node in graph["nodes"]} == wanted
    assert all({edge["source"], edge["target"]} <= wanted for edge in graph["edges"])
    refused = await export(settings, "run", "csv", tmp_path / "tables", "--kind", "planet")
    assert (refused.code, "its kinds are" in refused.stderr) == (2, True)
    assert not (tmp_path / "tables").exists()
