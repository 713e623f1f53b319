"""Postgres is restored from an older backup, or lost with Temporal: the loss is said, and exactly it is made again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.audit import verify
from tests.chaos.disturbed_run import Commits, DisturbedRun, Outputs, Place, disturbed_run
from tests.chaos.own_servers import OwnServers, back_up, commits_in, set_back

pytestmark = pytest.mark.slow


async def set_back_to(dump: Path, run: DisturbedRun) -> tuple[Commits, datetime]:
    """What the dump holds of the run, and when it had been restored."""
    await asyncio.to_thread(set_back, run.orchestrator.settings, dump)
    return commits_in(dump, run.id), datetime.now(UTC)


async def check_exactly_the_lost_were_made_again(
    run: DisturbedRun, kept: Commits, since: datetime, expected: Outputs
) -> None:
    commits = await run.commits()
    assert 0 < len(kept) < len(commits), "something was lost, and something was kept"
    assert {name for name, time in commits.items() if time > since} == commits.keys() - kept.keys()
    chain = await run.check(expected, kept=kept, set_back=True)
    assert chain[-1].epoch > chain[0].epoch


async def test_postgres_set_back_while_the_run_goes_on(
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
        await check_exactly_the_lost_were_made_again(run, kept, since, undisturbed)


async def test_postgres_set_back_after_the_run_had_ended(
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
        assert {one.kind for one in audit.differences} == {"missing_checkpoint"}, "an audit knows it first"
        said = await run.resume()
        assert said.code == 0, said.words
        assert f"The database was set back: {lost} of 10 finished documents have lost their results" in said.words
        assert ((await run.orchestrator.status(run.id)).recovered or "").startswith(
            f"The database was set back: {lost}"
        )
        await check_exactly_the_lost_were_made_again(run, kept, since, undisturbed)
        assert last in await run.orchestrator.list_checkpoints(run.id), "it came back, and the chain goes on"
        again = await run.resume()
        assert (again.code, "Nothing is left to do." in again.words) == (0, True), again.words


async def test_both_servers_gone_and_the_files_left_means_everything_anew_and_the_chain_goes_on(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(4)
        await own_servers.lose_temporal()
        await asyncio.sleep(1.0)  # what the worker had in hand when it lost its server is written or given up
        last = await run.latest()
        await asyncio.to_thread(own_servers.lose_database, place.settings)
        said = await run.resume()
        assert said.code == 0, said.words
        assert (
            f"The database knows nothing of this run. Checkpoint {last.sequence} says that {last.processed_documents} "
            "of 10 documents had been finished; what came out of them is gone with the database, so they are "
            "processed again."
        ) in said.words
        assert "Resuming from document 1 of 10." in said.words
        chain = await run.check(undisturbed, kept={}, set_back=True)
    assert chain[last.sequence - 1] == last
    assert chain[-1].sequence > last.sequence
    assert chain[-1].epoch == last.epoch + 1


async def test_postgres_set_back_while_no_worker_is_alive(
    place: Place, documents: Path, undisturbed: Outputs, tmp_path: Path
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(2)
        await asyncio.to_thread(back_up, place.settings, tmp_path / "older.dump")
        await run.until_mirrored(5)
        await asyncio.to_thread(place.stop_worker)
        kept, since = await set_back_to(tmp_path / "older.dump", run)
        said = await run.resume()
        assert said.code == 0, said.words
        report = await run.orchestrator.status(run.id)
        assert report.recovered
        assert report.recovered.startswith("The database was set back: ")
        await check_exactly_the_lost_were_made_again(run, kept, since, undisturbed)
