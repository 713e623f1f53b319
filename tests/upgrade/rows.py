"""Rows of the manifest, read and changed by SQL."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.upgrade.programs import Programs


@dataclass(frozen=True)
class DocumentState:
    """A processed document: when it was committed, and by which version of the processing code."""

    committed_at: datetime
    version: str | None


def document_states(programs: Programs, workflow_id: str) -> dict[str, DocumentState]:
    """Return the documents of a run that have results, by URI; quarantined documents have none."""
    rows = programs.query(
        "SELECT uri, committed_at, processed_by FROM documents WHERE workflow_id = $1 AND status = 'processed'",
        workflow_id,
    )
    return {row["uri"]: DocumentState(row["committed_at"], row["processed_by"]) for row in rows}


def adopt_files(programs: Programs, folder: Path) -> None:
    """Write the times of the extracted files into the manifest.

    The rows then look as if the files had been there since the recording.

    The version of a document is its size and two times, and no program can set the second time. Without this function,
    every document would seem to have changed.
    """
    files = {path.as_uri(): path.stat() for path in folder.rglob("*.*")}
    programs.query(
        "UPDATE documents SET version = found.version,"
        " read_version = CASE WHEN read_version IS NOT NULL THEN found.version END"
        " FROM unnest($1::text[], $2::text[]) AS found (uri, version) WHERE documents.uri = found.uri",
        list(files),
        [f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}" for status in files.values()],
    )
