"""Kinds of damage to the stores of a finished run, with the differences to find."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.client.orchestrator import PipelineOrchestrator

RUN = "audited"


@dataclass(frozen=True)
class Damage:
    """One change to the database, and the differences that it must cause."""

    statements: str
    """SQL, separated by semicolons."""
    kinds: frozenset[str]
    """Kinds of difference, of which at least one must be found."""
    sentence_part: str
    """A part of one of the sentences."""

    def __str__(self) -> str:
        return self.statements


def damage(statements: str, kind: str, sentence_part: str, *others: str) -> Damage:
    """Return a change that must be found as one of these kinds."""
    return Damage(statements, frozenset({kind, *others}), sentence_part)


LAST = "(SELECT max(sequence) FROM workflow_checkpoints)"
EDIT = "UPDATE workflow_checkpoints SET"
IN_MIRROR = [
    damage(
        f"{EDIT} processed_documents = 77 WHERE sequence = 2", "edited_checkpoint", "differs in processed_documents"
    ),
    damage(
        f"""{EDIT} state_data = state_data || '{{"current_quality_score": 0.1}}' WHERE sequence = 3""",
        "edited_checkpoint",
        "checkpoint 3",
    ),
    damage(
        f"""{EDIT} service_states = jsonb_set(service_states, '{{IdentityService,forged}}', '1') WHERE sequence = 2""",
        "edited_checkpoint",
        "service_states",
    ),
    damage(
        f'{EDIT} "timestamp" = "timestamp" + interval \'1 ms\' WHERE sequence = 1', "edited_checkpoint", "timestamp"
    ),
    damage("DELETE FROM workflow_checkpoints WHERE sequence = 1", "missing_checkpoint", "checkpoint 1 "),
    damage("DELETE FROM workflow_checkpoints WHERE sequence = 3", "missing_checkpoint", "checkpoint 3 "),
    damage(f"DELETE FROM workflow_checkpoints WHERE sequence = {LAST}", "missing_checkpoint", "is missing"),
    damage("DELETE FROM workflow_checkpoints WHERE sequence > 2", "missing_checkpoint", "are missing"),
    damage("DELETE FROM workflow_checkpoints", "missing_checkpoint", "1 to "),
    damage(
        f"""INSERT INTO workflow_checkpoints (checkpoint_id, workflow_id, timestamp, processed_documents, state_data,
                   service_states, metadata)
            SELECT 'chk_added', workflow_id, timestamp, processed_documents, state_data, service_states,
                   metadata || jsonb_build_object('sequence', sequence + 1, 'previous_digest', digest)
            FROM workflow_checkpoints WHERE sequence = {LAST}""",
        "misplaced_checkpoint",
        "chk_added",
    ),
    damage(
        f"""{EDIT} metadata = metadata || jsonb_build_object('sequence', 1005 - sequence) WHERE sequence IN (2, 3);
            {EDIT} metadata = metadata || jsonb_build_object('sequence', sequence - 1000) WHERE sequence > 1000""",
        "misplaced_checkpoint",
        "where its id does not belong",
    ),
    damage(
        f"""{EDIT} state_data = (SELECT state_data FROM workflow_checkpoints WHERE sequence = 4) WHERE sequence = 2""",
        "edited_checkpoint",
        "checkpoint 2",
    ),
    damage(f"{EDIT} workflow_id = 'another' WHERE sequence = 3", "missing_checkpoint", "checkpoint 3 "),
    damage(f"{EDIT} metadata = metadata - 'checkpoint_version' WHERE sequence = 2", "unreadable_checkpoint", "version"),
]

_DOCUMENTS = "DELETE FROM documents WHERE position ="
IN_DOCUMENTS = [
    damage("DELETE FROM document_texts WHERE position = 1", "missing_text", "its text is missing", "orphaned"),
    damage("DELETE FROM chunks WHERE position = 1", "wrong_chunk_count", "has 0 chunks"),
    damage("DELETE FROM mentions WHERE position = 2 AND ordinal = 0", "wrong_mention_count", "its row gives"),
    damage(f"{_DOCUMENTS} 1", "missing_document", "row of document 1 is missing"),
    damage(f"{_DOCUMENTS} (SELECT max(position) FROM documents)", "wrong_total", "but the manifest has"),
    damage(f"{_DOCUMENTS} 0", "orphaned_text", "which has no row"),
    damage("DELETE FROM documents", "wrong_total", "the manifest has 0 rows"),
    damage("DELETE FROM runs", "missing_run", "no row"),
    damage(
        "INSERT INTO document_texts SELECT workflow_id, 99, text, page_offsets FROM document_texts WHERE position = 1",
        "orphaned_text",
        "document 99",
    ),
    damage(
        """INSERT INTO mentions SELECT workflow_id, 98, ordinal, start_offset, end_offset, kind, surface, normalised,
                                       confidence FROM mentions WHERE position = 1""",
        "orphaned_mentions",
        "document 98",
    ),
    damage("UPDATE documents SET status = 'pending' WHERE position = 2", "orphaned_text", "which is pending"),
    damage(
        """UPDATE documents SET status = 'processed', sha256 = repeat('a', 64), quality_score = 1, media_type = 'x',
                  characters = 0, chunk_count = 0, mention_count = 0 WHERE status = 'quarantined'""",
        "wrong_processed_count",
        "processed documents, but",
    ),
    damage(
        """INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, status, epoch, ordinal,
                  media_type, sha256, quality_score, characters, chunk_count, mention_count, committed_at)
           SELECT workflow_id, 90, 'file:///x', 'x', source, 1, 'v', 'processed', epoch, 90, 'text/plain', sha256, 1, 0,
                  0, 0, now() FROM documents WHERE position = 1""",
        "uncovered_document",
        "does not know of it",
    ),
    damage("UPDATE documents SET quality_score = 0.01 WHERE position = 1", "wrong_quality", "the documents give"),
    damage("UPDATE documents SET media_type = NULL WHERE position = 1", "incomplete_document", "lacks media_type"),
    damage("UPDATE document_texts SET text = text || 'x' WHERE position = 1", "wrong_text_length", "characters"),
    damage("UPDATE runs SET status = 'failed'", "wrong_run_status", "the run's row says failed"),
    damage("UPDATE identities SET mention_count = mention_count + 1", "wrong_identity", "the documents give"),
    damage("UPDATE identities SET name = name || 'x'", "wrong_name", "its aliases give"),
    damage("DELETE FROM identity_aliases", "wrong_alias", "is counted nothing times"),
    damage("DELETE FROM graph_edges WHERE ctid = (SELECT min(ctid) FROM graph_edges)", "wrong_edge", "has the weight"),
    damage("DELETE FROM graph_nodes WHERE ctid = (SELECT min(ctid) FROM graph_nodes)", "wrong_node", "the edges give"),
    damage("DELETE FROM graphs", "wrong_graph", "The graph says that it has nothing"),
    damage("UPDATE document_statistics SET characters = 1 WHERE position = 1", "wrong_statistics", "document 1"),
    damage("DELETE FROM document_vectors WHERE position = 1", "wrong_vector", "document 1"),
]


def _edit(stored: list[Any]) -> list[Any]:
    stored[1]["processed_documents"] += 1
    return stored


def _swap(stored: list[Any]) -> list[Any]:
    stored[1], stored[2] = stored[2], stored[1]
    return stored


def _rename_run(stored: list[Any]) -> list[Any]:
    stored[-1]["workflow_id"] = "another"
    return stored


FILE_CONTENTS: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "an edited element": (_edit, "edited_checkpoint"),
    "two swapped elements": (_swap, "misplaced_checkpoint"),
    "no last element": (lambda stored: stored[:-1], "missing_checkpoint"),
    "no first element": (lambda stored: stored[1:], "missing_checkpoint"),
    "a repeated element": (lambda stored: [*stored, stored[-1]], "duplicate_checkpoint"),
    "an unknown field": (lambda stored: [{**stored[0], "forged": 1}, *stored[1:]], "edited_checkpoint"),
    "an element that is no checkpoint": (lambda stored: [*stored[:2], 7, *stored[2:]], "unreadable_checkpoint"),
    "a last element of another run": (_rename_run, "edited_checkpoint"),
    "an empty array": (lambda _: [], "missing_checkpoint"),
}
FILE_BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut in the middle": (lambda content: content[: len(content) // 2], "damaged_file"),
    "cut at the end": (lambda content: content[:-3], "damaged_file"),
    "no byte": (lambda _: b"", "damaged_file"),
    "an overwritten middle": (
        lambda content: content[: len(content) // 2] + b"\0" * 50 + content[len(content) // 2 + 50 :],
        "damaged_file",
    ),
}


async def harm(orchestrator: PipelineOrchestrator, statements: str) -> None:
    """Run SQL with triggers and foreign keys disabled."""
    async with orchestrator.stores.pool.connection() as conn:
        await conn.execute("SET session_replication_role = replica")
        await conn.execute("ALTER TABLE workflow_checkpoints DISABLE TRIGGER USER")
        for statement in statements.split(";"):
            assert (await conn.execute(statement)).split()[-1] != "0", "the statement changed no row"
        for name in await conn.fetch(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'workflow_checkpoints'::regclass AND NOT tgisinternal"
        ):
            await conn.execute(f"ALTER TABLE workflow_checkpoints ENABLE ALWAYS TRIGGER {name['tgname']}")
        await conn.execute("SET session_replication_role = origin")


def checkpoint_file(orchestrator: PipelineOrchestrator) -> Path:
    """Return the only checkpoint file of the data folder."""
    assert orchestrator.settings.checkpoint_dir
    (path,) = orchestrator.settings.checkpoint_dir.glob("*_checkpoints.json")
    return path


def rewrite(path: Path, change: Callable[[list[Any]], Any]) -> None:
    """Write a changed array in place of the one in a file."""
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
