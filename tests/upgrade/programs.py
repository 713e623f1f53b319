"""The programs of a checkout, run as processes with a separate data folder.

This module imports no other module of the project, so that the same code runs every release.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 240.0
_POLL_SECONDS = 0.05
_SERVER_VARIABLES = ("TEMPORAL_", "DATABASE_URL", "PERDURE_")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Return the JSON value that the command printed to stdout."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Programs:
    """`starter.py`, `worker.py` and `resume_workflow.py` of a checkout.

    Args:
        data_dir: the data folder of every command.
        checkout: folder of the programs.
        variables: further environment variables of every command.
    """

    data_dir: Path
    checkout: Path = CHECKOUT
    variables: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, script: str = "starter.py") -> Ended:
        """Run a command to its end.

        Raises:
            AssertionError: the command printed a traceback.
            subprocess.TimeoutExpired: the command took more than `PATIENCE_SECONDS`.
        """
        process = self.begin(*arguments, script=script)
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert "Traceback" not in stderr, stderr
        return Ended(process.returncode, stdout, stderr)

    def json(self, *arguments: str) -> Any:
        """Return the JSON value that a command of the starter prints; an exit code above 1 fails."""
        ended = self(*arguments, "--json")
        assert ended.code in (0, 1), ended
        return ended.json

    def json_of_all(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        """Return the JSON values that several commands print, in the order of the commands.

        The commands run at the same time.
        """
        processes = [self.begin(*arguments, "--json") for arguments in commands]
        answers = []
        for process in processes:
            stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode in (0, 1), stderr
            answers.append(json.loads(stdout))
        return answers

    def begin(self, *arguments: str, script: str = "starter.py") -> subprocess.Popen[str]:
        """Run a command in the background in a new session, like a command in a terminal."""
        return subprocess.Popen(
            [sys.executable, str(self.checkout / script), *arguments],
            cwd=self.checkout,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker of the data folder during the block."""
        with self.data_dir.with_name(f"{self.data_dir.name}-worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(self.checkout / "worker.py")],
                cwd=self.checkout,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,  # a pipe that nothing reads would stop the worker when it is full
                stderr=log,
                start_new_session=True,
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)

    def servers(self) -> Any:
        """Return the record of the data folder's embedded servers, `servers.json`."""
        return json.loads((self.data_dir / "servers.json").read_bytes())

    def query(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Return the rows of a statement on the data folder's running Postgres."""
        return asyncio.run(self._query(statement, values))

    async def _query(self, statement: str, values: Sequence[object]) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.servers()["postgres"]["dsn"])
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: the condition does not hold within `PATIENCE_SECONDS`.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "the condition did not hold in time"
            time.sleep(_POLL_SECONDS)

    @contextmanager
    def up(self, *options: str) -> Iterator[None]:
        """Run the embedded servers during the block, then stop them and all workers."""
        log = self.data_dir.with_name(f"{self.data_dir.name}-up.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(self.checkout / "starter.py"), "up", *options],
                cwd=self.checkout,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self.until(lambda: process.poll() is not None or _shows_database(log))
            assert process.poll() is None, log.read_text()
            yield
        finally:
            self("down")
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SERVER_VARIABLES)}
        own = {"PERDURE_DATA_DIR": str(self.data_dir), "TEMPORAL_CONFIG_FILE": os.devnull, "PERDURE_POOL_WORKERS": "1"}
        return {**inherited, **own, **self.variables}


def _shows_database(log: Path) -> bool:
    """Return whether `up` has printed the address of the database.

    The command prints the address when its servers are ready.
    """
    return re.search(r"postgresql://\S+\s", log.read_text()) is not None
