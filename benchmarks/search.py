"""Search over a run of many chunks: how long a query takes, and how much of the exact answer it finds.

    python benchmarks/search.py [--chunks 100000] [--queries 200] [--seed 1] [--corpus FOLDER ...] [--json FILE]

Passages are made of sentences and words of the samples in random order. With --corpus they are the chunks of the real
documents in these folders, and after them chunks of their sentences in random order; queries are then words of the real
ones. Each query is asked three times and, in a round of its own, without signatures, which is exact. Everything is in a
Postgres of its own.
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
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.process_exit import run_main
from perdure.analysis.annotations import EMBEDDING_DIMENSIONS
from perdure.analysis.chunking import chunk
from perdure.analysis.embeddings import WordLlamaEmbedder
from perdure.documents.extraction import extract
from perdure.documents.sniffing import sniff
from perdure.errors import DocumentError
from perdure.services.search import CANDIDATES, MAX_QUERY_CHARACTERS, SearchService
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.migrations import apply_migrations
from perdure.stores.postgres.outputs import OUTPUTS_SQL
from perdure.stores.postgres.search import PostgresPassageStore
from perdure.stores.postgres.signatures import make_signatures

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
RUN, PASSAGE_CHARACTERS, CHUNKS_A_DOCUMENT, PAGE = "benchmark", 600, 50, 5_000
WORDS_A_QUERY, ROUNDS = (1, 8), 3


def texts(folders: list[Path]) -> list[str]:
    """Of every document in them that can be read."""
    found = []
    for file in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        with suppress(DocumentError):
            found.append(extract(content, sniff(content, file.name)).text.replace("\0", " "))
    return found


def sentences(read: list[str]) -> list[str]:
    """All different ones that are more than a few words."""
    parts = {" ".join(one.split()) for text in read for one in re.split(r"(?<=[.!?;])\s+|\n+", text)}
    return sorted(one for one in parts if len(one) > len("a few words at least"))


def shuffled(chance: random.Random, stock: list[str], words: list[str], count: int) -> list[str]:
    """Passages of about 600 characters; half of the parts of each are jumbled words, if there are any."""
    made = []
    for _ in range(count):
        parts: list[str] = []
        while sum(map(len, parts)) < PASSAGE_CHARACTERS:
            jumble = words and chance.random() < 1 / 2
            parts.append(" ".join(chance.choices(words, k=8)) if jumble else chance.choice(stock))
        made.append(" ".join(parts))
    return made


def passages(chance: random.Random, folders: list[Path], count: int) -> tuple[list[str], list[str]]:
    """All passages, and those that queries come from."""
    read = texts(folders or [SAMPLES])
    stock = sentences(read)
    if not folders:
        made = shuffled(chance, stock, sorted({word for one in stock for word in one.split()}), count)
        return made, made
    real = [text[one.start : one.end] for text in read for one in chunk(text)][:count]
    return real + shuffled(chance, stock, [], count - len(real)), real


def query(chance: random.Random, made: list[str]) -> str:
    """Some words of a passage, as they stand there."""
    while True:
        words = chance.choice(made).split()
        count = chance.randint(*WORDS_A_QUERY)
        first = chance.randrange(max(1, len(words) - count))
        asked = " ".join(word.strip("-\"'") for word in words[first : first + count])[: MAX_QUERY_CHARACTERS - 4]
        if any(character.isalnum() for character in asked):
            return f"{asked} and"


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
                RUN,
                position,
                f"file:///{position}.txt",
                len(own),
            )
            await conn.execute(
                "INSERT INTO document_texts VALUES ($1, $2, $3, $4)", RUN, position, "\n".join(own), starts[:-1:10]
            )
            await conn.execute(
                *OUTPUTS_SQL["insert_chunks"].bind(
                    workflow_id=RUN,
                    position=position,
                    first_ordinal=0,
                    starts=starts[:-1],
                    ends=[first + len(one) for first, one in zip(starts, own, strict=False)],
                    embeddings=embedder.embed(own).ravel().tolist(),
                    passages=own,
                    dimensions=EMBEDDING_DIMENSIONS,
                )
            )
    async with pool.transaction() as conn:
        began = time.perf_counter()
        await make_signatures(conn, RUN)
        took = time.perf_counter() - began
    async with pool.connection() as conn:
        await conn.execute("VACUUM ANALYZE")
    return took


async def ask(pool: PostgresPool, queries: list[str]) -> dict[str, Any]:
    """Milliseconds of whole searches, and how many of the ten and hundred nearest are found."""
    store, embedder = PostgresPassageStore(pool), WordLlamaEmbedder()
    service = SearchService(store, embedder)
    took: list[float] = []
    fastest: list[float] = []
    await service.search(RUN, queries[0], 10)  # loads the model
    for one in queries:
        rounds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = await service.search(RUN, one, 10)
            rounds.append((time.perf_counter() - began) * 1e3)
            assert found, one
        took += rounds
        fastest.append(min(rounds))
    exact_took, recalls = [], {10: [], CANDIDATES: []}  # type: ignore[var-annotated]
    for one in queries:
        (vector,) = embedder.embed([one])
        near = await store.by_nearness(RUN, vector, CANDIDATES)
        began = time.perf_counter()
        async with pool.connection() as conn:
            rows = await conn.fetch(
                """SELECT position, ordinal FROM chunks WHERE workflow_id = $1
                   ORDER BY embedding <=> $2::real[]::vector(256), position, ordinal LIMIT $3""",
                RUN,
                vector.tolist(),
                CANDIDATES,
            )
        exact_took.append((time.perf_counter() - began) * 1e3)
        exact = [tuple(row) for row in rows]
        for count, seen in recalls.items():
            seen.append(len(set(exact[:count]) & set(near[:count])) / count)
    return {
        "search_ms": _percentiles(took),
        "fastest_of_rounds_ms": _percentiles(fastest),
        "exact_nearness_ms": {"p50": statistics.median(exact_took)},
        "recall": {str(count): statistics.mean(seen) for count, seen in recalls.items()},
    }


def _percentiles(numbers: list[float]) -> dict[str, float]:
    hundredths = statistics.quantiles(numbers, n=100)
    return {"p50": hundredths[49], "p95": hundredths[94], "p99": hundredths[98]}


async def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[])
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
            made, asked_of = passages(chance, given.corpus, given.chunks)
            indexing = await fill(pool, made)
            queries = [query(chance, asked_of) for _ in range(given.queries)]
            found = await ask(pool, queries)
        finally:
            await pool.close()
            server.stop()
    found |= {"chunks": len(made), "queries": given.queries, "seed": given.seed, "indexing_seconds": indexing}
    found |= {"passages": "real" if given.corpus else "made", "real_chunks": len(asked_of) if given.corpus else 0}
    found["load"] = os.getloadavg()
    times, fastest = found["search_ms"], found["fastest_of_rounds_ms"]
    print(f"{given.queries} queries, {ROUNDS} times each, seed {given.seed}, load {found['load'][0]:.1f}\n")
    print("| passages | chunks | search, p50 ms | p95 ms | p99 ms | p95 of the fastest of each query, ms ", end="")
    print("| exact nearness alone, p50 ms | recall@10 | recall@100 | indexing, s |")
    print("| --- |" + " ---: |" * 9)
    print(
        f"| {found['passages']} | {len(made):,} | {times['p50']:.1f} | {times['p95']:.1f} | {times['p99']:.1f} "
        f"| {fastest['p95']:.1f} | {found['exact_nearness_ms']['p50']:.1f} "
        f"| {found['recall']['10']:.3f} | {found['recall'][str(CANDIDATES)]:.3f} | {indexing:.1f} |"
    )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    run_main(main)
