"""`up` and `down`: the embedded servers of the data folder."""

import asyncio
import logging
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import psutil
import typer

from commands.output import say
from orchestration.embedded.configured import read_database_url, read_settings
from orchestration.embedded.record import ServersRecord
from orchestration.embedded.stack import EmbeddedStack
from orchestration.invocation import command_line
from orchestration.process_exit import run_main
from orchestration.settings import Settings, data_dir_from
from orchestration.worker.signals import signal_worker
from orchestration.worker.slot import find_live_workers
from perdure.errors import EmbeddedServersNotRunning, RefusedCommand
from perdure.stores.postgres.connection import check_connection
from perdure.stores.postgres.migrations import apply_migrations

MAX_PORT = 65535
WORKERS_END_SECONDS = 30.0
NEEDED_MEGABYTES = 120
"""Space that the files of both servers take before the first document."""

log = logging.getLogger("perdure.commands")

app = typer.Typer()

Port = Annotated[
    int | None, typer.Option(min=1, max=MAX_PORT, help="Use this port and no other. By default a free port is chosen.")
]


@app.command()
def up(temporal_port: Port = None, ui_port: Port = None) -> None:
    """Run the embedded servers in the foreground until Ctrl-C or SIGTERM.

    The command prints the addresses of the servers.
    """
    run_main(lambda: _up(temporal_port, ui_port))


@app.command()
def down() -> None:
    """Stop the workers of this data folder, then its embedded servers.

    The command is refused if no server runs.
    """
    run_main(_down)


async def ensure_servers() -> None:
    """Start the embedded servers that the environment asks for and that do not run.

    The servers stay up after the command.

    Raises:
        RefusedCommand: a server does not start, or the database that the environment names cannot be used.
    """
    stack = EmbeddedStack.from_environment(os.environ, say=say)
    if not stack.postgres:  # an unusable external database is refused before an embedded Temporal starts
        await check_connection(read_database_url())
    before = stack.status()
    await start_servers(stack)
    if _running(stack.status()) > _running(before):
        say(f"The embedded servers are up and stay up. Stop them with: {command_line('down')}")


async def start_servers(stack: EmbeddedStack) -> ServersRecord:
    """Start the servers of a data folder; returns the record of their addresses.

    Raises:
        RefusedCommand: a server does not start; the message also tells if the disk has too little space.
    """
    try:
        return await stack.up()
    except (RefusedCommand, OSError) as error:
        free = _free_megabytes(stack.data_dir)
        if free is None or free >= NEEDED_MEGABYTES:
            raise
        raise RefusedCommand(
            f"The servers did not start: the disk of the data folder {stack.data_dir} has {free} MB free, and they "
            f"need about {NEEDED_MEGABYTES} MB. Free some space, or set PERDURE_DATA_DIR to a folder on another disk."
        ) from error


async def prepared_settings() -> Settings:
    """Check the database, apply its migrations, and return the settings.

    Raises:
        RefusedCommand: the settings or the database cannot be used, or a needed embedded server does not run.
    """
    settings = read_settings()
    log.debug(
        "data folder %s, Temporal %s, task queue %s", settings.data_dir, settings.temporal.address, settings.task_queue
    )
    await check_connection(settings.database_url)
    await apply_migrations(settings.database_url)
    return settings


async def stop_workers() -> int:
    """Send SIGTERM to every worker of this data folder, and wait for its end.

    Returns the number of stopped workers.
    """
    stopped = []
    for worker in find_live_workers(data_dir_from()):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(worker.pid)
            if signal_worker(worker, signal.SIGTERM):
                stopped.append(process)
    await asyncio.to_thread(psutil.wait_procs, stopped, timeout=WORKERS_END_SECONDS)
    return len(stopped)


async def _up(temporal_port: int | None, ui_port: int | None) -> int:
    stack = EmbeddedStack.from_environment(os.environ, temporal_port=temporal_port, ui_port=ui_port, say=say)
    if not (stack.postgres or stack.temporal):
        raise RefusedCommand("There is nothing to start: TEMPORAL_ADDRESS and DATABASE_URL name servers elsewhere.")
    before = stack.status()
    already = _running(before) == stack.postgres + stack.temporal
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    record = await start_servers(stack)
    if already:
        say(f"The embedded servers of {stack.data_dir} are running already.")
    _show(record)
    if already:
        return 0
    say("Ctrl-C stops them.")
    while not stop.is_set() and _running(stack.status()):
        try:
            await asyncio.wait_for(stop.wait(), timeout=1.0)
        except TimeoutError:
            continue
    say("Stopping the embedded servers." if stop.is_set() else "Another command stopped the embedded servers.")
    await stack.down()
    return 0


async def _down() -> int:
    stack = EmbeddedStack(data_dir_from(), say=say)
    if not _running(stack.status()):
        raise EmbeddedServersNotRunning(f"No embedded servers of {stack.data_dir} are running.")
    workers = await stop_workers()
    if workers:
        say(f"Stopped {workers} worker(s).")
    await stack.down()
    say(f"Stopped the embedded servers of {stack.data_dir}. The data stays.")
    return 0


def _free_megabytes(folder: Path) -> int | None:
    """Return the free space for a folder that may not exist yet; None if it is unknown."""
    existing = next((path for path in (folder, *folder.parents) if path.is_dir()), None)
    try:
        return shutil.disk_usage(existing).free // 1_000_000 if existing else None
    except OSError:
        return None


def _running(record: ServersRecord) -> int:
    return sum(server is not None and server.running for server in (record.postgres, record.temporal))


def _show(record: ServersRecord) -> None:
    if record.temporal and record.temporal.running:
        say(f"Temporal:     {record.temporal.address}")
        say(f"Web UI:       {record.temporal.web_ui}")
    if record.postgres and record.postgres.running:
        say(f"DATABASE_URL: {record.postgres.dsn}")
    say(f"Start a worker in another terminal with: {command_line('worker')}")
