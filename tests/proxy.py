"""A proxy in front of a server that cuts connections, loses answers or falls silent when told to."""

import asyncio
import random
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_COMMIT = b"COMMIT;"
"""What asyncpg sends at the end of a transaction."""


class Proxy:
    """Forwards bytes in both directions, from a free port of this machine.

    `lose_answers`: what the client sends arrives, and the connection is cut instead of the server's answer.
    `lose_commits`: the same to this share of the database's commits, from 0 to 1.
    `fall_silent`: nothing passes any more, and nothing is closed, until it is told to `speak`.
    `cut`: every connection is reset, and so is every new one until `mend`.

    Args:
        url: of the server, with host and port.
        chance: decides which commits lose their answer.
    """

    def __init__(self, url: str, chance: random.Random | None = None) -> None:
        self._target = urlsplit(url)
        self._chance = chance or random.Random(0)
        self.url = ""
        self.address = ""
        self.lose_answers = False
        self.lose_commits = 0.0
        self.lost = 0
        """How many answers to commits."""
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._is_cut = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._writers) // 2

    def fall_silent(self) -> None:
        self._speaking.clear()

    def speak(self) -> None:
        self._speaking.set()

    def cut(self) -> int:
        """Returns how many connections were reset."""
        self._is_cut = True
        reset = self.connections
        for writer in self._writers:
            writer.transport.abort()
        return reset

    def mend(self) -> None:
        self._is_cut = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        user, at, _ = self._target.netloc.rpartition("@")
        self.url = urlunsplit(self._target._replace(netloc=f"{user}{at}{self.address}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()  # as the server's own port would refuse
            return
        both = {writer, to_writer}
        self._writers |= both
        connection = _Connection()
        try:
            await asyncio.gather(
                self._forward(reader, to_writer, connection, answers=False),
                self._forward(to_reader, writer, connection, answers=True),
            )
        finally:
            self._writers -= both
            writer.close()
            to_writer.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: "_Connection", *, answers: bool
    ) -> None:
        with suppress(ConnectionError):
            while content := await reader.read(65536):
                await self._speaking.wait()
                if answers and (self.lose_answers or connection.loses_next):
                    self.lost += connection.loses_next
                    break
                if not answers and self.lose_commits and _COMMIT in content:
                    connection.loses_next = self._chance.random() < self.lose_commits
                writer.write(content)
                await writer.drain()
        writer.close()


class _Connection:
    loses_next = False
    """The server's next answer does not arrive."""
