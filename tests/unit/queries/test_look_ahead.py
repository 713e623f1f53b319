"""A dry run predicts how a run would treat a document that the run has recorded before."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from orchestration.queries.look_ahead import CHANGED, NEW, OUTDATED, UNCHANGED, UNFINISHED, _compare
from perdure.documents.document import DiscoveredDocument
from perdure.stores.postgres.recorded import RecordedDocument

TEXT = "Ada Lovelace met Charles Babbage."
SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.mark.parametrize(
    ("recorded", "verdict"),
    [
        (None, NEW),
        ({}, UNCHANGED),
        ({"outdated": True}, OUTDATED),
        ({"status": "pending"}, UNFINISHED),
        ({"status": "cancelled"}, UNFINISHED),
        ({"read_version": "older"}, UNCHANGED),
        ({"read_version": "older", "outdated": True}, OUTDATED),
        ({"read_version": "older", "sha256": "0" * 64}, CHANGED),
        ({"sha256": "0" * 64}, UNCHANGED),
        ({"status": "quarantined"}, UNCHANGED),
        ({"status": "quarantined", "read_version": "older"}, CHANGED),
    ],
    ids=str,
)
def test_document_is_predicted_as_a_run_would_treat_it(
    recorded: dict[str, Any] | None, verdict: str, tmp_path: Path
) -> None:
    path = tmp_path / "paper.txt"
    path.write_text(TEXT)
    document = DiscoveredDocument(path.as_uri(), "paper.txt", tmp_path.as_uri(), len(TEXT), "present")
    fields = {"status": "processed", "read_version": "present", "sha256": SHA256, "outdated": False}
    known = RecordedDocument(**{**fields, **recorded}) if recorded is not None else None
    assert _compare(document, known) == verdict


def test_document_that_cannot_be_read_now_counts_as_changed(tmp_path: Path) -> None:
    document = DiscoveredDocument((tmp_path / "gone.txt").as_uri(), "gone.txt", tmp_path.as_uri(), 1, "present")
    known = RecordedDocument(status="processed", read_version="older", sha256=SHA256, outdated=False)
    assert _compare(document, known) == CHANGED
