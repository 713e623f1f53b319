"""The worker's side of a computation in a process of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from perdure.errors import DependencyUnavailable
from perdure.sandbox.computation.exchange import LENGTH, Row, packed, unpacked

_ROOT = str(Path(__file__).resolve().parents[3])
_LAST_WORDS_SECONDS = 1.0


class Subprocess:
    """A process that computes; leaving the block ends it, whatever it is doing.

    Args:
        module: run as `python -m MODULE PARENT`; see `perdure.sandbox.computation.child`.
        called: what people call it, in errors.

    Raises:
        DependencyUnavailable: from every method: the process cannot be started, or has ended.
    """

    _process: Process

    def __init__(self, module: str, called: str) -> None:
        self._module, self._called = module, called

    async def __aenter__(self) -> Self:
        path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module, str(os.getpid())),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
        except OSError as error:
            raise DependencyUnavailable(self._called, error.strerror or str(error)) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        # Shielded: whoever is cancelled once more while it ends still leaves no process behind.
        await asyncio.shield(asyncio.ensure_future(self._process.wait()))

    async def send(self, rows: list[Row] | str) -> None:
        """Send one block, or the kind that is next."""
        assert self._process.stdin
        try:
            self._process.stdin.write(packed(rows))
            await self._process.stdin.drain()
        except OSError as error:
            raise await self._ended() from error

    async def receive(self) -> list[Row]:
        """The next block that it sends; an empty one ends a run of them."""
        assert self._process.stdout
        try:
            header = await self._process.stdout.readexactly(LENGTH.size)
            content = await self._process.stdout.readexactly(LENGTH.unpack(header)[0])
        except asyncio.IncompleteReadError as error:
            raise await self._ended() from error
        block: list[Row] = unpacked(content)
        return block

    async def _ended(self) -> DependencyUnavailable:
        assert self._process.stderr
        said = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                said = (await self._process.stderr.read()).decode(errors="replace").strip()
                # `kill` reaps a process that has ended; asyncio then reports the exit code 255.
                await self._process.wait()
        with suppress(ProcessLookupError):
            self._process.kill()
        code = await self._process.wait()
        how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with the exit code {code}"
        return DependencyUnavailable(self._called, f"{how}{f', saying: {said.splitlines()[-1]}' if said else ''}")
