"""Search over a run of many chunks: how long a query takes, and how much of the exact answer the index finds.

    python benchmarks/search.py [--chunks 100000] [--queries 200] [--seed 1] [--json FILE]

Passages are made of sentences of the samples in random order; queries are some words of a passage. Each query is asked
with the index of nearness and, in the same round, without it, which is exact. Everything is in a Postgres of its own.
"""

import argparse
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.process_exit import run_main
from perdure.documents.document import EMBEDDING_DIMENSIONS
from perdure.documents.embeddings import WordLlamaEmbedder
from perdure.documents.extraction import extract
from perdure.documents.sniffing import sniff
from perdure.services.search import CANDIDATES, SearchService
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.migrations import apply_migrations
from perdure.stores.postgres.outputs import CHUNKS
from perdure.stores.postgres.search import PostgresPassageStore
from perdure.stores.postgres.signatures import make_signatures

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
RUN, PASSAGE_CHARACTERS, CHUNKS_A_DOCUMENT, PAGE = "benchmark", 600, 50, 5_000
WORDS_A_QUERY = (1, 8)


def passages(chance: random.Random, count: int) -> list[str]:
    """Of about 600 characters each."""
    sentences: set[str] = set()
    for file in sorted(path for path in SAMPLES.rglob("*") if path.is_file()):
        content = file.read_bytes()
        text = extract(content, sniff(content, file.name)).text
        sentences |= {" ".join(one.split()) for one in re.split(r"(?<=[.!?;])\s+|\n+", text)}
    words = sorted({word for one in sentences for word in one.split()})
    stock = sorted(one for one in sentences if len(one) > len("a few words at least"))
    made = []
    for _ in range(count):
        parts: list[str] = []
        while sum(map(len, parts)) < PASSAGE_CHARACTERS:
            parts.append(chance.choice([chance.choice(stock), " ".join(chance.choices(words, k=8))]))
        made.append(" ".join(parts))
    return made


async def fill(pool: PostgresPool, made: list[str]) -> float:
    """A run with these passages; returns the seconds that its index took."""
    embedder = WordLlamaEmbedder()
    async with pool.transaction() as conn:
        await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1)", RUN)
        for position, start in enumerate(range(0, len(made), CHUNKS_A_DOCUMENT)):
            own = made[start : start + CHUNKS_A_DOCUMENT]
            starts = [0, *np.cumsum([len(one) + 1 for one in own]).tolist()]
            await conn.execute(
                """INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, status, epoch,
                                          ordinal, sha256, quality_score, chunk_count)
                   VALUES ($1, $2, $3, $3, 'file:///', 1, '1', 'processed', 1, $2, 'x', 1, $4)""",
                *(RUN, position, f"file:///{position}.txt", len(own)),
            )
            await conn.execute(
                "INSERT INTO document_texts VALUES ($1, $2, $3, $4)", RUN, position, "\n".join(own), starts[:-1:10]
            )
            await conn.execute(
                CHUNKS,
                *(RUN, position, 0),
                *(starts[:-1], [first + len(one) for first, one in zip(starts, own, strict=False)]),
                *(embedder.embed(own).ravel().tolist(), own, EMBEDDING_DIMENSIONS),
            )
    async with pool.transaction() as conn:
        began = time.perf_counter()
        await make_signatures(conn, RUN)
        took = time.perf_counter() - began
    async with pool.connection() as conn:
        await conn.execute("VACUUM ANALYZE")
    return took


async def ask(pool: PostgresPool, queries: list[str]) -> dict[str, Any]:
    """Milliseconds of whole searches, and how many of the ten and hundred nearest the index finds."""
    store, embedder = PostgresPassageStore(pool), WordLlamaEmbedder()
    service, took, recalls = SearchService(store, embedder), [], {10: [], CANDIDATES: []}  # type: ignore[var-annotated]
    exact_took = []
    for query in queries:
        began = time.perf_counter()
        found = await service.search(RUN, query, 10)
        took.append((time.perf_counter() - began) * 1e3)
        assert found, query
        (vector,) = embedder.embed([query])
        near = await store.by_nearness(RUN, vector, CANDIDATES)
        began = time.perf_counter()
        async with pool.connection() as conn:
            rows = await conn.fetch(
                """SELECT position, ordinal FROM chunks WHERE workflow_id = $1
                   ORDER BY embedding <=> $2::real[]::vector(256), position, ordinal LIMIT $3""",
                *(RUN, vector.tolist(), CANDIDATES),
            )
        exact_took.append((time.perf_counter() - began) * 1e3)
        exact = [tuple(row) for row in rows]
        for count, seen in recalls.items():
            seen.append(len(set(exact[:count]) & set(near[:count])) / count)
    hundredths = statistics.quantiles(took, n=100)
    return {
        "search_ms": {"p50": hundredths[49], "p95": hundredths[94], "p99": hundredths[98]},
        "exact_nearness_ms": {"p50": statistics.median(exact_took)},
        "recall": {str(count): statistics.mean(seen) for count, seen in recalls.items()},
    }


async def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    chance = random.Random(given.seed)  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as name:
        Path(name).chmod(0o711)  # noqa: ASYNC240
        server = EmbeddedPostgres(Path(name))
        server.start()
        pool = PostgresPool(server.dsn(), command_timeout_seconds=3600)
        try:
            await apply_migrations(server.dsn())
            made = passages(chance, given.chunks)
            indexing = await fill(pool, made)
            queries = []
            for _ in range(given.queries):
                words = chance.choice(made).split()
                count = chance.randint(*WORDS_A_QUERY)
                first = chance.randrange(len(words) - count)
                queries.append(" ".join(word.strip("-\"'") for word in words[first : first + count]) + " and")
            found = await ask(pool, queries)
        finally:
            await pool.close()
            server.stop()
    found |= {"chunks": given.chunks, "queries": given.queries, "seed": given.seed, "indexing_seconds": indexing}
    found["load"] = os.getloadavg()
    times = found["search_ms"]
    print(f"{given.chunks} chunks, {given.queries} queries, seed {given.seed}\n")
    print("| search, p50 ms | p95 ms | p99 ms | exact nearness alone, p50 ms | recall@10 | recall@100 | indexing, s |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {times['p50']:.1f} | {times['p95']:.1f} | {times['p99']:.1f} | {found['exact_nearness_ms']['p50']:.1f} "
        f"| {found['recall']['10']:.3f} | {found['recall'][str(CANDIDATES)]:.3f} | {indexing:.1f} |"
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    run_main(main)
