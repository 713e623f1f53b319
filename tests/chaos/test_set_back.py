"""After Postgres is set back or lost, a run processes exactly the lost documents again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.audit import verify
from tests.chaos.disturbed_run import IN_FLIGHT, Commits, DisturbedRun, Outputs, Place, disturbed_run
from tests.chaos.own_servers import OwnServers, back_up, commits_in, set_back

pytestmark = pytest.mark.slow


async def set_back_to(dump: Path, run: DisturbedRun) -> tuple[Commits, datetime]:
    """Restore a dump; return the run's commits in the dump, and the time after the restore."""
    await asyncio.to_thread(set_back, run.orchestrator.settings, dump)
    return commits_in(dump, run.id), datetime.now(UTC)


async def check_only_lost_documents_were_reprocessed(
    run: DisturbedRun, kept: Commits, since: datetime, expected: Outputs
) -> None:
    """Assert that the documents outside `kept`, and no others, were committed after `since`."""
    commits = await run.commits()
    assert 0 < len(kept) < len(commits), "the dump must hold some of the commits, and lack others"
    assert {name for name, time in commits.items() if time > since} == commits.keys() - kept.keys()
    chain = await run.check(expected, kept=kept, set_back=True)
    assert chain[-1].epoch > chain[0].epoch


async def test_running_run_reprocesses_documents_after_set_back(
    place: Place, documents: Path, undisturbed: Outputs, tmp_path: Path
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(2)
        await asyncio.to_thread(back_up, place.settings, tmp_path / "older.dump")
        await run.until_mirrored(6)
        kept, since = await set_back_to(tmp_path / "older.dump", run)
        report = await run.wait()
        assert report.recovered
        assert report.recovered.startswith("The database was set back: ")
        await check_only_lost_documents_were_reprocessed(run, kept, since, undisturbed)


async def test_resume_reprocesses_documents_after_set_back_of_ended_run(
    place: Place, documents: Path, undisturbed: Outputs, tmp_path: Path
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(6)
        await asyncio.to_thread(back_up, place.settings, tmp_path / "older.dump")
        assert (await run.wait()).workflow_status == "completed"
        last = await run.latest()
        kept, since = await set_back_to(tmp_path / "older.dump", run)
        lost = len(list(documents.iterdir())) - len(kept)
        audit = await verify(run.orchestrator.client, run.orchestrator.stores, run.id)
        assert {difference.kind for difference in audit.differences} == {"missing_checkpoint"}
        resumed = await run.resume()
        assert resumed.code == 0, resumed.output
        assert f"The database was set back: {lost} of 10 finished documents have lost their results" in resumed.output
        recovered = (await run.orchestrator.status(run.id)).recovered or ""
        assert recovered.startswith(f"The database was set back: {lost}")
        await check_only_lost_documents_were_reprocessed(run, kept, since, undisturbed)
        assert last in await run.orchestrator.list_checkpoints(run.id), "the last checkpoint was not restored"
        again = await run.resume()
        assert again.code == 0, again.output
        assert "Nothing is left to do." in again.output


async def test_run_restarts_and_chain_continues_after_both_servers_lose_their_data(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(4)
        await own_servers.lose_temporal()
        last = await run.latest()
        await asyncio.to_thread(own_servers.lose_database, place.settings)
        resumed = await run.resume()
        assert resumed.code == 0, resumed.output
        assert (
            f"The database knows nothing of this run. Checkpoint {last.sequence} says that {last.processed_documents} "
            "of 10 documents had been finished; what came out of them is gone with the database, so they are "
            "processed again."
        ) in resumed.output
        assert "Resuming from document 1 of 10." in resumed.output
        chain = await run.check(undisturbed, kept={}, set_back=True)
    assert chain[last.sequence - 1] == last
    assert chain[-1].sequence > last.sequence
    assert chain[-1].epoch == last.epoch + 1


async def test_resume_reprocesses_documents_after_set_back_without_worker(
    place: Place, documents: Path, undisturbed: Outputs, tmp_path: Path
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(2)
        await asyncio.to_thread(back_up, place.settings, tmp_path / "older.dump")
        await run.until_mirrored(5)
        await asyncio.to_thread(place.stop_worker, admitted=5 + IN_FLIGHT)
        kept, since = await set_back_to(tmp_path / "older.dump", run)
        resumed = await run.resume()
        assert resumed.code == 0, resumed.output
        report = await run.orchestrator.status(run.id)
        assert report.recovered
        assert report.recovered.startswith("The database was set back: ")
        await check_only_lost_documents_were_reprocessed(run, kept, since, undisturbed)
