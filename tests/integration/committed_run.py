"""Runs whose documents are committed to the store directly, without a workflow."""

from collections.abc import Sequence

import numpy as np

from perdure.analysis.annotations import Chunk, Mention
from perdure.analysis.mentions import normalise
from perdure.documents.document import DiscoveredDocument, ProcessedDocument
from perdure.manifest import Lease
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.manifest import PostgresManifestStore


def document(mentions: Sequence[tuple[str, str]]) -> ProcessedDocument:
    """Return a document that consists of mentions, each a kind and a name, in this order."""
    text = " ".join(name for _, name in mentions)
    placed = []
    start = 0
    for kind, name in mentions:
        placed.append(Mention(start, start + len(name), kind, name, normalise(name, kind), 0.9))
        start += len(name) + 1
    vector = np.zeros((1, 256), np.float32)
    vector[0, len(text) % 256] = 1.0
    return ProcessedDocument(
        "ab", 1, "text/plain", text, None, (), {}, (Chunk(0, len(text)),), vector, tuple(placed), 0.9
    )


async def committed(
    pool: PostgresPool, workflow_id: str, documents: Sequence[ProcessedDocument], order: Sequence[int] | None = None
) -> int:
    """Begin a run, commit its documents in the given order, and return the run's epoch."""
    manifest = PostgresManifestStore(pool)
    epoch = await manifest.claim(workflow_id, "first", at_least=1)
    page = [DiscoveredDocument(f"file:///{n}", str(n), "file:///", 1, "1") for n in range(len(documents))]
    await manifest.record(workflow_id, epoch, page)
    await manifest.enqueue_unfinished(workflow_id, epoch, quarantined=False)
    for position in range(len(documents)) if order is None else order:
        lease = Lease(epoch, 1, 1)
        await manifest.lease_batch(workflow_id, lease, position, position + 1)
        await manifest.commit(workflow_id, lease, position, documents[position], attempts=1)
    return epoch
