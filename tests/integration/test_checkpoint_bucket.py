"""A run with checkpoints in a bucket is written, verified, rebuilt, pruned and resumed.

The last test resumes a run from the bucket alone.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from google.protobuf.duration_pb2 import Duration
from obstore.store import S3Store
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from orchestration.audit import rebuild_mirror, verify
from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.settings import Settings
from perdure.errors import ServerUnreachable
from perdure.stores.objects.keys import key_of
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from tests.integration.audited_run import checkpoint_file
from tests.integration.held_documents import HeldDocuments
from tests.integration.shared_run import script
from tests.integration.stepwise_run import run_stepwise
from tests.s3_server import empty_bucket, s3_server
from workflows.messages import PipelineOptions

RUN = "kept"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of the S3 protocol."""
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """An empty bucket, which the processes of the test reach by their environment."""
    return empty_bucket(server, monkeypatch)


@pytest.fixture
def three_stores(settings: Settings, bucket: S3Store) -> Settings:
    """Settings with Postgres, files and the bucket."""
    assert bucket
    return replace(settings, checkpoint_url="s3://papers/team", pool_workers=1)


async def assert_whole(orchestrator: PipelineOrchestrator) -> None:
    """Assert that every store holds the same chain, and that an audit finds no difference."""
    stores = orchestrator.stores
    assert [store.name for store in stores.checkpoints] == ["Postgres", "files", "bucket"]
    leading, files, bucket = [list(await store.list(RUN)) for store in stores.checkpoints]
    assert leading == files == bucket
    verification = await verify(orchestrator.client, stores, RUN)
    assert verification.differences == []
    assert verification.counts["object_checkpoints"] == verification.counts["mirror_checkpoints"] == len(leading)


async def test_a_bucket_is_written_verified_rebuilt_and_pruned(
    three_stores: Settings, bucket: S3Store, tmp_path: Path
) -> None:
    worker = ChaosWorker(three_stores)
    try:
        async with PipelineOrchestrator(three_stores, own_worker=False) as orchestrator:
            papers = write_documents(tmp_path / "papers", 6)
            worker.wait_until_alive()
            await run_stepwise(orchestrator, RUN, sorted(papers.iterdir()))
            await assert_whole(orchestrator)

            second, third, fourth = [f"team/{key_of(RUN, sequence)}" for sequence in (2, 3, 4)]
            edited = json.loads(bytes(obstore.get(bucket, second).bytes()))
            obstore.put(bucket, second, json.dumps({**edited, "processed_documents": 77}).encode())
            obstore.delete(bucket, third)
            obstore.put(bucket, fourth, bytes(obstore.get(bucket, fourth).bytes())[:100])
            found = (await verify(orchestrator.client, orchestrator.stores, RUN)).differences
            assert {difference.kind for difference in found} == {
                "edited_checkpoint",
                "missing_checkpoint",
                "damaged_file",
            }
            assert all("s3://papers/team/kept_checkpoints" in difference.sentence for difference in found)
            rebuilt = await rebuild_mirror(orchestrator.client, orchestrator.stores, RUN)
            assert [repair.replaced + repair.appended > 0 for repair in rebuilt.repairs] == [False, False, True]
            assert rebuilt.repairs[2].kept_at
            await assert_whole(orchestrator)
            assert not (await rebuild_mirror(orchestrator.client, orchestrator.stores, RUN)).changed

            table = await script(three_stores, "prune", "--workflow-id", RUN, "--keep", "3")
            assert table.code == 0, table.stderr
            assert table.stdout.splitlines()[0].split() == (
                ["workflow", "id", "checkpoints", "up", "to", "#", "in", "files", "in", "bucket"]
            )
            pruned = await script(three_stores, "prune", "--workflow-id", RUN, "--keep", "2", "--json")
            assert pruned.code == 0, pruned.stderr
            (retired,) = pruned.json["pruned"]
            assert retired["in_stores"] == {"files": retired["checkpoints"], "bucket": retired["checkpoints"]}
            await assert_whole(orchestrator)
            assert len(await orchestrator.list_checkpoints(RUN)) == 2
    finally:
        worker.close()


async def lose_everything_else(settings: Settings, server: EmbeddedPostgres, template: str, folder: Path) -> Settings:
    """Return settings with the same bucket and with empty servers and folders.

    The namespace, the database and the data folder are empty.
    """
    name = f"empty-{uuid.uuid4().hex[:8]}"
    async with PipelineOrchestrator(settings, own_worker=False) as orchestrator:
        retention = Duration()
        retention.FromTimedelta(timedelta(days=1))
        await orchestrator.client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
        )
    server.create_database(name, template=template)
    empty = replace(
        settings,
        data_dir=folder,
        database_url=server.dsn(name),
        checkpoint_dir=folder / "checkpoints",
        temporal=replace(settings.temporal, namespace=name),
    )
    async with asyncio.timeout(240):
        while True:
            try:
                async with PipelineOrchestrator(empty, own_worker=False):
                    return empty
            except ServerUnreachable:
                await asyncio.sleep(0.2)


@pytest.mark.slow
async def test_a_run_resumes_from_the_bucket_alone(
    three_stores: Settings, postgres_server: EmbeddedPostgres, _template: str, tmp_path: Path
) -> None:
    papers = write_documents(tmp_path / "papers", 20)
    worker = ChaosWorker(three_stores)
    try:
        async with (
            PipelineOrchestrator(three_stores, own_worker=False) as orchestrator,
            HeldDocuments(three_stores.database_url, 10),
        ):
            await orchestrator.start([str(papers)], workflow_id=RUN, options=PipelineOptions(concurrency=1))
            in_bucket = orchestrator.stores.checkpoints[2]
            while not (latest := await in_bucket.latest(RUN)) or latest.processed_documents < 4:
                await asyncio.sleep(0.05)
            worker.kill()
    finally:
        worker.close()
    folder = tmp_path / "empty"
    folder.mkdir()
    empty = await lose_everything_else(three_stores, postgres_server, _template, folder)
    async with PipelineOrchestrator(empty, own_worker=False) as orchestrator:
        leading, files, chain = [list(await store.list(RUN)) for store in orchestrator.stores.checkpoints]
        assert (leading, files) == ([], [])
        assert chain
    worker = ChaosWorker(empty)
    try:
        done = await script(empty, "--workflow-id", RUN, name="resume_workflow.py")
        assert done.code == 0, done.stderr
        assert f"Checkpoint loaded: {chain[-1].checkpoint_id}" in done.stderr
        async with PipelineOrchestrator(empty, own_worker=False) as orchestrator:
            assert (await orchestrator.status(RUN)).documents.processed == 20
            grown = await orchestrator.list_checkpoints(RUN)
            assert [checkpoint.digest for checkpoint in grown[: len(chain)]] == [
                checkpoint.digest for checkpoint in chain
            ]
            assert grown[len(chain)].epoch > chain[-1].epoch
            await assert_whole(orchestrator)
            assert checkpoint_file(orchestrator).exists()
    finally:
        worker.close()
        postgres_server.drop_database(empty.temporal.namespace)
