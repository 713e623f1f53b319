"""How well and how fast the mentions of a run are resolved: generated runs with known truth, a real Postgres.

    python benchmarks/identities.py [--mentions 100000 1000000] [--seed 1] [--json FILE]

Mentions are loaded by COPY, then resolved as the activity of a finished run does it. Two runs of each size: one of the
names that the rules were looked at with, one of names kept apart from that, under another seed. Precision and recall
are pairwise and B-cubed over mentions. The oracle knows what every name means most often in the run, and gives it to
that in all documents: what is missing to 1 there is what one identity a name costs. Memory is the peak of a worker that
has done nothing else, and of its resolver.
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


async def load(pool: PostgresPool, run: str, made: Iterator[MadeMention]) -> None:
    """Documents and their mentions as the pipeline leaves them, a few thousand rows at a time."""
    async with pool.connection() as conn:
        await conn.execute("INSERT INTO runs (workflow_id, epoch) VALUES ($1, 1)", run)
        for _, piece in groupby(made, key=lambda one: one.position // 500):
            rows: list[tuple[Any, ...]] = []
            for position, document in groupby(piece, key=lambda one: one.position):
                rows += [
                    (run, position, ordinal, 0, 1, one.kind, one.surface, one.normalised, 0.9)
                    for ordinal, one in enumerate(document)
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
    """Peak resident bytes of this process and of its children while the block runs, beyond what was there before."""

    async def __aenter__(self) -> Self:
        self._me = psutil.Process()
        self.before = self.worker = self._me.memory_info().rss
        self.child = 0
        self.late = 0.0
        self._watch = asyncio.create_task(self._watching())
        return self

    async def _watching(self) -> None:
        while True:
            self.worker = max(self.worker, self._me.memory_info().rss)
            for child in self._me.children():
                try:
                    if "perdure.services.identity.child" in child.cmdline():
                        self.child = max(self.child, child.memory_info().rss)
                except psutil.Error:
                    continue
            began = time.perf_counter()
            await asyncio.sleep(0.02)
            self.late = max(self.late, time.perf_counter() - began - 0.02)

    async def __aexit__(self, *_: object) -> None:
        self._watch.cancel()


def quality(made: Iterator[MadeMention], found: dict[tuple[str, str], str]) -> dict[str, dict[str, float]]:
    """Precision and recall by kind, and over all."""
    cells = Counter((one.kind, one.truth, one.normalised) for one in made)
    best: dict[tuple[str, str], int] = {}
    for (kind, truth, name), _ in sorted(cells.items(), key=lambda cell: cell[1]):
        best[kind, name] = truth
    report = {}
    for wanted in (*KINDS, "all"):
        chosen = [cell for cell in cells if wanted in (cell[0], "all")]
        pairs = [(truth, found[kind, name]) for kind, truth, name in chosen for _ in range(cells[kind, truth, name])]
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
    """What a worker does, in a process that has done nothing else."""
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
    """Load one generated run, resolve it, and say how that went."""
    run = f"{label}-{mentions}"
    await load(pool, run, iter(GeneratedRun(seed, words, mentions)))
    worker = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--resolve", dsn, run, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await worker.communicate()
    measured = json.loads(said)
    async with pool.connection() as conn:
        rows = await conn.fetch(
            "SELECT kind, normalised, identity_id FROM identity_members WHERE workflow_id = $1", run
        )
    found = {(row["kind"], row["normalised"]): row["identity_id"] for row in rows}
    return {
        "names": label,
        "seed": seed,
        "distinct_names": len(found),
        **measured,
        "quality": quality(iter(GeneratedRun(seed, words, mentions)), found),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The measurements as Markdown."""
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
    """Measure, print the table, write the JSON."""
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
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - Postgres runs as another user where we are root
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
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rounds": rows}, indent=2))


if __name__ == "__main__":
    run_main(main)
