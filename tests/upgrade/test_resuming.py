"""A recorded run that was killed resumes from Temporal, Postgres or the files alone."""

import shutil
from pathlib import Path

import pytest

from tests.upgrade.conftest import Restore
from tests.upgrade.programs import Programs
from tests.upgrade.release import INTERRUPTED, UNDISTURBED, Release
from tests.upgrade.rows import DocumentState, document_states

_UNREADABLE = b"cperdure.forgotten\nPart\n."
"""A pickle that names a class in a missing module, as if modules had moved between two releases."""


def lose_temporal(data_dir: Path) -> None:
    (data_dir / "temporal.db").unlink()


def lose_temporal_and_postgres(data_dir: Path) -> None:
    lose_temporal(data_dir)
    shutil.rmtree(data_dir / "postgres")


@pytest.mark.slow
def test_killed_run_resumes_when_its_kept_parts_are_unreadable(restore: Restore) -> None:
    with restore("killed") as programs:
        before = document_states(programs, INTERRUPTED)
        _make_kept_parts_unreadable(programs)
        _resume(programs)
        _check_kept(before, document_states(programs, INTERRUPTED))
        _check_outputs(programs)


def test_killed_run_resumes_from_postgres_when_temporal_is_empty(restore: Restore) -> None:
    with restore("without-temporal", lose_temporal) as programs:
        before = document_states(programs, INTERRUPTED)
        _resume(programs)
        _check_kept(before, document_states(programs, INTERRUPTED))
        _check_outputs(programs)


def test_killed_run_resumes_from_files_when_all_else_is_lost(release: Release, restore: Restore) -> None:
    with restore("files-alone", lose_temporal_and_postgres) as programs, programs.worker():
        recorded = programs.json("checkpoints", "--workflow-id", INTERRUPTED)
        assert recorded, "the files hold the recorded checkpoints"
        _resume(programs)
        chain = programs.json("checkpoints", "--workflow-id", INTERRUPTED)
        assert chain[: len(recorded)] == recorded
        assert programs("run", str(release.documents / INTERRUPTED), "--workflow-id", UNDISTURBED).code == 0
        _check_outputs(programs)


def _resume(programs: Programs) -> None:
    ended = programs("--workflow-id", INTERRUPTED, "--json", script="resume_workflow.py")
    assert ended.code == 0, ended
    counts = ended.json["documents"]
    assert (counts["quarantined"], counts["remaining"]) == (0, 0)
    assert counts["processed"] == counts["total"]


def _check_kept(before: dict[str, DocumentState], after: dict[str, DocumentState]) -> None:
    """Assert that documents with a recorded result keep it, and that the others are new."""
    assert before
    assert len(before) < len(after)
    assert {uri: after[uri] for uri in before} == before


def _check_outputs(programs: Programs) -> None:
    compared, verified = programs.json_of_all([("diff", INTERRUPTED, UNDISTURBED), ("verify", "-w", INTERRUPTED)])
    assert compared["identical"], compared
    assert verified["ok"], verified


def _make_kept_parts_unreadable(programs: Programs) -> None:
    changed = programs.query(
        "UPDATE document_parts SET parts = $2 || parts WHERE workflow_id = $1 RETURNING part_id",
        INTERRUPTED,
        _UNREADABLE,
    )
    assert changed, "the recording has kept parts"
