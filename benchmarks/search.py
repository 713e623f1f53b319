"""Measure the time and the recall of search over a run of many chunks.

    python benchmarks/search.py [--chunks 100000] [--queries 200] [--seed 1] [--corpus FOLDER ...] [--json FILE]

Without --corpus, passages are sentences and words of the samples in random order. With --corpus, passages are first the
chunks of the real documents in these folders, then their sentences in random order; the queries are words of the real
chunks. Each query runs 3 times. An exact search without signatures, in a separate round, gives the reference for the
recall. The benchmark starts a Postgres server for itself.
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
RUN = "benchmark"
PASSAGE_CHARACTERS = 600
MIN_SENTENCE_CHARACTERS = 20
CHUNKS_A_DOCUMENT = 50
WORDS_A_QUERY = (1, 8)
ROUNDS = 3


def read_texts(folders: list[Path]) -> list[str]:
    """Return the text of every document in the folders that can be extracted."""
    texts = []
    for file in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        with suppress(DocumentError):
            texts.append(extract(content, sniff(content, file.name)).text.replace("\0", " "))
    return texts


def split_sentences(texts: list[str]) -> list[str]:
    """Return the distinct sentences of more than 20 characters, sorted."""
    parts = {" ".join(part.split()) for text in texts for part in re.split(r"(?<=[.!?;])\s+|\n+", text)}
    return sorted(part for part in parts if len(part) > MIN_SENTENCE_CHARACTERS)


def compose_passages(chance: random.Random, sentences: list[str], words: list[str], count: int) -> list[str]:
    """Return passages of about 600 characters from random sentences and words.

    Args:
        chance: the source of randomness.
        sentences: the sentences to choose from.
        words: the words to choose from. Half of the parts of a passage are 8 random words. If `words` is empty, all
            parts are sentences.
        count: number of passages.
    """
    passages = []
    for _ in range(count):
        parts: list[str] = []
        while sum(map(len, parts)) < PASSAGE_CHARACTERS:
            jumble = words and chance.random() < 1 / 2
            parts.append(" ".join(chance.choices(words, k=8)) if jumble else chance.choice(sentences))
        passages.append(" ".join(parts))
    return passages


def make_passages(chance: random.Random, folders: list[Path], count: int) -> tuple[list[str], list[str]]:
    """Return `count` passages, and the passages from which the queries are taken."""
    texts = read_texts(folders or [SAMPLES])
    sentences = split_sentences(texts)
    if not folders:
        words = sorted({word for sentence in sentences for word in sentence.split()})
        passages = compose_passages(chance, sentences, words, count)
        return passages, passages
    real = [text[passage.start : passage.end] for text in texts for passage in chunk(text)][:count]
    return real + compose_passages(chance, sentences, [], count - len(real)), real


def make_query(chance: random.Random, passages: list[str]) -> str:
    """Return some consecutive words of a random passage."""
    while True:
        words = chance.choice(passages).split()
        count = chance.randint(*WORDS_A_QUERY)
        first = chance.randrange(max(1, len(words) - count))
        text = " ".join(word.strip("-\"'") for word in words[first : first + count])[: MAX_QUERY_CHARACTERS - 4]
        if any(character.isalnum() for character in text):
            return f"{text} and"


async def store(pool: PostgresPool, passages: list[str]) -> float:
    """Store a run with these passages, and return the seconds that its search index took."""
    embedder = WordLlamaEmbedder()
    async with pool.transaction() as conn:
        await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1)", RUN)
        for position, start in enumerate(range(0, len(passages), CHUNKS_A_DOCUMENT)):
            own = passages[start : start + CHUNKS_A_DOCUMENT]
            starts = [0, *np.cumsum([len(passage) + 1 for passage in own]).tolist()]
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
                    ends=[first + len(passage) for first, passage in zip(starts, own, strict=False)],
                    embeddings=embedder.embed(own).ravel().tolist(),
                    passages=own,
                    dimensions=EMBEDDING_DIMENSIONS,
                )
            )
    async with pool.transaction() as conn:
        began = time.perf_counter()
        await make_signatures(conn, RUN)
        seconds = time.perf_counter() - began
    async with pool.connection() as conn:
        await conn.execute("VACUUM ANALYZE")
    return seconds


async def measure_searches(pool: PostgresPool, queries: list[str]) -> dict[str, Any]:
    """Run all queries; return times in milliseconds, and the recall of nearness search."""
    passage_store = PostgresPassageStore(pool)
    embedder = WordLlamaEmbedder()
    service = SearchService(passage_store, embedder)
    milliseconds: list[float] = []
    fastest: list[float] = []
    await service.search(RUN, queries[0], 10)  # the first search loads the model
    for query in queries:
        rounds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            hits = await service.search(RUN, query, 10)
            rounds.append((time.perf_counter() - began) * 1e3)
            assert hits, query
        milliseconds += rounds
        fastest.append(min(rounds))
    exact_milliseconds: list[float] = []
    recalls: dict[int, list[float]] = {10: [], CANDIDATES: []}
    for query in queries:
        (vector,) = embedder.embed([query])
        near = await passage_store.by_nearness(RUN, vector, CANDIDATES)
        began = time.perf_counter()
        async with pool.connection() as conn:
            rows = await conn.fetch(
                """SELECT position, ordinal FROM chunks WHERE workflow_id = $1
                   ORDER BY embedding <=> $2::real[]::vector(256), position, ordinal LIMIT $3""",
                RUN,
                vector.tolist(),
                CANDIDATES,
            )
        exact_milliseconds.append((time.perf_counter() - began) * 1e3)
        exact = [tuple(row) for row in rows]
        for count, shares in recalls.items():
            shares.append(len(set(exact[:count]) & set(near[:count])) / count)
    return {
        "search_ms": _percentiles(milliseconds),
        "fastest_of_rounds_ms": _percentiles(fastest),
        "exact_nearness_ms": {"p50": statistics.median(exact_milliseconds)},
        "recall": {str(count): statistics.mean(shares) for count, shares in recalls.items()},
    }


def _percentiles(numbers: list[float]) -> dict[str, float]:
    hundredths = statistics.quantiles(numbers, n=100)
    return {"p50": hundredths[49], "p95": hundredths[94], "p99": hundredths[98]}


async def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as name:
        Path(name).chmod(0o711)  # noqa: ASYNC240
        server = EmbeddedPostgres(Path(name))
        server.start()
        pool = PostgresPool(server.dsn(), command_timeout_seconds=3600)
        try:
            await apply_migrations(server.dsn())
            passages, query_sources = make_passages(chance, arguments.corpus, arguments.chunks)
            indexing = await store(pool, passages)
            queries = [make_query(chance, query_sources) for _ in range(arguments.queries)]
            results = await measure_searches(pool, queries)
        finally:
            await pool.close()
            server.stop()
    results |= {
        "chunks": len(passages),
        "queries": arguments.queries,
        "seed": arguments.seed,
        "indexing_seconds": indexing,
    }
    results["passages"] = "real" if arguments.corpus else "made"
    results["real_chunks"] = len(query_sources) if arguments.corpus else 0
    results["load"] = os.getloadavg()
    times = results["search_ms"]
    fastest = results["fastest_of_rounds_ms"]
    print(f"{arguments.queries} queries, {ROUNDS} times each, seed {arguments.seed}, load {results['load'][0]:.1f}\n")
    print("| passages | chunks | search, p50 ms | p95 ms | p99 ms | p95 of each query's fastest round, ms ", end="")
    print("| exact nearness alone, p50 ms | recall@10 | recall@100 | indexing, s |")
    print("| --- |" + " ---: |" * 9)
    print(
        f"| {results['passages']} | {len(passages):,} | {times['p50']:.1f} | {times['p95']:.1f} | {times['p99']:.1f} "
        f"| {fastest['p95']:.1f} | {results['exact_nearness_ms']['p50']:.1f} "
        f"| {results['recall']['10']:.3f} | {results['recall'][str(CANDIDATES)]:.3f} | {indexing:.1f} |"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    run_main(main)
