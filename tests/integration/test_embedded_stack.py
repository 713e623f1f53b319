"""The embedded servers of a data folder: one set, which every command finds.

After `down`, no server is left. The file is longer than 300 lines because its tests share the functions that
look at the processes of a folder.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from orchestration.connection import SEARCH_ATTRIBUTES, connect_to, ensure_search_attributes
from orchestration.embedded.configured import read_settings
from orchestration.embedded.namespace import RETENTION
from orchestration.embedded.ports import HOST
from orchestration.embedded.process import is_alive, wait_until
from orchestration.embedded.record import PostgresRecord, ServersRecord, TemporalRecord
from orchestration.embedded.stack import EmbeddedStack
from orchestration.settings.temporal import TemporalSettings
from perdure.errors import EmbeddedServersNotRunning, InvalidConfiguration, PortInUse, RefusedCommand

PATIENCE_SECONDS = 240.0


@pytest.fixture
async def stack(data_dir: Path) -> AsyncIterator[EmbeddedStack]:
    stack = EmbeddedStack(data_dir, default_ports=False)
    yield stack
    await stack.down()


def both(record: ServersRecord) -> tuple[PostgresRecord, TemporalRecord]:
    assert record.postgres
    assert record.temporal
    return record.postgres, record.temporal


def alive(record: ServersRecord) -> list[bool]:
    return [server.process is not None and is_alive(server.process) for server in both(record)]


def processes_of(folder: Path) -> list[str]:
    """Return the processes whose current folder or arguments name the folder."""
    processes = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            where = [process.cwd(), *command]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in text for text in where):
            processes.append(" ".join(command))
    return processes


async def works(record: ServersRecord) -> Client:
    """Assert that both servers answer."""
    postgres, temporal = both(record)
    connection = await asyncpg.connect(postgres.dsn)
    assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,2]'::vector") == 0
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.close()
    return await connect_to(TemporalSettings(temporal.address))


async def test_up_starts_both_servers_and_down_leaves_no_process(stack: EmbeddedStack) -> None:
    record = await stack.up()
    client = await works(record)
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == RETENTION
    sentences: list[str] = []
    assert await ensure_search_attributes(client, say=sentences.append)
    assert not sentences
    assert len(SEARCH_ATTRIBUTES) == 5
    assert processes_of(stack.data_dir)

    assert await stack.down()
    assert not processes_of(stack.data_dir)
    assert alive(record) == [False, False]
    assert not await stack.down()


async def test_second_up_starts_no_server(stack: EmbeddedStack) -> None:
    assert await stack.up() == await stack.up()


async def test_restarted_servers_keep_ports_and_data(stack: EmbeddedStack) -> None:
    before = await stack.up()
    postgres, temporal = both(before)
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute("CREATE TABLE kept (answer int); INSERT INTO kept VALUES (42)")
    await connection.close()
    client = await works(before)
    await client.start_workflow("Unknown", id="kept", task_queue="unpolled")
    await stack.down()

    after = await stack.up()
    assert both(after)[0].dsn == postgres.dsn
    assert (both(after)[1].port, both(after)[1].ui_port) == (temporal.port, temporal.ui_port)
    connection = await asyncpg.connect(postgres.dsn)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()
    assert (await (await works(after)).get_workflow_handle("kept").describe()).id == "kept"


@pytest.mark.parametrize("victim", ["postgres", "temporal"])
async def test_up_restarts_only_the_killed_server(stack: EmbeddedStack, victim: str) -> None:
    before = await stack.up()
    killed = getattr(before, victim).process
    os.kill(killed.pid, signal.SIGKILL)
    assert await asyncio.to_thread(wait_until, lambda: not is_alive(killed), PATIENCE_SECONDS)
    assert alive(stack.status()).count(True) == 1

    after = await stack.up()
    await works(after)
    assert alive(after) == [True, True]
    for name in ("postgres", "temporal"):
        assert (getattr(before, name) == getattr(after, name)) == (name != victim)
        assert getattr(before, name).port == getattr(after, name).port


async def test_two_data_folders_have_separate_servers(stack: EmbeddedStack, tmp_path: Path) -> None:
    other = EmbeddedStack(tmp_path / "other", default_ports=False)
    try:
        first, second = await asyncio.gather(stack.up(), other.up())
        assert both(first)[0].port != both(second)[0].port
        assert both(first)[1].port != both(second)[1].port
        client = await works(first)
        await client.start_workflow("Unknown", id="only here", task_queue="unpolled")
        assert (await (await works(second)).count_workflows()).count == 0
        await other.down()
        await works(stack.status())
    finally:
        await other.down()
    assert not processes_of(other.data_dir)


_UP = """
import asyncio, sys
from pathlib import Path
from orchestration.embedded.stack import EmbeddedStack
from orchestration.process_exit import run_main

async def main():
    record = await EmbeddedStack(Path(sys.argv[1]), default_ports=False).up()
    print(record.postgres.process.pid, record.temporal.process.pid)

run_main(main)
"""


async def up_elsewhere(data_dir: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _UP, str(data_dir), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )


async def test_concurrent_commands_start_one_set_of_servers(stack: EmbeddedStack) -> None:
    commands = [await up_elsewhere(stack.data_dir) for _ in range(2)]
    sentences = [(await command.communicate())[0].split() for command in commands]
    assert [command.returncode for command in commands] == [0, 0]
    record = stack.status()
    pids = [str(server.process.pid).encode() for server in both(record) if server.process]
    assert sentences == [pids, pids]
    await works(record)


async def test_command_killed_during_start_does_not_block_the_next(stack: EmbeddedStack) -> None:
    """Each command is killed when the data folder shows that a later step has begun."""
    for trace in ("servers.lock", "postgres*/PG_VERSION", "temporal.db", "postgres/postmaster.pid"):
        command = await up_elsewhere(stack.data_dir)
        assert await asyncio.to_thread(wait_until, lambda: any(stack.data_dir.glob(trace)), PATIENCE_SECONDS)  # noqa: B023 - called within this round
        if command.returncode is None:
            command.kill()
        await command.wait()
    await works(await stack.up())
    await stack.down()
    assert not processes_of(stack.data_dir)


async def test_failed_start_of_one_server_stops_the_other(data_dir: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        stack = EmbeddedStack(data_dir, temporal_port=taken.getsockname()[1], default_ports=False)
        with pytest.raises(PortInUse, match=str(taken.getsockname()[1])):
            await stack.up()
    assert not processes_of(data_dir)


@pytest.mark.parametrize("port", [-1, 0, 65536])
async def test_invalid_port_is_refused(data_dir: Path, port: int) -> None:
    with pytest.raises(InvalidConfiguration, match=str(port)):
        await EmbeddedStack(data_dir, postgres=False, temporal_port=port).up()


async def test_same_port_for_both_interfaces_is_refused(data_dir: Path) -> None:
    with pytest.raises(PortInUse, match="20000"):
        await EmbeddedStack(data_dir, temporal_port=20000, ui_port=20000).up()
    assert not processes_of(data_dir)


async def test_taken_default_port_is_replaced_and_reported(stack: EmbeddedStack) -> None:
    temporal = both(await stack.up())[1]
    await stack.down()
    with socket.create_server((HOST, temporal.port)):  # no other program takes ports of this range by chance
        sentences: list[str] = []
        restarted = EmbeddedStack(stack.data_dir, default_ports=False, say=sentences.append)
        moved = both(await restarted.up())[1]
    assert moved.port != temporal.port
    assert any(str(temporal.port) in sentence and str(moved.port) in sentence for sentence in sentences)


async def test_other_port_than_that_of_running_server_is_refused(stack: EmbeddedStack) -> None:
    await stack.up()
    with pytest.raises(PortInUse, match="running already"):
        await EmbeddedStack(stack.data_dir, temporal_port=1, default_ports=False).up()


async def test_record_of_dead_or_foreign_process_counts_as_stopped(stack: EmbeddedStack) -> None:
    await stack.up()
    await stack.down()
    path = stack.data_dir / "servers.json"
    record = json.loads(path.read_text())
    for server in record.values():
        server["process"] = {"pid": os.getpid(), "started": "another boot/1"}
    path.write_text(json.dumps(record))

    with pytest.raises(EmbeddedServersNotRunning, match=r"start them with: .* up"):
        read_settings({"PERDURE_DATA_DIR": str(stack.data_dir)})
    await stack.down()  # the record names the test's own process, which must survive
    path.write_text(json.dumps(record))
    await works(await stack.up())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"postgres": 1, "temporal": 2}'])
async def test_damaged_record_does_not_block_start(stack: EmbeddedStack, content: str) -> None:
    (stack.data_dir / "servers.json").write_text(content)
    assert stack.status() == ServersRecord()
    assert not await stack.down()


async def test_pid_file_of_another_program_does_not_block_start(stack: EmbeddedStack) -> None:
    postgres = both(await stack.up())[0]
    assert postgres.process
    killed = postgres.process
    os.kill(killed.pid, signal.SIGKILL)
    assert await asyncio.to_thread(wait_until, lambda: not is_alive(killed), PATIENCE_SECONDS)
    pid_file = stack.data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    await works(await stack.up())


async def test_lost_record_is_written_again(stack: EmbeddedStack) -> None:
    before = await stack.up()
    (stack.data_dir / "servers.json").unlink()
    after = await stack.up()
    await works(after)
    assert both(before)[0] == both(after)[0]
    assert alive(before) == [True, False]  # a server that no record names is replaced


async def test_data_folder_may_have_any_name(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path / "Déjà vu?#%20 & co" / ("long " * 20), default_ports=False)
    try:
        await works(await stack.up())
        await stack.down()
        await works(await stack.up())
    finally:
        await stack.down()
    assert not processes_of(stack.data_dir)


async def test_unusable_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for unusable in (file, file / "below"):
        with pytest.raises(InvalidConfiguration, match=str(unusable)):
            await EmbeddedStack(unusable, default_ports=False).up()


async def test_cluster_of_another_version_is_not_touched(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(RefusedCommand, match="Postgres 16"):
        await EmbeddedStack(data_dir, default_ports=False).up()
    assert not processes_of(data_dir)


async def test_settings_name_the_servers_of_their_folder(stack: EmbeddedStack) -> None:
    postgres, temporal = both(await stack.up())
    settings = read_settings({"PERDURE_DATA_DIR": str(stack.data_dir)})
    assert settings.database_url == postgres.dsn
    assert settings.temporal.address == temporal.address
    assert settings == read_settings(settings.environment())
