"""A killed run over every kind of source loses no document and stores no secret."""

import json
import mailbox
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from orchestration.client.orchestrator import PipelineOrchestrator
from perdure.stores.postgres.differences import compare_runs
from tests.chaos.checker import check, committed
from tests.chaos.papers import write_documents
from tests.chaos.workers import ChaosWorker
from tests.integration.shared_run import script
from tests.s3_server import SECRET, empty_bucket, s3_server
from tests.unit.documents.web_server import Page, web_server
from workflows.messages import PipelineOptions

pytestmark = pytest.mark.slow

MIXED = 4 + 3 + 3 + 2 + 2 + 4 + 2
"""Number of documents: in the folder, the ZIP, the TAR, the mailbox, the mail, the list, and the bucket."""


@pytest.fixture
def pages() -> dict[str, Page]:
    """The pages of the web server, by path; a test may change them."""
    return {f"/{name}.txt": Page(f"Ada Lovelace wrote {name}.".encode(), headers={"ETag": '"1"'}) for name in "ab"}


@pytest.fixture
def web(pages: dict[str, Page]) -> Iterator[str]:
    """The address of a web server that serves `pages`."""
    with web_server(pages) as address:
        yield address


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A bucket with 3 objects."""
    with s3_server() as address:
        store = empty_bucket(address, monkeypatch)
        for name in ("in/one.txt", "in/two.txt", "alone.txt"):
            obstore.put(store, name, f"Michael Faraday wrote {name} in London.".encode())
        yield store


@pytest.fixture
def sources(tmp_path: Path, web: str, bucket: S3Store) -> list[str]:  # noqa: ARG001 - discovery reads the bucket
    """One source of each kind; together they hold `MIXED` documents."""
    papers = write_documents(tmp_path / "papers", 8)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name in ("00.txt", "01.md", "02.html"):
            archive.write(papers / name, f"inner/{name}")
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as tape:
        for name in ("03.csv", "04.eml", "05.txt"):
            tape.add(papers / name, name)
    mail = EmailMessage()
    mail["Subject"] = "Papers"
    mail.set_content("George Boole sends a paper.")
    mail.add_attachment(b"Mary Somerville met George Boole in Turin.", "application", "octet-stream", filename="a.txt")
    (tmp_path / "d.eml").write_bytes(mail.as_bytes())
    box = mailbox.mbox(tmp_path / "e.mbox")
    for number in range(2):
        box.add(f"From: ada@example.org\nSubject: Letter {number}\n\nCharles Babbage was in London.\n")
    box.close()
    listed = [str(papers / "07.html"), f"{web}/a.txt", f"{web}/b.txt", "s3://papers/alone.txt"]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps({"uri": uri}) + "\n" for uri in listed))
    return [
        f"file://{papers}#include=0%5B0-3%5D.%2A",
        *(str(tmp_path / name) for name in ("b.zip", "c.tar.gz", "d.eml", "e.mbox")),
        f"manifest:{tmp_path / 'f.jsonl'}",
        "s3://papers/in/",
    ]


async def test_killed_run_over_every_kind_of_source_ends_as_undisturbed(
    sources: list[str],
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
    two_at_a_time: PipelineOptions,
) -> None:
    await orchestrator.start(sources, workflow_id=workflow_id, options=two_at_a_time)
    for point, nth in (("discover", 1), ("K3", 3), ("K4", 6)):
        start_worker(point, nth).wait_until_struck()
    before = await committed(orchestrator, workflow_id)
    last = start_worker()
    await orchestrator.wait(workflow_id)
    await orchestrator.start(sources, workflow_id="undisturbed")
    undisturbed = await orchestrator.wait("undisturbed")
    assert (undisturbed.documents.total, undisturbed.documents.processed) == (MIXED, MIXED)
    await check(orchestrator, workflow_id, before=before)
    assert await compare_runs(orchestrator.stores.pool, workflow_id, "undisturbed", limit=20) == []
    verified = await script(orchestrator.settings, "verify", "--workflow-id", workflow_id)
    assert verified.code == 0, verified.stdout
    assert SECRET not in verified.stdout + last.log.read_text()
    assert SECRET not in await read_everything_stored(orchestrator, workflow_id)


async def test_documents_changed_or_deleted_before_reading_are_recorded(
    sources: list[str],
    pages: dict[str, Page],
    bucket: S3Store,
    orchestrator: PipelineOrchestrator,
    workflow_id: str,
    start_worker: Callable[..., ChaosWorker],
) -> None:
    await orchestrator.start(sources, workflow_id=workflow_id, options=PipelineOptions(concurrency=1))
    start_worker("K1", 1).wait_until_struck()
    obstore.put(bucket, "in/one.txt", b"Grace Hopper wrote it anew.")
    obstore.delete(bucket, "in/two.txt")
    pages["/a.txt"] = Page(b"Grace Hopper wrote a.", headers={"ETag": '"2"'})
    pages["/b.txt"] = Page(status=404)
    start_worker()
    await orchestrator.wait(workflow_id)
    async with orchestrator.stores.pool.connection() as conn:
        rows = await conn.fetch(
            """SELECT name, error_type, warnings FROM documents
               WHERE workflow_id = $1 AND (error_type IS NOT NULL OR version <> read_version) ORDER BY name""",
            workflow_id,
        )
    assert [(row["name"], row["error_type"]) for row in rows] == [
        ("a.txt", None),
        ("b.txt", "VanishedDocument"),
        ("one.txt", None),
        ("two.txt", "VanishedDocument"),
    ]
    assert all("changed" in " ".join(row["warnings"]) for row in rows if not row["error_type"])


async def read_everything_stored(orchestrator: PipelineOrchestrator, workflow_id: str) -> str:
    """Return the history of the run and every row of the database as text."""
    handle = orchestrator.client.get_workflow_handle(workflow_id)
    stored = [event.SerializeToString().decode(errors="replace") async for event in handle.fetch_history_events()]
    async with orchestrator.stores.pool.connection() as conn:
        for table in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            rows = await conn.fetch(f"SELECT record::text AS row FROM {table['tablename']} AS record")
            stored += [row["row"] for row in rows]
    assert any("alone.txt" in text for text in stored)
    return "\n".join(stored)
