"""How fast a run's graph is built and exported, and in how much memory: generated runs, a real Postgres.

    python benchmarks/analytics.py [--mentions 100000 1000000] [--seed 1] [--json FILE]

Each step runs twice, in processes that do nothing else: as Perdure does it, and as a plain program would, which reads
all rows into one process and hands them to the same libraries. The plain graph is rustworkx and Leiden over pairs that
Python counts; plain files are those of the `csv` and `json` modules, of `rustworkx.write_graphml` and of one Parquet
table. Memory is the peak of the process, and for the graph that of the ranking process as well.
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
    """The graph as a finished run gets it."""
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    peak = max(peak, child.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    made = await AnalyticsService(PostgresAnalyticsStore(pool)).build(RUN, 1)
    watching.cancel()
    return {"nodes": made.nodes, "edges": made.edges, "ranking_mb": round(peak / MEGABYTE)}


async def build_plainly(pool: PostgresPool) -> dict[str, Any]:
    """The same numbers, with everything in one process."""
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
    """As the command `export`."""
    return {"rows": await export_run(PostgresExportStore(pool), RUN, form, path, lambda *_: None)}


async def export_plainly(pool: PostgresPool, form: ExportFormat, path: Path) -> dict[str, Any]:
    """All rows in lists, then the files."""
    graph, wanted = (NODES, EDGES), PARQUET_TABLES if form is ExportFormat.PARQUET else CSV_TABLES
    found = {}
    async with PostgresExportStore(pool).snapshot(RUN) as run:
        for table in graph if form.is_graph else wanted:
            found[table.name] = [row for block in [block async for block in run.blocks(table)] for row in block]
    if form.is_graph:
        nodes, edges = ([dict(zip(of.schema.names, row, strict=True)) for row in found[of.name]] for of in graph)
        write = _graphml if form is ExportFormat.GRAPHML else _json
        write(path, nodes, edges)
    for table in () if form.is_graph else wanted:
        file = path / f"{table.name}.{form}"
        if form is ExportFormat.PARQUET:
            whole = pa.Table.from_batches([table.batch(found[table.name])])
            pyarrow.parquet.write_table(whole, file, compression="zstd")
        else:
            with file.open("w", newline="") as stream:
                csv.writer(stream).writerows([table.schema.names, *found[table.name]])
    return {"rows": {name: len(rows) for name, rows in found.items()}}


def _json(path: Path, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"nodes": nodes, "edges": edges}))


def _graphml(path: Path, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> None:
    graph = rustworkx.PyGraph()
    place = dict(zip((node["identity_id"] for node in nodes), graph.add_nodes_from(nodes), strict=True))
    graph.add_edges_from([(place[edge["source"]], place[edge["target"]], edge) for edge in edges])
    rustworkx.graph_write_graphml(graph, str(path))


async def step(dsn: str, name: str, way: str, folder: str) -> dict[str, Any]:
    """One step, in this process."""
    pool = PostgresPool(dsn)
    began = time.perf_counter()
    path = Path(folder) / f"{name}-{way}"
    if name == "graph":
        found = await (build if way == "perdure" else build_plainly)(pool)
    else:
        form = ExportFormat(name)
        if not form.is_graph:
            path.mkdir()
        found = await (export if way == "perdure" else export_plainly)(pool, form, path)
    seconds = time.perf_counter() - began
    await pool.close()
    files = list(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return {
        "step": name,
        "way": way,
        "seconds": round(seconds, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "file_mb": round(sum(file.stat().st_size for file in files) / MEGABYTE, 1),
        **found,
    }


async def prepare(dsn: str, mentions: int, seed: int) -> dict[str, Any]:
    """A resolved run of about that many mentions."""
    pool = PostgresPool(dsn)
    await load(pool, RUN, iter(GeneratedRun(seed, OPEN, mentions)))
    async with pool.connection() as conn:
        await conn.execute("UPDATE documents SET characters = 0, chunk_count = 0", timeout=600)
    found = await IdentityService(PostgresIdentityStore(pool)).resolve(RUN, 1)
    await pool.close()
    return {"mentions": found.mentions, "identities": found.identities}


async def add_chunks(dsn: str) -> None:
    """One a document: added after the graph, which would index them for search."""
    pool = PostgresPool(dsn)
    async with pool.connection() as conn:
        await conn.execute(_CHUNKS, RUN, timeout=600)
    await pool.close()


async def measure(dsn: str, folder: str, mentions: int, seed: int) -> list[dict[str, Any]]:
    """All steps over one run, each way."""
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


def table(rows: list[dict[str, Any]]) -> str:
    """The measurements as Markdown, both ways in one line."""
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
    """Measure, print the table, write the JSON."""
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
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - Postgres runs as another user where we are root
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
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"steps": rows}, indent=2))


if __name__ == "__main__":
    run_main(main)
