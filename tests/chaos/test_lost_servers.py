"""Temporal or Postgres is killed in the middle of a run and comes back, or comes back with nothing."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.disturbed_run import Outputs, Place, disturbed_run
from tests.chaos.own_servers import OwnServers
from tests.chaos.test_reclaim import failures_before_success

pytestmark = pytest.mark.slow

AWAY_SECONDS = 12.0


async def test_temporal_killed_twice_comes_back_and_the_run_goes_on_by_itself(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        for count in (2, 5):
            await run.until_mirrored(count)
            before = await run.commits()
            assert len(before) < len(list(documents.iterdir())), "it is in the middle"
            own_servers.kill_temporal()
            await asyncio.sleep(0.5)
            await own_servers.up()
        report = await run.wait()
        assert report.recovered is None
        chain = await run.check(undisturbed, kept=before)
    assert {one.epoch for one in chain} == {1}


async def test_what_got_lost_while_temporal_was_away_waits_for_no_timeout(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    """The SDK drops a completion that it could not deliver for some seconds."""
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(2)
        before = await run.commits()
        own_servers.kill_temporal()
        await asyncio.sleep(AWAY_SECONDS)
        await own_servers.up()
        await run.wait()
        failures = set(await failures_before_success(run.orchestrator, run.id))
        assert failures <= {"WorkerDied"}, "none of them is a timeout"
        await run.check(undisturbed, kept=before)


async def test_temporal_lost_with_all_its_data_is_resumed_from_the_mirror(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(4)
        await own_servers.lose_temporal()
        await asyncio.sleep(1.0)  # what the worker had in hand when it lost its server is committed or refused
        before = await run.commits()
        assert 4 <= len(before) < len(list(documents.iterdir()))
        said = await run.resume()
        assert said.code == 0, said.words
        assert f"Temporal reports '{run.id}' as unknown. A new run continues under the same id." in said.words
        assert "Checkpoint loaded" in said.words
        chain = await run.check(undisturbed, kept=before)
    assert sorted({one.epoch for one in chain}) == [1, 2]


async def test_postgres_killed_and_away_for_seconds_makes_the_run_wait(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(4)
        before = await run.commits()
        own_servers.kill_postgres()
        await asyncio.sleep(3.0)
        await own_servers.up()
        report = await run.wait()
        assert report.recovered is None
        chain = await run.check(undisturbed, kept=before)
    assert {one.epoch for one in chain} == {1}
