"""Measure the time and memory of building and exporting the graph of a run.

    python benchmarks/analytics.py [--mentions 100000 1000000] [--seed 1] [--json FILE]

Each step runs twice, each time in a new process: once with Perdure's code, and once as a plain program. The plain
program reads all rows into memory and uses the same libraries. Its graph uses rustworkx and Leiden over pairs that
Python counts. Its files come from the `csv` and `json` modules, from `rustworkx.graph_write_graphml` and from a single
Parquet table. Memory is the peak of the process. For the graph, the peak of the ranking process is added.
"""

import argparse
import asyncio
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
import pyarrow as pa
import pyarrow.parquet
import rustworkx

from benchmarks.identities import load
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.process_exit import run_main
from orchestration.queries.export import export_run
from perdure.services.analytics import MAX_IDENTITIES_PER_DOCUMENT, AnalyticsService
from perdure.services.analytics.export import ExportFormat
from perdure.services.analytics.export.tables import CSV_TABLES, EDGES, NODES, PARQUET_TABLES
from perdure.services.analytics.ranking import rank_graph
from perdure.services.identity import IdentityService
from perdure.stores.postgres.analytics import ANALYTICS_SQL, PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.exports import PostgresExportStore
from perdure.stores.postgres.identities import PostgresIdentityStore
from perdure.stores.postgres.migrations import apply_migrations
from tests.identities.generated import GeneratedRun
from tests.identities.word_lists import OPEN

RUN = "run"
WAYS = ("perdure", "plain")
MEGABYTE = 2**20
_CHUNKS = """
INSERT INTO chunks (workflow_id, position, ordinal, start_offset, end_offset, embedding)
SELECT workflow_id, position, 0, 0, 0,
       (SELECT array_agg(sin(n * (position + 1))::real) FROM generate_series(1, 256) AS n)::vector
FROM documents WHERE workflow_id = $1
"""


async def build(pool: PostgresPool) -> dict[str, Any]:
    """Build the graph by the service of the product; return sizes and peak memory in MiB."""
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    peak = max(peak, child.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    graph = await AnalyticsService(PostgresAnalyticsStore(pool)).build(RUN, 1)
    watching.cancel()
    return {"nodes": graph.nodes, "edges": graph.edges, "ranking_mb": round(peak / MEGABYTE)}


async def build_plainly(pool: PostgresPool) -> dict[str, Any]:
    """Build the same graph with all rows in the memory of this process."""
    async with pool.connection() as conn:
        identities = [row[0] for row in await conn.fetch("SELECT identity_id FROM identities", timeout=600)]
        statement = ANALYTICS_SQL["list_chosen_identities"].bind(
            workflow_id=RUN, max_identities=MAX_IDENTITIES_PER_DOCUMENT
        )
        chosen = await conn.fetch(*statement, timeout=600)
    pairs: Counter[tuple[str, str]] = Counter()
    for _, together in groupby(chosen, key=lambda row: row["position"]):
        pairs.update(combinations(sorted(row["identity_id"] for row in together), 2))
    nodes = list(rank_graph(identities, [(source, target, weight) for (source, target), weight in pairs.items()]))
    return {"nodes": len(nodes), "edges": len(pairs), "ranking_mb": 0}


async def export(pool: PostgresPool, form: ExportFormat, path: Path) -> dict[str, Any]:
    """Export the run by the code of the command `export`."""
    return {"rows": await export_run(PostgresExportStore(pool), RUN, form, path, lambda *_: None)}


async def export_plainly(pool: PostgresPool, form: ExportFormat, path: Path) -> dict[str, Any]:
    """Read all rows into lists, then write the files."""
    graph_tables = (NODES, EDGES)
    file_tables = PARQUET_TABLES if form is ExportFormat.PARQUET else CSV_TABLES
    rows: dict[str, list[Any]] = {}
    async with PostgresExportStore(pool).snapshot(RUN) as run:
        for table in graph_tables if form.is_graph else file_tables:
            rows[table.name] = [row for block in [block async for block in run.blocks(table)] for row in block]
    if form.is_graph:
        nodes, edges = (
            [dict(zip(table.schema.names, row, strict=True)) for row in rows[table.name]] for table in graph_tables
        )
        write = _write_graphml if form is ExportFormat.GRAPHML else _write_json
        write(path, nodes, edges)
    for table in () if form.is_graph else file_tables:
        file = path / f"{table.name}.{form}"
        if form is ExportFormat.PARQUET:
            whole = pa.Table.from_batches([table.batch(rows[table.name])])
            pyarrow.parquet.write_table(whole, file, compression="zstd")
        else:
            with file.open("w", newline="") as stream:
                csv.writer(stream).writerows([table.schema.names, *rows[table.name]])
    return {"rows": {name: len(blocks) for name, blocks in rows.items()}}


def _write_json(path: Path, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"nodes": nodes, "edges": edges}))


def _write_graphml(path: Path, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> None:
    graph = rustworkx.PyGraph()
    place = dict(zip((node["identity_id"] for node in nodes), graph.add_nodes_from(nodes), strict=True))
    graph.add_edges_from([(place[edge["source"]], place[edge["target"]], edge) for edge in edges])
    rustworkx.graph_write_graphml(graph, str(path))


async def step(dsn: str, name: str, way: str, folder: str) -> dict[str, Any]:
    """Run a step in this process, and return its measurements.

    Args:
        dsn: the database of the run.
        name: `graph`, or an export format.
        way: one of `WAYS`.
        folder: the folder of the exported files.
    """
    pool = PostgresPool(dsn)
    began = time.perf_counter()
    path = Path(folder) / f"{name}-{way}"
    if name == "graph":
        result = await (build if way == "perdure" else build_plainly)(pool)
    else:
        form = ExportFormat(name)
        if not form.is_graph:
            path.mkdir()
        result = await (export if way == "perdure" else export_plainly)(pool, form, path)
    seconds = time.perf_counter() - began
    await pool.close()
    files = list(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return {
        "step": name,
        "way": way,
        "seconds": round(seconds, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "file_mb": round(sum(file.stat().st_size for file in files) / MEGABYTE, 1),
        **result,
    }


async def prepare(dsn: str, mentions: int, seed: int) -> dict[str, Any]:
    """Store and resolve a generated run of about `mentions` mentions; return its real size."""
    pool = PostgresPool(dsn)
    await load(pool, RUN, iter(GeneratedRun(seed, OPEN, mentions)))
    async with pool.connection() as conn:
        await conn.execute("UPDATE documents SET characters = 0, chunk_count = 0", timeout=600)
    summary = await IdentityService(PostgresIdentityStore(pool)).resolve(RUN, 1)
    await pool.close()
    return {"mentions": summary.mentions, "identities": summary.identities}


async def add_chunks(dsn: str) -> None:
    """Store a chunk for each document.

    Called after the graph step, because that step would index the chunks for search.
    """
    pool = PostgresPool(dsn)
    async with pool.connection() as conn:
        await conn.execute(_CHUNKS, RUN, timeout=600)
    await pool.close()


async def measure(dsn: str, folder: str, mentions: int, seed: int) -> list[dict[str, Any]]:
    """Measure all steps over a run, each in both ways."""
    run = await prepare(dsn, mentions, seed)
    rows = []
    for name in ("graph", *ExportFormat):
        if name == ExportFormat.PARQUET:
            await add_chunks(dsn)
        for way in WAYS:
            command = [sys.executable, __file__, "--step", dsn, name, way, folder]
            done = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, check=True)
            rows.append({**run, **json.loads(done.stdout)})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def format_table(rows: list[dict[str, Any]]) -> str:
    """Return the measurements as a Markdown table, both ways of a step in the same line."""
    lines = [
        "| mentions | step | seconds | peak memory | plain: seconds | plain: peak memory | file |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for ours, plain in zip(rows[::2], rows[1::2], strict=True):
        memory = f"{ours['peak_mb']} MB" + (f" + {ours['ranking_mb']} MB" if ours.get("ranking_mb") else "")
        size = f"{ours['file_mb']} MB" if ours["file_mb"] else ""
        lines.append(
            f"| {ours['mentions']:,} | {ours['step']} | {ours['seconds']:.1f} | {memory} "
            f"| {plain['seconds']:.1f} | {plain['peak_mb']} MB | {size} |"
        )
    return "\n".join(lines)


async def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mentions", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(await step(*arguments.step)))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - started by root, Postgres runs as another user
        server = EmbeddedPostgres(Path(folder) / "servers")
        server.start()
        try:
            for number, mentions in enumerate(arguments.mentions):
                name = f"run{number}"
                server.create_database(name)
                await apply_migrations(server.dsn(name))
                files = Path(folder) / name
                files.mkdir()
                rows += await measure(server.dsn(name), str(files), mentions, arguments.seed)
                shutil.rmtree(files)
                server.drop_database(name)
        finally:
            server.stop()
    print(format_table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"steps": rows}, indent=2))


if __name__ == "__main__":
    run_main(main)
