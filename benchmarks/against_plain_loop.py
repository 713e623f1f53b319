"""Compare the durable pipeline with plain loops of two processes that store nothing.

The first loop runs the same processing function. The second loop runs it with spaCy's own entity recognition, as a
simple script would.

    python benchmarks/against_plain_loop.py FOLDER [--rounds 3] [--json FILE]

The three programs run in turn on the same machine, servers included, so the ratios are stable although absolute times
vary. The time of a program is from its first document to its last result, after all libraries are loaded. For the
pipeline, this is the time from the first batch in its history until identity resolution is scheduled. By then every
result is in Postgres and every checkpoint is in both stores.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.spacy_itself import process_with_spacy_itself
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.configured import read_settings
from orchestration.embedded.stack import EmbeddedStack
from orchestration.process_exit import run_main
from perdure.documents.discovery import discover
from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.pool import open_document_pool
from perdure.documents.processing import ProcessFunction, process_document
from perdure.errors import DocumentError
from perdure.sandbox.pool import IsolatedPool
from workflows.messages import PipelineOptions

PROCESSES = 2


async def run_plain_loop(folder: Path, process: ProcessFunction) -> tuple[int, float]:
    """Process all documents without storing results; return documents and seconds."""
    documents = list(discover([str(folder)]))
    pool = open_document_pool(PROCESSES, Limits(), process)
    pool.start()
    await asyncio.gather(*(_process(pool, documents[0]) for _ in range(2 * PROCESSES)))
    began = time.perf_counter()
    waiting = iter(documents)

    async def worker() -> None:
        for document in waiting:
            await _process(pool, document)

    await asyncio.gather(*(worker() for _ in range(PROCESSES)))
    seconds = time.perf_counter() - began
    await pool.aclose()
    return len(documents), seconds


async def _process(pool: IsolatedPool[ProcessedDocument], document: DiscoveredDocument) -> None:
    with suppress(DocumentError):
        await pool.process(document.uri, document.name, document.source)


async def run_pipeline(folder: Path, warm: Path) -> tuple[int, float]:
    """Run the pipeline over a folder; return documents and seconds.

    The time is from the first scheduled batch until identity resolution is scheduled.
    """
    async with PipelineOrchestrator() as orchestrator:
        await orchestrator.ensure_worker()
        await orchestrator.wait((await orchestrator.start([str(warm)])).workflow_id)
        run = await orchestrator.start([str(folder)], options=PipelineOptions(concurrency=2 * PROCESSES))
        ended = await orchestrator.wait(run.workflow_id)
        scheduled = []
        done = []
        run_id: str | None = None
        while run_id != "":  # from the last execution back to the first
            handle = orchestrator.client.get_workflow_handle(run.workflow_id, run_id=run_id)
            run_id = ""
            async for event in handle.fetch_history_events():
                if event.HasField("workflow_execution_started_event_attributes"):
                    run_id = event.workflow_execution_started_event_attributes.continued_execution_run_id
                elif event.HasField("activity_task_scheduled_event_attributes"):
                    name = event.activity_task_scheduled_event_attributes.activity_type.name
                    if name == "process_batch":
                        scheduled.append(event.event_time.ToNanoseconds())
                    elif name == "resolve_identities":
                        done.append(event.event_time.ToNanoseconds())
    return ended.documents.total, (min(done) - min(scheduled)) / 1e9


async def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, float]] = []
    documents = 0
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as data:
        os.environ |= {"PERDURE_DATA_DIR": f"{data}/data", "PERDURE_POOL_WORKERS": str(PROCESSES)}
        os.chmod(data, 0o711)  # noqa: PTH101, S103 - started by root, Postgres runs as another user
        warm = Path(data) / "warm.txt"
        warm.write_text("Ada Lovelace met Charles Babbage in London.")
        stack = replace(EmbeddedStack.from_environment(os.environ), default_ports=False)
        await stack.up()
        try:
            read_settings()
            for number in range(arguments.rounds):
                documents, spacy = await run_plain_loop(arguments.folder, process_with_spacy_itself)
                _, plain = await run_plain_loop(arguments.folder, process_document)
                _, durable = await run_pipeline(arguments.folder, warm)
                rows.append({"plain with spaCy itself": spacy, "plain": plain, "pipeline": durable})
                print(f"round {number + 1} of {arguments.rounds}: {rows[-1]}", file=sys.stderr)
        finally:
            await stack.down()
    print(f"{documents} documents, median of {len(rows)} rounds\n")
    print("| Program | documents/s | speed of the pipeline ÷ speed of this program | range over the rounds |")
    print("| --- | ---: | ---: | ---: |")
    for side in rows[0]:
        ratios = [row[side] / row["pipeline"] for row in rows]
        rate = statistics.median(documents / row[side] for row in rows)
        print(f"| {side} | {rate:.2f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"documents": documents, "seconds": rows}, indent=2))


if __name__ == "__main__":
    run_main(main)
