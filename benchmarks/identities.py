"""Measure the quality, time and memory of identity resolution on generated runs.

    python benchmarks/identities.py [--mentions 100000 1000000] [--seed 1] [--json FILE]

The benchmark loads the mentions by COPY, then resolves them by the service of the product. Each size has two runs with
different seeds: `open` has the names with which the rules were developed, `apart` has disjoint names. Precision and
recall are pairwise and B-cubed over mentions. The oracle gives each name its most frequent true identity in all
documents. The distance of the oracle from 1 is therefore the cost of the rule that a name has a single identity in a
run. Memory is the peak of a new worker process and of its resolver process.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.process_exit import run_main
from perdure.services.identity import IdentityService
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import PostgresIdentityStore
from perdure.stores.postgres.migrations import apply_migrations
from tests.identities.generated import GeneratedRun, MadeMention
from tests.identities.scores import b_cubed, pairwise
from tests.identities.word_lists import APART, OPEN, WordLists

KINDS = ("person", "organisation", "place")
LISTS = {"open": OPEN, "apart": APART}


async def load(pool: PostgresPool, run: str, mentions: Iterator[MadeMention]) -> None:
    """Store a run with its documents and mentions, 500 documents at a time."""
    async with pool.connection() as conn:
        await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1)", run)
        for _, piece in groupby(mentions, key=lambda mention: mention.position // 500):
            rows: list[tuple[Any, ...]] = []
            for position, document in groupby(piece, key=lambda mention: mention.position):
                rows += [
                    (run, position, ordinal, 0, 1, mention.kind, mention.surface, mention.normalised, 0.9)
                    for ordinal, mention in enumerate(document)
                ]
            counts = Counter(row[1] for row in rows)
            await conn.executemany(
                """INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, status, epoch,
                                          ordinal, sha256, quality_score, mention_count)
                   VALUES ($1, $2, $4, '', '', 1, '1', 'processed', 1, $2, 'aa', 1, $3)""",
                [(run, position, count, str(position)) for position, count in counts.items()],
            )
            await conn.executemany(
                "INSERT INTO document_texts VALUES ($1, $2, '', '{}')", [(run, position) for position in counts]
            )
            await conn.copy_records_to_table("mentions", records=rows)
        await conn.execute("ANALYZE mentions, documents")


class PeakMemory:
    """Watches the peak resident bytes of this process and of its resolver while the block runs."""

    async def __aenter__(self) -> Self:
        """Start the watch."""
        self._process = psutil.Process()
        self.before = self._process.memory_info().rss
        self.worker = self.before
        self.child = 0
        self.late = 0.0
        self._watch = asyncio.create_task(self._watching())
        return self

    async def _watching(self) -> None:
        while True:
            self.worker = max(self.worker, self._process.memory_info().rss)
            for child in self._process.children():
                try:
                    if "perdure.services.identity.child" in child.cmdline():
                        self.child = max(self.child, child.memory_info().rss)
                except psutil.Error:
                    continue
            began = time.perf_counter()
            await asyncio.sleep(0.02)
            self.late = max(self.late, time.perf_counter() - began - 0.02)

    async def __aexit__(self, *_: object) -> None:
        """End the watch."""
        self._watch.cancel()


def measure_quality(
    mentions: Iterator[MadeMention], resolved: dict[tuple[str, str], str]
) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 for each kind, and for all kinds together.

    Args:
        mentions: the generated mentions with their true identities.
        resolved: kind and normalised form to the resolved identity.
    """
    cells = Counter((mention.kind, mention.truth, mention.normalised) for mention in mentions)
    best: dict[tuple[str, str], int] = {}
    for (kind, truth, name), _ in sorted(cells.items(), key=lambda cell: cell[1]):
        best[kind, name] = truth
    report = {}
    for wanted in (*KINDS, "all"):
        chosen = [cell for cell in cells if wanted in (cell[0], "all")]
        pairs = [(truth, resolved[kind, name]) for kind, truth, name in chosen for _ in range(cells[kind, truth, name])]
        oracle = [(truth, best[kind, name]) for kind, truth, name in chosen for _ in range(cells[kind, truth, name])]
        report[wanted] = {
            f"{measure}_{part}": round(getattr(score, part), 4)
            for measure, score in {
                "pairwise": pairwise(pairs),
                "b_cubed": b_cubed(pairs),
                "oracle_pairwise": pairwise(oracle),
                "oracle_b_cubed": b_cubed(oracle),
            }.items()
            for part in ("precision", "recall", "f1")
        }
    return report


async def resolve(dsn: str, run: str) -> dict[str, Any]:
    """Resolve a stored run as a worker does; return counts, seconds and memory in MiB."""
    pool = PostgresPool(dsn)
    began = time.perf_counter()
    async with PeakMemory() as peak:
        summary = await IdentityService(PostgresIdentityStore(pool)).resolve(run, 1)
    seconds = time.perf_counter() - began
    await pool.close()
    return {
        "mentions": summary.mentions,
        "identities": summary.identities,
        "resolution_rate": summary.resolution_rate,
        "seconds": round(seconds, 2),
        "worker_peak_mb": round(peak.worker / 2**20, 1),
        "worker_grew_mb": round((peak.worker - peak.before) / 2**20, 1),
        "resolver_peak_mb": round(peak.child / 2**20, 1),
        "event_loop_late_ms": round(peak.late * 1000, 1),
    }


async def measure(
    pool: PostgresPool, dsn: str, label: str, words: WordLists, seed: int, mentions: int
) -> dict[str, Any]:
    """Load a generated run, resolve it in a new process, and return the measurements."""
    run = f"{label}-{mentions}"
    await load(pool, run, iter(GeneratedRun(seed, words, mentions)))
    worker = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--resolve", dsn, run, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await worker.communicate()
    measured = json.loads(output)
    async with pool.connection() as conn:
        rows = await conn.fetch(
            "SELECT kind, normalised, identity_id FROM identity_members WHERE workflow_id = $1", run
        )
    resolved = {(row["kind"], row["normalised"]): row["identity_id"] for row in rows}
    return {
        "names": label,
        "seed": seed,
        "distinct_names": len(resolved),
        **measured,
        "quality": measure_quality(iter(GeneratedRun(seed, words, mentions)), resolved),
    }


def format_table(rows: list[dict[str, Any]]) -> str:
    """Return the measurements as a Markdown table."""
    lines = [
        "| names | mentions | distinct | seconds | worker | resolver | kind | pairwise | B-cubed | oracle, B-cubed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        for kind, q in row["quality"].items():
            head = f"{row['names']} | {row['mentions']:,} | {row['distinct_names']:,} | {row['seconds']:.1f} "
            memory = f"| {row['worker_peak_mb']:.0f} MB | {row['resolver_peak_mb']:.0f} MB "
            scores = [
                " / ".join(f"{q[f'{name}_{part}']:.3f}" for part in ("precision", "recall", "f1"))
                for name in ("pairwise", "b_cubed")
            ]
            best = f"{q['oracle_b_cubed_precision']:.3f} / {q['oracle_b_cubed_recall']:.3f}"
            lines.append(f"| {head}{memory}| {kind} | {scores[0]} | {scores[1]} | {best} |")
    return "\n".join(lines)


async def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mentions", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--names", choices=LISTS, nargs="+", default=list(LISTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resolve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.resolve:
        print(json.dumps(await resolve(*arguments.resolve)))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - started by root, Postgres runs as another user
        server = EmbeddedPostgres(Path(folder) / "servers")
        server.start()
        try:
            server.create_database("identities")
            await apply_migrations(server.dsn("identities"))
            pool = PostgresPool(server.dsn("identities"))
            for mentions in arguments.mentions:
                for offset, label in enumerate(arguments.names):
                    rows.append(
                        await measure(
                            pool, server.dsn("identities"), label, LISTS[label], arguments.seed + offset, mentions
                        )
                    )
                    print(json.dumps({name: value for name, value in rows[-1].items() if name != "quality"}))
            await pool.close()
        finally:
            server.stop()
    print(format_table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rounds": rows}, indent=2))


if __name__ == "__main__":
    run_main(main)
