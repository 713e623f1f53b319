"""Measure the time from SIGKILL of a worker to the next committed document.

    python benchmarks/recovery.py [--kills 50] [--seed N] [--json FILE]

The benchmark measures three ways of recovery in turn, over the same documents, with the default settings (heartbeat
timeout 30 s). `supervised`: `worker.py --supervise` restarts its worker. `restarted`: the benchmark starts a new
`worker.py` at once. `neighbour`: no worker is started, but a second worker of the same data folder is alive. Each kill
comes at a random moment while documents are processed. A time is the difference between the column `committed_at` of
Postgres and the kill, on the same host. The time includes the start of the new process.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.configured import read_settings
from orchestration.embedded.stack import EmbeddedStack
from orchestration.process_exit import run_main
from orchestration.settings import Settings
from orchestration.worker.slot import live_workers
from workflows.messages import PipelineOptions

ROOT = Path(__file__).resolve().parents[1]
SETTLE_SECONDS = (0.5, 2.0)
"""Shortest and longest time between a recovery and the next kill."""
GIVE_UP_SECONDS = 90.0
WAYS = ("supervised", "restarted", "neighbour")
TEXT = "Ada Lovelace met Charles Babbage in London on {} June 1833 about looms, numbers and engines. "


def write_documents(folder: Path, count: int) -> None:
    """Write `count` text documents of different lengths."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}.txt").write_text(TEXT.format(number % 30 + 1) * (20 + number % 60))


class Workers:
    """`worker.py` processes of one data folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started: list[subprocess.Popen[bytes]] = []
        self._log = (settings.data_dir / "workers.log").open("ab")

    def start(self, *arguments: str) -> None:
        """Start a worker with these command line arguments."""
        self._started.append(
            subprocess.Popen(
                [sys.executable, str(ROOT / "worker.py"), "--exit-with-parent", str(os.getpid()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, **self._settings.environment()},
            )
        )

    def list_alive(self) -> list[int]:
        """Return the process ids of the live workers."""
        return list(live_workers(self._settings.data_dir).values())

    def stop(self) -> None:
        """Stop all started processes, and wait for their end."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
        for process in self._started:
            process.wait()
        self._log.close()


async def first_commit_after(orchestrator: PipelineOrchestrator, workflow_id: str, moment: datetime) -> datetime | None:
    """Return the time of the first commit after `moment`; None if there is no commit yet."""
    async with orchestrator.stores.pool.connection() as conn:
        committed_at: datetime | None = await conn.fetchval(
            "SELECT min(committed_at) FROM documents WHERE workflow_id = $1 AND committed_at > $2", workflow_id, moment
        )
    return committed_at


async def wait_for_commit(orchestrator: PipelineOrchestrator, workflow_id: str, moment: datetime) -> datetime:
    """Wait for the first commit after `moment`, and return its time.

    Raises:
        TimeoutError: no document was committed within `GIVE_UP_SECONDS`.
    """
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        if committed_at := await first_commit_after(orchestrator, workflow_id, moment):
            return committed_at
        await asyncio.sleep(0.02)
    raise TimeoutError(f"no document was committed within {GIVE_UP_SECONDS:.0f} s after {moment}")


async def measure(
    orchestrator: PipelineOrchestrator, way: str, folder: Path, kills: int, chance: random.Random
) -> list[float]:
    """Return the seconds of each recovery; the run is terminated afterwards.

    Args:
        orchestrator: an open orchestrator that starts no worker.
        way: one of `WAYS`.
        folder: the documents.
        kills: number of kills.
        chance: the source of randomness.
    """
    workflow_id = f"recovery-{way}-{chance.randrange(10**6)}"
    options = PipelineOptions(batch_size=1, concurrency=4)
    await orchestrator.start([str(folder)], workflow_id=workflow_id, options=options)
    workers = Workers(orchestrator.settings)
    seconds: list[float] = []
    start = partial(workers.start, "--supervise") if way == "supervised" else workers.start
    try:
        start()
        if way == "neighbour":
            start()
        await wait_for_commit(orchestrator, workflow_id, datetime.now(UTC))
        for number in range(kills):
            await asyncio.sleep(chance.uniform(*SETTLE_SECONDS))
            while len(workers.list_alive()) < (2 if way == "neighbour" else 1):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            if way == "neighbour":
                await asyncio.sleep(2.0)  # so that both workers process documents
            victim = chance.choice(workers.list_alive())
            os.kill(victim, signal.SIGKILL)
            killed = datetime.now(UTC)
            if way != "supervised":
                if way == "neighbour":
                    seconds.append(await measure_neighbour(orchestrator, workflow_id, killed))
                    start()
                    continue
                start()
            seconds.append((await wait_for_commit(orchestrator, workflow_id, killed) - killed).total_seconds())
            sys.stderr.write(f"\r{way}: {number + 1} of {kills}, last {seconds[-1]:.2f} s ")
        sys.stderr.write("\n")
    finally:
        with suppress(Exception):
            await orchestrator.client.get_workflow_handle(workflow_id).terminate("measured")
        workers.stop()
    return seconds


async def measure_neighbour(orchestrator: PipelineOrchestrator, workflow_id: str, killed: datetime) -> float:
    """Return the seconds until the last document in flight at the kill is committed.

    The first commit after the kill would not show a recovery, because the second worker commits its own documents.
    """
    async with orchestrator.stores.pool.connection() as conn:
        in_flight = await conn.fetch(
            "SELECT position FROM documents WHERE workflow_id = $1 AND status = 'pending' AND dispatch > 0", workflow_id
        )
        positions = [row["position"] for row in in_flight]
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            row = await conn.fetchrow(
                """SELECT max(committed_at) AS last, count(*) FILTER (WHERE status = 'pending') AS left FROM documents
                   WHERE workflow_id = $1 AND position = ANY($2)""",
                workflow_id,
                positions,
            )
            assert row
            if not row["left"]:
                return max(0.0, (row["last"] - killed).total_seconds()) if row["last"] else 0.0
            await asyncio.sleep(0.02)
    raise TimeoutError(f"the documents in flight were not committed within {GIVE_UP_SECONDS:.0f} s after the kill")


def format_table(measured: dict[str, list[float]]) -> str:
    """Return the percentiles of the seconds of each way as a table."""
    lines = [f"{'':12}{'kills':>6}{'p50 s':>8}{'p90 s':>8}{'p99 s':>8}{'max s':>8}"]
    for way, seconds in measured.items():
        ordered = sorted(seconds)
        at = {q: ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.9, 0.99)}
        lines.append(
            f"{way:12}{len(seconds):>6}{statistics.median(seconds):>8.2f}{at[0.9]:>8.2f}{at[0.99]:>8.2f}"
            f"{ordered[-1]:>8.2f}"
        )
    return "\n".join(lines)


async def main(arguments: argparse.Namespace) -> int:
    """Measure every way, print the table, and write the JSON."""
    chance = random.Random(arguments.seed)  # noqa: S311 - no secret
    sys.stderr.write(f"seed {arguments.seed}\n")
    with tempfile.TemporaryDirectory(prefix="perdure-recovery-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - started by root, Postgres runs as another user
        data = Path(folder) / "data"
        stack = EmbeddedStack(data, default_ports=False)
        record = await stack.up()
        assert record.postgres
        assert record.temporal
        try:
            documents = Path(folder) / "documents"
            write_documents(documents, 10_000)
            environment = {**os.environ, "PERDURE_DATA_DIR": str(data)}
            settings = read_settings(environment)
            measured: dict[str, list[float]] = {}
            async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
                for way in arguments.ways:
                    measured[way] = await measure(orchestrator, way, documents, arguments.kills, chance)
                    if arguments.log:
                        sys.stderr.write((data / "workers.log").read_text())
        finally:
            await stack.down()
    print(format_table(measured))
    if arguments.json:
        report = {"seed": arguments.seed, "load": os.getloadavg(), "seconds": measured}
        arguments.json.write_text(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="number of kills for each way")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))  # noqa: S311 - no secret
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--json", type=Path, help="write all measured times to this file")
    parser.add_argument("--log", action="store_true", help="print the log of the workers")
    arguments = parser.parse_args()
    run_main(lambda: main(arguments))
