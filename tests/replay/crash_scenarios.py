"""Scenarios with kills, set-back servers, service outages and forks, recorded for replay."""

import asyncio
import random
import subprocess
from pathlib import Path

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.postgres import installation
from tests.replay.scenarios import ONE_AT_A_TIME, Scenario, papers, some_are_done
from workflows.messages import PipelineOptions

KILLS = 6
FEW_AT_A_TIME = PipelineOptions(concurrency=3)


async def killed_often(client: PipelineOrchestrator, folder: Path) -> str:
    """Kill the worker in documents, in checkpoints, in workflow tasks and at its start."""
    chance = random.Random(1)
    run = await client.start([str(papers(folder, 60))], workflow_id="killed-often", options=FEW_AT_A_TIME)
    for kill in range(KILLS):
        await some_are_done(client, run.workflow_id, 2 + 6 * kill)
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        assert client.worker
        client.worker.kill()
        await client.ensure_worker()
    await client.wait(run.workflow_id)
    return run.workflow_id


async def set_back(client: PipelineOrchestrator, folder: Path) -> str:
    """Restore the database from a dump of a third of the run while the run continues."""
    run = await client.start([str(papers(folder, 40))], workflow_id="set-back", options=ONE_AT_A_TIME)
    dump = folder.with_suffix(".sql")
    dsn = client.settings.database_url
    tools = installation() / "bin"
    await some_are_done(client, run.workflow_id, 8)
    await _carry_out(str(tools / "pg_dump"), "--clean", "--if-exists", "-f", str(dump), dsn)
    await some_are_done(client, run.workflow_id, 20)
    await _carry_out(str(tools / "psql"), "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(dump), dsn)
    ended = await client.wait(run.workflow_id)
    assert ended.recovered, "it ended before it could notice"
    return run.workflow_id


async def forked(client: PipelineOrchestrator, folder: Path) -> str:
    run = await client.start([str(papers(folder, 12, empty=1))], workflow_id="forked-from", options=ONE_AT_A_TIME)
    await client.wait(run.workflow_id)
    checkpoints = await client.list_checkpoints(run.workflow_id)
    made = await client.fork(checkpoints[len(checkpoints) // 2].checkpoint_id, "forked")
    await client.wait(made.workflow_id)
    return made.workflow_id


async def terminated(client: PipelineOrchestrator, folder: Path) -> str:
    """Terminate a run in the middle and resume it from its latest checkpoint."""
    run = await client.start([str(papers(folder, 30))], workflow_id="terminated", options=ONE_AT_A_TIME)
    await some_are_done(client, run.workflow_id, 6)
    await client.client.get_workflow_handle(run.workflow_id).terminate("for the record")
    await client.resume_workflow_from_checkpoint(run.workflow_id)
    return run.workflow_id


async def breaker(client: PipelineOrchestrator, folder: Path) -> str:
    """Stop a service until the breaker pauses the run, then start the service again."""
    options = PipelineOptions(concurrency=1, breaker_seconds=1.0)
    run = await client.start([str(papers(folder, 80))], workflow_id="breaker", options=options)
    while (await client.status(run.workflow_id)).workflow_status != "paused":
        await asyncio.sleep(0.05)
    address = client.settings.external_services["archive"]
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", int(address.rpartition(":")[2]))
    await client.wait(run.workflow_id)
    server.close()
    return run.workflow_id


async def _carry_out(*command: str) -> None:
    await asyncio.to_thread(lambda: subprocess.run(command, check=True, capture_output=True))


CRASHES: list[Scenario] = [killed_often, set_back, forked, terminated]
