"""Temporal or Postgres is killed during a run, and restarted with or without its data."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.disturbed_run import IN_FLIGHT, Outputs, Place, disturbed_run
from tests.chaos.own_servers import OwnServers
from tests.chaos.test_reclaim import failures_before_success

pytestmark = pytest.mark.slow

AWAY_SECONDS = 12.0


async def test_run_continues_after_temporal_is_killed_twice(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        for count in (2, 5):
            await run.until_mirrored(count)
            before = await run.commits()
            own_servers.kill_temporal()
            run.gate.admit(count + IN_FLIGHT)  # the documents in flight complete while the server is away
            await asyncio.sleep(0.5)
            await own_servers.up()
        report = await run.wait()
        assert report.recovered is None
        chain = await run.check(undisturbed, kept=before)
    assert {checkpoint.epoch for checkpoint in chain} == {1}


async def test_completion_lost_in_temporal_outage_is_retried_before_timeout(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    """The SDK drops a completion that it could not send for some seconds."""
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(2)
        before = await run.commits()
        own_servers.kill_temporal()
        run.gate.admit(2 + IN_FLIGHT)
        await asyncio.sleep(AWAY_SECONDS)
        await own_servers.up()
        await run.wait()
        failures = set(await failures_before_success(run.orchestrator, run.id))
        assert failures <= {"WorkerDied"}, "a batch was retried after a timeout"
        await run.check(undisturbed, kept=before)


async def test_run_resumes_from_the_mirror_after_temporal_loses_its_data(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(4)
        await own_servers.lose_temporal()
        before = await run.commits()
        assert len(before) == 4
        resumed = await run.resume()
        assert resumed.code == 0, resumed.output
        assert f"Temporal reports '{run.id}' as unknown. A new run continues under the same id." in resumed.output
        assert "Checkpoint loaded" in resumed.output
        chain = await run.check(undisturbed, kept=before)
    assert sorted({checkpoint.epoch for checkpoint in chain}) == [1, 2]


async def test_run_waits_while_postgres_is_killed_and_restarted(
    own_servers: OwnServers, place: Place, documents: Path, undisturbed: Outputs
) -> None:
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(4)
        before = await run.commits()
        own_servers.kill_postgres()
        run.gate.admit(4 + IN_FLIGHT)  # the documents in flight are committed during the outage
        await asyncio.sleep(3.0)
        await own_servers.up()
        report = await run.wait()
        assert report.recovered is None
        chain = await run.check(undisturbed, kept=before)
    assert {checkpoint.epoch for checkpoint in chain} == {1}
