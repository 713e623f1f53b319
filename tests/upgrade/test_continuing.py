"""Recorded runs that ended or wait for documents continue with the present code."""

from collections.abc import Iterator

import pytest

from tests.upgrade.conftest import Restore
from tests.upgrade.programs import Programs
from tests.upgrade.release import FINISHED, FORKED, OPEN, Release
from tests.upgrade.rows import document_states


@pytest.fixture(scope="module")
def programs(restore: Restore) -> Iterator[Programs]:
    """Yield the programs of a restored data folder, with one worker for all tests.

    Without the worker, each command would start a worker.
    """
    with restore("continuing") as running, running.worker():
        yield running


def test_running_again_repeats_no_result_of_the_same_code(release: Release, programs: Programs) -> None:
    before = document_states(programs, FINISHED)
    ended = programs("run", str(release.documents / FINISHED), "--workflow-id", FINISHED, "--json")
    assert ended.code == 1, ended
    assert ended.json["workflow_status"] == "completed_with_failures"
    after = document_states(programs, FINISHED)
    assert set(after) == set(before)
    for uri, state in after.items():
        assert (state == before[uri]) == (state.version == before[uri].version), uri
    (changes,) = programs.query(
        "SELECT added, changed, retried, removed FROM run_changes WHERE workflow_id = $1", FINISHED
    )
    assert set(changes.values()) == {0}
    assert programs.json("verify", "--workflow-id", FINISHED)["ok"]


def test_open_run_takes_a_document_and_ends(release: Release, programs: Programs) -> None:
    document = release.documents / FINISHED / "suppliers.csv"
    programs.until(lambda: programs("add", str(document), "--workflow-id", OPEN).code == 0)
    ended = programs("--workflow-id", OPEN, "--json", script="resume_workflow.py")
    assert ended.code == 0, ended
    assert ended.json["documents"]["processed"] == 3
    assert programs.json("verify", "--workflow-id", OPEN)["ok"]


def test_fork_of_recorded_fork_ends_with_the_outputs_of_the_origin(programs: Programs) -> None:
    first = programs.json("checkpoints", "--workflow-id", FORKED)[0]
    ended = programs("fork", "--checkpoint-id", first["checkpoint_id"], "--workflow-id", "again")
    assert ended.code == 1, ended
    assert programs.json("diff", FORKED, "again")["identical"]
