"""Starts and stops the embedded servers of one data folder together.

A command that starts or stops the servers holds the folder's lock, so concurrent commands wait for each other. Other
processes read the servers' addresses from `servers.json`.
"""

import asyncio
import fcntl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from orchestration.connection import connect_to, ensure_search_attributes
from orchestration.embedded.configured import wanted_servers
from orchestration.embedded.namespace import ensure_namespace
from orchestration.embedded.postgres import EmbeddedPostgres
from orchestration.embedded.record import (
    PostgresRecord,
    ServersRecord,
    TemporalRecord,
    read_record,
    running_postgres,
    running_temporal,
    write_record,
)
from orchestration.embedded.temporal import DEFAULT_PORT, DEFAULT_UI_PORT, EmbeddedTemporal
from orchestration.invocation import command_line
from orchestration.settings import data_dir_from
from orchestration.settings.temporal import TemporalSettings
from perdure.errors import InvalidConfiguration, PortInUse, RefusedCommand
from perdure.stores.postgres.migrations import apply_migrations

LOCK_SECONDS = 120.0
_LOCK_POLL_SECONDS = 0.05

Result = TypeVar("Result")


def _to_stderr(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


@dataclass(frozen=True)
class EmbeddedStack:
    """The servers of one data folder; any process may call every method at any time.

    Args:
        data_dir: absolute path of the data folder.
        postgres: whether Postgres is one of the servers.
        temporal: whether Temporal is one of the servers.
        namespace: namespace of Temporal, created if it does not exist.
        temporal_port: required port; None for 7233, or another one when 7233 is taken.
        ui_port: required port; None for 8233, or another one when 8233 is taken.
        default_ports: whether to try the default ports.
        say: called with each sentence for the user.
    """

    data_dir: Path
    postgres: bool = True
    temporal: bool = True
    namespace: str = "default"
    temporal_port: int | None = None
    ui_port: int | None = None
    default_ports: bool = True
    say: Callable[[str], None] = _to_stderr

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        temporal_port: int | None = None,
        ui_port: int | None = None,
        say: Callable[[str], None] = _to_stderr,
    ) -> Self:
        """Return the stack of the servers that the environment does not name; may be empty.

        Args:
            environment: variables.
            temporal_port: as for the class.
            ui_port: as for the class.
            say: as for the class.

        Raises:
            InvalidConfiguration: a variable's value cannot be used.
        """
        wanted = wanted_servers(environment)
        return cls(
            data_dir_from(environment),
            postgres=wanted.postgres,
            temporal=wanted.temporal,
            namespace=environment.get("TEMPORAL_NAMESPACE") or "default",
            temporal_port=temporal_port,
            ui_port=ui_port,
            say=say,
        )

    async def up(self) -> ServersRecord:
        """Start the servers that do not run, and return the record when all of them can be used.

        After a failure, every server that this call started is stopped.

        Raises:
            PortInUse: a required port is taken.
            RefusedCommand: a server does not start, or the data folder cannot be used.
        """
        if not (self.postgres or self.temporal):
            return ServersRecord()
        async with self._locked():
            before = self.status()
            self._check_ports(before)
            try:
                await self._start(before)
                await self._prepare()
            except BaseException:
                await _to_its_end(
                    self._stop,
                    self.postgres and not _runs(before.postgres),
                    self.temporal and not _runs(before.temporal),
                )
                raise
            return self.status()

    async def down(self) -> bool:
        """Stop the servers of this folder, and no other process; return whether any was running."""
        if not self.data_dir.is_dir():
            return False
        async with self._locked():
            return await _to_its_end(self._stop, True, True)

    def status(self) -> ServersRecord:
        """Return the record of the folder's servers, whether or not they run."""
        return read_record(self.data_dir)

    def _check_ports(self, before: ServersRecord) -> None:
        if self.temporal_port is not None and self.temporal_port == self.ui_port:
            raise PortInUse(f"Port {self.ui_port} was given for Temporal and for its Web UI. Name two different ports.")
        running = before.temporal
        if not running or not running.running:
            return
        for wanted, found in ((self.temporal_port, running.port), (self.ui_port, running.ui_port)):
            if wanted is not None and wanted != found:
                raise PortInUse(
                    f"The servers of {self.data_dir} are running already, on port {found} instead of {wanted}; "
                    f"stop them first with: {command_line('down')}"
                )

    async def _start(self, before: ServersRecord) -> None:
        postgres = asyncio.ensure_future(_to_its_end(self._start_postgres, before))
        temporal = asyncio.ensure_future(_to_its_end(self._start_temporal, before))
        try:
            await asyncio.gather(postgres, temporal)
        finally:
            await asyncio.wait([postgres, temporal])
        write_record(self.data_dir, ServersRecord(postgres.result(), temporal.result()))

    def _start_postgres(self, before: ServersRecord) -> PostgresRecord | None:
        if not self.postgres:
            return before.postgres
        postgres = EmbeddedPostgres(self.data_dir, say=self.say)
        process = postgres.start(preferred_port=before.postgres.port if before.postgres else None)
        return PostgresRecord(process, postgres.port, postgres.dsn())

    def _start_temporal(self, before: ServersRecord) -> TemporalRecord | None:
        known = before.temporal
        if not self.temporal or (known and known.running):
            return known
        temporal = EmbeddedTemporal(self.data_dir, namespace=self.namespace, say=self.say)
        stray = temporal.find()
        if stray:  # a command was killed before it could record the server
            temporal.stop(stray)
        defaults = (DEFAULT_PORT, DEFAULT_UI_PORT) if self.default_ports else (None, None)
        preferred = (known.port, known.ui_port) if known else defaults
        return temporal.start(port=self.temporal_port, ui_port=self.ui_port, preferred_ports=preferred)

    async def _prepare(self) -> None:
        if self.postgres:
            await apply_migrations(running_postgres(self.data_dir).dsn)
        if self.temporal:
            address = running_temporal(self.data_dir).address
            system = await connect_to(TemporalSettings(address))
            await ensure_namespace(system, self.namespace)
            await ensure_search_attributes(await connect_to(TemporalSettings(address, self.namespace)), say=self.say)

    def _stop(self, postgres: bool, temporal: bool) -> bool:  # noqa: FBT001  called through `_to_its_end` only
        record = self.status()
        stopped = False
        if temporal:
            server = EmbeddedTemporal(self.data_dir)
            process = record.temporal.process if record.temporal and record.temporal.running else server.find()
            if process:
                server.stop(process)
                stopped = True
            if record.temporal:
                record = replace(record, temporal=replace(record.temporal, process=None))
        if postgres:
            stopped = EmbeddedPostgres(self.data_dir).stop() or stopped
            if record.postgres:
                record = replace(record, postgres=replace(record.postgres, process=None))
        if record != ServersRecord():
            write_record(self.data_dir, record)
        return stopped

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock = (self.data_dir / "servers.lock").open("a")
        except FileExistsError as error:
            raise InvalidConfiguration(f"The data folder {self.data_dir} is a file.") from error
        except OSError as error:
            raise InvalidConfiguration(
                f"The data folder {self.data_dir} cannot be used: {error.strerror or error}."
            ) from error
        with lock:
            for _ in range(int(LOCK_SECONDS / _LOCK_POLL_SECONDS)):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_LOCK_POLL_SECONDS)
            else:
                raise RefusedCommand(
                    f"Another command holds the lock on the servers of {self.data_dir} for too long. Try again later."
                )
            yield


def _runs(server: PostgresRecord | TemporalRecord | None) -> bool:
    return server is not None and server.running


async def _to_its_end(function: Callable[..., Result], *arguments: object) -> Result:
    """Run a function in a thread, to its end even after a cancellation.

    A server that the function starts must be recorded.
    """
    task = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
