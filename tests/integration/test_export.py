"""An export is what the database says, whole, the same each time, and never in place of something else."""

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

from orchestration.settings import Settings
from orchestration.temporal_settings import TemporalSettings
from perdure.documents.document import ProcessedDocument
from perdure.services.analytics import AnalyticsService
from perdure.services.analytics.export import tables
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import PostgresIdentityStore
from tests.integration.command_line import Ended
from tests.integration.committed_run import committed, document
from tests.integration.shared_run import script

ADA, GRACE = ("person", "Ada Lovelace"), ("person", "Grace Hopper")
ODD = ("organisation", '=SUM(1), "Böse\x02 & Söhne"\r\n<Ltd> \U0001f409 \ufffe')
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


def documents() -> list[ProcessedDocument]:
    plain = document([ADA, GRACE, ODD])
    paged = replace(
        document([ADA, ODD, ("place", "London")]),
        page_offsets=(0, 20), title="", language="en", authors=('A "B", C', ""), warnings=("hm\n",),
        created="2024-02-29", modified="1815-12-10T23:59:59Z",
    )
    return [plain, paged, document([GRACE, ADA]), document([])]


async def finished(pool: PostgresPool, workflow_id: str, order: list[int]) -> None:
    epoch = await committed(pool, workflow_id, documents(), order)
    await PostgresIdentityStore(pool).resolve(workflow_id, epoch)
    await AnalyticsService(PostgresAnalyticsStore(pool)).build(workflow_id, epoch)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    pool = PostgresPool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(tmp_path, database_url, TemporalSettings("127.0.0.1:1"))


async def export(settings: Settings, run: str, form: str, path: Path, *more: str) -> Ended:
    return await script(settings, *("export", "-w", run, "--format", form, "--output", str(path)), *more)


async def said_by_sql(pool: PostgresPool, name: str) -> list[dict[str, Any]]:
    columns = ["real_score AS score" if (name, one) == ("aliases", "score") else one for one in columns_of(name)]
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
    [table] = [one for one in tables.CSV_TABLES if one.name == name]
    return list(table.schema.names)


async def test_parquet_and_csv_say_what_the_views_say(pool: PostgresPool, settings: Settings, tmp_path: Path) -> None:
    await finished(pool, "run", [0, 1, 2, 3])
    parquet, csv = tmp_path / "parquet", tmp_path / "csv"
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
    """With the types of the table, as anyone who knows them would."""
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
        parsed = pyarrow.array([json.loads(one) for one in read[name].to_pylist()], table.schema.field(name).type)
        read = read.set_column(read.schema.get_field_index(name), name, parsed)
    return read


async def test_graphml_and_json_say_what_the_graph_is(pool: PostgresPool, settings: Settings, tmp_path: Path) -> None:
    await finished(pool, "run", [0, 1, 2, 3])
    graphml, plain = tmp_path / "graph.graphml", tmp_path / "graph.json"
    for form, path in (("graphml", graphml), ("json", plain)):
        assert (await export(settings, "run", form, path)).code == 0
    identities, edges = await said_by_sql(pool, "identities"), await said_by_sql(pool, "edges")
    renamed = {"identity_id": "id", "mention_count": "mentions", "document_count": "documents"}
    expected = [{renamed.get(key, key): value for key, value in one.items()} for one in identities]
    for one in expected:
        del one["normalised"]

    read = json.loads(plain.read_text("utf-8"))
    assert (read["nodes"], read["edges"]) == (expected, edges)

    [graph] = rustworkx.read_graphml(str(graphml))
    for one in expected:
        one["name"] = one["name"].replace("\x02", "\ufffd").replace("\ufffe", "\ufffd")
    assert [{key: node[key] for key in expected[0]} for node in graph.nodes()] == expected
    found = {
        (graph[source]["id"], graph[target]["id"], edge["weight"])
        for source, target, edge in graph.weighted_edge_list()
    }
    assert found == {(one["source"], one["target"], one["weight"]) for one in edges}
