"""Hostile documents and unhealthy services harm no other document.

Each failure has a reason, and the number of attempts has a limit.
"""

import asyncio
import random
import string
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import numpy as np
import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.settings import Settings
from perdure.analysis.annotations import Chunk, Mention
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.errors import UnstorableDocument
from perdure.manifest import Lease
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.chaos.checker import check, committed
from tests.chaos.outputs import outputs
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from tests.integration.held_documents import HeldDocuments
from tests.integration.made_documents import discovered, processed
from workflows.document_pipeline import DocumentPipeline
from workflows.messages import PipelineOptions, Progress

LIMITS = Limits(memory_bytes=512 * 2**20, extraction_cpu_seconds=1, idle_seconds=3)
POISON = {
    "segfault": ("ParserCrashed", "SIGSEGV", 2),
    "loop": ("ParserTimedOut", "processor time", 2),
    "bloat": ("ParserOutOfMemory", "512 MB", 2),
    "sleep": ("ParserTimedOut", "doing nothing", 2),
    "killed": ("ParserKilled", "SIGKILL", 5),
    "smuggle": ("UnstorableDocument", "cannot be stored", 1),
}
"""Misdeed to the type of the error, a part of the reason, and the number of attempts."""
NEIGHBOURS = 10


@pytest.fixture
def poisoned(settings: Settings) -> Settings:
    return replace(settings, limits=LIMITS, pool_workers=2)


@pytest.fixture
async def orchestrator(poisoned: Settings) -> AsyncIterator[PipelineOrchestrator]:
    async with PipelineOrchestrator(poisoned, own_worker=False) as orchestrator:
        yield orchestrator


@pytest.fixture
def worker(poisoned: Settings) -> Iterator[ChaosWorker]:
    worker = ChaosWorker(poisoned, script=Path(__file__).with_name("poison_worker.py"))
    worker.wait_until_alive()
    yield worker
    worker.close()


async def rows(orchestrator: PipelineOrchestrator, workflow_id: str) -> dict[str, asyncpg.Record]:
    async with orchestrator.stores.pool.connection() as conn:
        found = await conn.fetch("SELECT * FROM documents WHERE workflow_id = $1", workflow_id)
    return {row["name"]: row for row in found}


async def batches_scheduled(orchestrator: PipelineOrchestrator, workflow_id: str) -> int:
    """Return the number of batches that the latest run of this workflow id has scheduled."""
    history = await orchestrator.client.get_workflow_handle(workflow_id).fetch_history()
    scheduled = (event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events)
    return sum(name == "process_batch" for name in scheduled)


async def test_poison_harms_no_other_document_and_retry_processes_it_alone(
    orchestrator: PipelineOrchestrator, worker: ChaosWorker, tmp_path: Path
) -> None:
    folder = write_documents(tmp_path / "papers", NEIGHBOURS)
    neighbours = {path.name for path in folder.iterdir()}
    await orchestrator.start([str(folder)], workflow_id="clean")
    await orchestrator.wait("clean")
    clean = await outputs(orchestrator.stores.pool, "clean")
    for number, misdeed in enumerate(POISON):
        (folder / f"{number:02}-{misdeed}.txt").write_text(f"POISON {misdeed} Ada Lovelace met Charles Babbage.")

    options = PipelineOptions(concurrency=2, batch_size=4)
    await orchestrator.start([str(folder)], workflow_id="poisoned", options=options)
    await orchestrator.wait("poisoned")
    assert worker.process.poll() is None
    found = await check(orchestrator, "poisoned", status="completed_with_failures")
    differing = {kind for kind in clean if clean[kind] != found.outputs[kind]}
    assert differing == {"documents"}, "the outputs of the other documents are the same as without the poison"
    before = await rows(orchestrator, "poisoned")
    assert {name for name, row in before.items() if row["status"] == "processed"} == neighbours
    assert {before[name]["attempts"] for name in neighbours} == {1}

    listed = await orchestrator.failures("poisoned")
    failures = {Path(failure.uri).stem.partition("-")[2]: failure for failure in listed}
    assert failures.keys() == POISON.keys()
    for misdeed, (error_type, words, attempts) in POISON.items():
        failure = failures[misdeed]
        assert (failure.error_type, failure.attempts) == (error_type, attempts), failure
        assert words in failure.reason, failure

    (folder / "00-segfault.txt").write_text("Ada Lovelace met Charles Babbage in London.")
    times = await committed(orchestrator, "poisoned")
    await orchestrator.start(
        [str(folder)],
        workflow_id="poisoned",
        options=PipelineOptions(batch_size=1),
        retry_quarantined=True,
        rediscover=False,
    )
    await orchestrator.wait("poisoned")
    assert await batches_scheduled(orchestrator, "poisoned") == len(POISON)
    after = await rows(orchestrator, "poisoned")
    untouched = {row["position"] for name, row in before.items() if name in neighbours}
    again = await committed(orchestrator, "poisoned")
    assert {position for position in again if again[position] == times[position]} == untouched
    assert after["00-segfault.txt"]["status"] == "processed"
    assert len(await orchestrator.failures("poisoned")) == len(POISON) - 1


async def test_retry_of_cancelled_run_processes_no_unstarted_document(
    orchestrator: PipelineOrchestrator, worker: ChaosWorker, tmp_path: Path
) -> None:
    assert worker.process.poll() is None
    folder = write_documents(tmp_path / "papers", 5)
    (folder / "000.txt").write_text("POISON killed")
    for path in list(folder.iterdir())[1:]:
        path.with_name(f"slow-{path.stem}.txt").write_text(f"POISON slow {path.name}")
    workflow_id = f"cancelled-{uuid.uuid4().hex[:8]}"
    async with HeldDocuments(orchestrator.settings.database_url, 2):
        await orchestrator.start([str(folder)], workflow_id=workflow_id, options=PipelineOptions(concurrency=1))
        async with asyncio.timeout(240):
            while not (await orchestrator.status(workflow_id)).documents.quarantined:
                await asyncio.sleep(0.05)
        await orchestrator.cancel(workflow_id)
        await until_requested(orchestrator, workflow_id)
    await orchestrator.wait(workflow_id)
    before = await rows(orchestrator, workflow_id)
    never_begun = {name for name, row in before.items() if row["status"] == "cancelled"}
    assert never_begun

    (folder / "000.txt").write_text("Ada Lovelace met Charles Babbage in London.")
    await orchestrator.start([], workflow_id=workflow_id, retry_quarantined=True, rediscover=False)
    ended = await orchestrator.wait(workflow_id)
    assert await batches_scheduled(orchestrator, workflow_id) == 1
    after = await rows(orchestrator, workflow_id)
    assert after["000.txt"]["status"] == "processed"
    assert {name for name, row in after.items() if row["status"] == "cancelled"} == never_begun
    assert ended.workflow_status == "cancelled", "the run still has documents without a result"

    assert (await orchestrator.resume_workflow_from_checkpoint(workflow_id)).workflow_status == "completed"
    await check(orchestrator, workflow_id)


async def until_requested(orchestrator: PipelineOrchestrator, workflow_id: str) -> None:
    """Wait until the workflow has asked for the cancellation of its batch, so that no later batch can begin."""
    async with asyncio.timeout(240):
        while True:
            history = await orchestrator.client.get_workflow_handle(workflow_id).fetch_history()
            if any(event.HasField("activity_task_cancel_requested_event_attributes") for event in history.events):
                return
            await asyncio.sleep(0.05)


def _unstorable() -> dict[str, ProcessedDocument]:
    good = processed()
    letters = random.Random(1833)
    long_name = "".join(letters.choices(string.ascii_letters, k=20_000))  # an index page holds 8 kB
    return {
        "NUL in a property": replace(good, properties={"title": "a\0b"}),
        "NUL in the text": replace(good, text="a\0b"),
        "half a surrogate pair, and a word from messages of lost connections": replace(good, title="\ud800 is closed"),
        "half a surrogate pair in a property": replace(good, properties={"a": "\ud800"}),
        "half a surrogate pair in a mention": replace(good, mentions=(Mention(0, 3, "person", "\ud800", "a", 0.5),)),
        "a quality that is no number": replace(good, quality_score=float("nan")),
        "a property that is no number": replace(good, properties={"a": float("inf")}),
        "a page offset above 64 bits": replace(good, page_offsets=(2**70,)),
        "a chunk offset above 64 bits": replace(good, chunks=(Chunk(0, 2**70),)),
        "a vector with 7 dimensions": replace(good, embeddings=np.zeros((1, 7), np.float32)),
        "a name longer than an index page": replace(good, mentions=(Mention(0, 3, "person", "Ada", long_name, 0.5),)),
    }


UNSTORABLE = _unstorable()


async def test_result_that_postgres_refuses_is_an_unstorable_document(database_url: str) -> None:
    pool = PostgresPool(database_url, max_size=1)
    store = PostgresManifestStore(pool)
    lease = Lease(1, 1, 1)
    try:
        await store.claim("run", "first", at_least=1)
        await store.record("run", 1, [discovered(f"{name}.txt") for name in UNSTORABLE])
        await store.enqueue_unfinished("run", 1, quarantined=False)
        await store.lease_batch("run", lease, 0, len(UNSTORABLE))
        for position, (name, document) in enumerate(UNSTORABLE.items()):
            with pytest.raises(UnstorableDocument) as caught:
                await store.commit("run", lease, position, document, attempts=1)
            await store.quarantine("run", lease, position, caught.value, attempts=1)
            reason = str(caught.value)
            assert reason.startswith("What was found in the document cannot be stored: "), name
            assert reason.isprintable(), name
            assert len(reason) < 300, name
        totals = await store.totals("run")
        assert totals
        assert totals.quarantined == len(UNSTORABLE)
        async with pool.connection() as conn:
            assert await conn.fetchval("SELECT count(*) FROM document_texts") == 0
    finally:
        await pool.close()


async def test_unhealthy_service_pauses_the_run_until_it_is_healthy(poisoned: Settings, tmp_path: Path) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = replace(poisoned, external_services={"Letters": f"tcp://127.0.0.1:{port}"})
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.txt").write_text(f"POISON slow Ada Lovelace met Charles Babbage, {number}.")
    worker = ChaosWorker(settings, script=Path(__file__).with_name("poison_worker.py"))
    try:
        async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
            options = PipelineOptions(concurrency=1, breaker_seconds=1)
            async with HeldDocuments(settings.database_url, 30):
                await orchestrator.start([str(folder)], workflow_id="breaker", options=options)
                await _until(orchestrator, lambda progress: progress.documents.processed > 2)
                server.close()
                await server.wait_closed()
                held = await _until(orchestrator, lambda progress: progress.workflow_status == "paused")
            assert held.waiting_for
            assert held.waiting_for.startswith("Letters has been unhealthy since ")
            assert held.documents.remaining
            checkpoint = await orchestrator.get_latest_checkpoint("breaker")
            while checkpoint is None or checkpoint.workflow_status != "paused":
                await asyncio.sleep(0.1)
                checkpoint = await orchestrator.get_latest_checkpoint("breaker")
            assert checkpoint.state_data.breaker is not None
            assert list(checkpoint.state_data.breaker.services) == ["Letters"]
            report = await orchestrator.status("breaker")
            assert (report.workflow_status, report.waiting, report.running) == ("paused", False, True)
            assert (report.held_back_by or "").startswith("Letters has been unhealthy since 20")
            server = await asyncio.start_server(answer, "127.0.0.1", port)
            await orchestrator.wait("breaker")
            found = await check(orchestrator, "breaker")
            assert found.checkpoints[-1].state_data.documents_quarantined == 0
            assert {row["attempts"] for row in (await rows(orchestrator, "breaker")).values()} == {1}
    finally:
        worker.close()
        server.close()


async def _until(orchestrator: PipelineOrchestrator, holds: Callable[[Progress], bool]) -> Progress:
    run = orchestrator.client.get_workflow_handle_for(DocumentPipeline.run, "breaker")
    async with asyncio.timeout(240):
        while not holds(progress := await run.query(DocumentPipeline.progress)):
            await asyncio.sleep(0.1)
    return progress
