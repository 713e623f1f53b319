"""Compare documents and outputs with each other and with the latest checkpoint."""

from orchestration.audit.evidence import Evidence
from orchestration.audit.findings import Difference, counted
from perdure.checkpoint import TERMINAL_STATUSES, WorkflowCheckpoint
from perdure.stores.postgres.audit import Offence
from perdure.stores.postgres.audit_checks import SERVICE_CHECKS

QUALITY_TOLERANCE = 0.0011
"""Largest difference between two equal means: each mean is rounded to 3 places, and summed in another order."""

_SENTENCES = {
    "missing_document": "The row of document {position} is missing: positions count from 0 without a gap.",
    "missing_text": "{document} is marked processed, but its text is missing.",
    "wrong_text_length": "{document} has a text of {found} characters; its row gives {expected}.",
    "wrong_chunk_count": "{document} has {found} chunks numbered from 0; its row gives {expected}.",
    "wrong_mention_count": "{document} has {found} mentions numbered from 0; its row gives {expected}.",
    "incomplete_document": "{document} is marked {expected}, but its row lacks {found}.",
    "orphaned_text": "A text is stored for {document}, {why}.",
    "orphaned_chunks": "{found} chunks are stored for {document}, {why}.",
    "orphaned_mentions": "{found} mentions are stored for {document}, {why}.",
    "orphaned_sections": "{found} sections are stored for {document}, {why}.",
    "orphaned_tables": "{found} tables are stored for {document}, {why}.",
    "orphaned_statistics": "A row of statistics is stored for {document}, {why}.",
    "orphaned_vector": "A vector is stored for {document}, {why}.",
    "misplaced_chunks": "{found} chunks of {document} lie outside its {expected} characters.",
    "misplaced_tables": "{found} tables of {document} lie outside its {expected} characters.",
    "misplaced_mentions": "{found} mentions of {document} lie outside its {expected} characters.",
    "unfinished_document": "Checkpoint {sequence} counts {document} as finished, but {state}.",
    "uncovered_document": "{document} is marked {expected}, but checkpoint {sequence}, the last of the run, does not "
    "know of it.",
    "wrong_identity": "The identity '{subject}' has the counts '{found}' of mentions and documents; the documents give "
    "'{expected}'.",
    "wrong_alias": "The alias '{subject}' is counted {found} times; the documents give {expected}.",
    "wrong_name": "The identity '{subject}' is named '{found}'; its aliases give '{expected}'.",
    "wrong_graph": "The graph says that it has {found}; stored are {expected}.",
    "wrong_node": "The node '{subject}' has the degree and strength {found}; the edges give {expected}.",
    "wrong_edge": "The edge '{subject}' has the weight {found}; the documents give {expected}.",
    "wrong_statistics": "The statistics of {subject} are {found}; the document gives {expected}.",
    "wrong_vector": "The vector of {subject} is not the mean of its chunks.",
}


def compare_documents(evidence: Evidence) -> list[Difference]:
    """Return the lasting differences in documents and outputs.

    Differences that a run in progress may still remove are left out.
    """
    latest = evidence.latest
    settled = evidence.idle or is_settled(evidence)
    left_out = set() if settled else {"uncovered_document"}
    if not is_settled(evidence):
        left_out |= SERVICE_CHECKS.keys()
    differences = [
        _make_difference(offence, latest)
        for offence in evidence.offences
        if {offence.kind, offence.subject}.isdisjoint(left_out)
    ]
    if latest:
        differences += _compare_counts(evidence, latest, settled=settled)
    return differences


def is_settled(evidence: Evidence) -> bool:
    """Return whether the latest checkpoint of an ended run says how the run ended."""
    latest = evidence.latest
    run = evidence.run
    if latest is None or latest.workflow_status not in TERMINAL_STATUSES:
        return False
    return (evidence.closed or not evidence.history.runs) and (run is None or run.epoch == latest.epoch)


def _compare_counts(evidence: Evidence, latest: WorkflowCheckpoint, *, settled: bool) -> list[Difference]:
    data = latest.state_data
    totals = evidence.totals
    run = evidence.run
    total = totals.total if totals else 0
    differences: list[Difference] = []

    def say(kind: str, sentence: str) -> None:
        differences.append(Difference(kind, f"checkpoint {latest.sequence}", sentence))

    claimed_total = data.documents_total
    which = f"Checkpoint {latest.sequence}, the latest,"
    if total < claimed_total or (is_settled(evidence) and total != claimed_total):
        documents = counted(claimed_total, "document")
        say("wrong_total", f"{which} counts {documents} in all, but the manifest has {total} rows.")
    if run is None:
        if claimed_total:
            say("missing_run", f"{which} belongs to a run that has no row in the table of runs.")
        return differences
    if not settled or run.epoch != latest.epoch:
        return differences
    processed, quarantined = (totals.processed, totals.quarantined) if totals else (0, 0)
    if processed != latest.processed_documents:
        documents = counted(latest.processed_documents, "processed document")
        say("wrong_processed_count", f"{which} counts {documents}, but the manifest has {processed}.")
    if quarantined != (claimed := data.documents_quarantined):
        documents = counted(claimed, "quarantined document")
        say("wrong_quarantined_count", f"{which} counts {documents}, but the manifest has {quarantined}.")
    quality = round(totals.quality_sum / processed, 3) if totals and processed else 0.0
    claimed_quality = data.current_quality_score
    if processed == latest.processed_documents and abs(quality - claimed_quality) > QUALITY_TOLERANCE:
        say("wrong_quality", f"{which} gives the quality {claimed_quality}, but the documents give {quality}.")
    if is_settled(evidence) and run.status != latest.workflow_status:
        say("wrong_run_status", f"{which} says {latest.workflow_status}, but the run's row says {run.status}.")
    return differences


def _make_difference(offence: Offence, latest: WorkflowCheckpoint | None) -> Difference:
    if offence.kind == "more":
        return Difference(
            offence.subject, "and more", f"There are {offence.found} more of the kind {offence.subject}, not listed."
        )
    by_ordinal = offence.position is None and offence.subject.startswith("ordinal ")
    document = offence.subject
    if offence.position is not None and not document.startswith("document "):
        document = f"document {offence.position} ({offence.subject})"
    state = f"it is {offence.found}" if offence.found else "its row is missing"
    sentence = _SENTENCES[offence.kind].format(
        position=offence.position,
        document=f"the document of {document} of its queue" if by_ordinal else document,
        subject=offence.subject,
        expected=offence.expected if offence.expected is not None else "nothing",
        found=offence.found if offence.found is not None else "nothing",
        why=f"which is {offence.expected}" if offence.expected else "which has no row",
        state=state,
        sequence=latest.sequence if latest else "none",
    )
    return Difference(offence.kind, document, sentence[0].upper() + sentence[1:])
