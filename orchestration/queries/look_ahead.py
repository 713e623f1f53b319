"""Look ahead at a run: what it would find new, changed and gone, and how long it would take; it changes nothing."""

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
"""Fewer finished documents say nothing about the pace."""
UNMEASURED_PACE = 7.0
"""Documents a second and core: docs/performance.md measured 14.4 on two cores, over office documents."""

NEW = "new"
CHANGED = "changed"
OUTDATED = "outdated"
UNFINISHED = "unfinished"
UNCHANGED = "unchanged"
_TO_PROCESS = (NEW, CHANGED, OUTDATED, UNFINISHED)


@dataclass(frozen=True)
class LookAhead:
    """What a run would do, in documents, bytes and seconds."""

    new: int
    changed: int
    outdated: int
    """Processed before by another version of the processing code."""
    unfinished: int
    """Recorded before and not processed."""
    unchanged: int
    gone: int
    bytes: int
    """Of the documents to process."""
    estimated_seconds: float
    estimated_from: str
    """The run whose pace was taken; empty where no run has shown a pace yet."""

    @property
    def to_process(self) -> int:
        """How many documents the run would process."""
        return self.new + self.changed + self.outdated + self.unfinished


async def look_ahead(pool: PostgresPool | None, sources: Sequence[str], workflow_id: str | None) -> LookAhead:
    """Discover the sources and compare them with what an earlier start of the run recorded.

    A document whose version differs is read and compared by content, as the run itself does.

    Args:
        pool: of the database; None if there is none yet, so that every document is new.
        sources: as `discover` takes them.
        workflow_id: of an earlier run; None for a new run.

    Raises:
        DependencyUnavailable: a source or the database cannot be reached.
    """
    recorded = RecordedDocuments(pool, workflow_id) if pool and workflow_id else None
    documents = discover(sources)
    counts: Counter[str] = Counter()
    known_by_source: Counter[str] = Counter()
    seen_sources: set[str] = set()
    size = 0
    while page := await asyncio.to_thread(_next_page, documents):
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
        # The run too drops nothing of a source under which it finds nothing at all: the source may be away.
        named = {split_patterns(normalise_source(source))[0] for source in sources} & seen_sources
        stored = await recorded.count_by_source()
        gone = sum(max(0, stored.get(source, 0) - known_by_source[source]) for source in named)
    seconds, measured = await _estimate(pool, sum(counts[kind] for kind in _TO_PROCESS))
    return LookAhead(
        new=counts[NEW],
        changed=counts[CHANGED],
        outdated=counts[OUTDATED],
        unfinished=counts[UNFINISHED],
        unchanged=counts[UNCHANGED],
        gone=gone,
        bytes=size,
        estimated_seconds=seconds,
        estimated_from=measured,
    )


def _next_page(documents: Iterator[DiscoveredDocument]) -> list[DiscoveredDocument]:
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
    """Seconds for so many documents, and the run whose pace that is."""
    pace = await measure_pace(pool, at_least=PACE_DOCUMENTS) if pool else None
    if pace:
        return round(documents * pace.seconds / pace.documents, 1), pace.workflow_id
    return round(documents / (UNMEASURED_PACE * (os.cpu_count() or 1)), 1), ""
