"""Predicts the work and the duration of a run, and changes no data."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from perdure.documents.discovery import discover, normalise_source
from perdure.documents.document import DiscoveredDocument
from perdure.documents.sources import content_hash
from perdure.documents.sources.patterns import split_patterns
from perdure.errors import DependencyUnavailable
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.recorded import RecordedDocument, RecordedDocuments, measure_pace

PAGE = 1_000
PACE_DOCUMENTS = 10
"""The pace of a run counts only if the run has finished this many documents."""
UNMEASURED_PACE = 7.0
"""Documents per second and core. docs/performance.md measured 14.4 documents per second on two cores."""

NEW = "new"
CHANGED = "changed"
OUTDATED = "outdated"
UNFINISHED = "unfinished"
UNCHANGED = "unchanged"
_TO_PROCESS = (NEW, CHANGED, OUTDATED, UNFINISHED)


@dataclass(frozen=True)
class LookAhead:
    """The work that a run would do, in documents, bytes and seconds."""

    new: int
    changed: int
    outdated: int
    """Documents that another version of the processing code has processed."""
    unfinished: int
    """Documents that an earlier run recorded and did not process."""
    unchanged: int
    gone: int
    bytes: int
    """Total size of the documents to process."""
    estimated_seconds: float
    estimated_from: str
    """Workflow id of the run whose pace the estimate uses; empty for `UNMEASURED_PACE`."""

    @property
    def to_process(self) -> int:
        """Return the number of documents that the run would process."""
        return self.new + self.changed + self.outdated + self.unfinished


async def look_ahead(pool: PostgresPool | None, sources: Sequence[str], workflow_id: str | None) -> LookAhead:
    """Discover the sources, and compare them with the documents that the run recorded before.

    Like a run, this function compares documents of different versions by content.

    Args:
        pool: connections to the database; None if there is no database yet, so that every document is new.
        sources: the sources, in the form that `discover` accepts.
        workflow_id: the id of an earlier run; None for a new run.

    Raises:
        DependencyUnavailable: a source or the database cannot be reached.
    """
    recorded = RecordedDocuments(pool, workflow_id) if pool and workflow_id else None
    documents = discover(sources)
    counts: Counter[str] = Counter()
    known_by_source: Counter[str] = Counter()
    seen_sources: set[str] = set()
    size = 0
    while page := await asyncio.to_thread(_take_page, documents):
        known = await recorded.find([document.uri for document in page]) if recorded else {}
        for document in page:
            source = split_patterns(document.source)[0]
            seen_sources.add(source)
            known_by_source[source] += document.uri in known
            verdict = await asyncio.to_thread(_compare, document, known.get(document.uri))
            counts[verdict] += 1
            size += document.size_bytes if verdict in _TO_PROCESS else 0
    gone = 0
    if recorded:
        # A source without any document may be unavailable. A run does not remove the documents of such a source.
        reachable = {split_patterns(normalise_source(source))[0] for source in sources} & seen_sources
        stored = await recorded.count_by_source()
        gone = sum(max(0, stored.get(source, 0) - known_by_source[source]) for source in reachable)
    seconds, pace_run = await _estimate(pool, sum(counts[kind] for kind in _TO_PROCESS))
    return LookAhead(
        new=counts[NEW],
        changed=counts[CHANGED],
        outdated=counts[OUTDATED],
        unfinished=counts[UNFINISHED],
        unchanged=counts[UNCHANGED],
        gone=gone,
        bytes=size,
        estimated_seconds=seconds,
        estimated_from=pace_run,
    )


def _take_page(documents: Iterator[DiscoveredDocument]) -> list[DiscoveredDocument]:
    return list(islice(documents, PAGE))


def _compare(document: DiscoveredDocument, known: RecordedDocument | None) -> str:
    if known is None:
        return NEW
    same_version = document.version == known.read_version
    if known.status == "quarantined":
        return UNCHANGED if same_version else CHANGED
    if known.status != "processed":
        return UNFINISHED
    if not same_version and _content_differs(document.uri, known.sha256):
        return CHANGED
    return OUTDATED if known.outdated else UNCHANGED


def _content_differs(uri: str, sha256: str | None) -> bool:
    try:
        return content_hash(uri) != sha256
    except DependencyUnavailable:
        return True


async def _estimate(pool: PostgresPool | None, documents: int) -> tuple[float, str]:
    """Return the seconds for this number of documents, and the run whose pace was used."""
    pace = await measure_pace(pool, at_least=PACE_DOCUMENTS) if pool else None
    if pace:
        return round(documents * pace.seconds / pace.documents, 1), pace.workflow_id
    return round(documents / (UNMEASURED_PACE * (os.cpu_count() or 1)), 1), ""
