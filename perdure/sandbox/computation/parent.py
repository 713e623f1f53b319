"""The worker's side of a computation in a separate process."""

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
from perdure.sandbox.computation.exchange import LENGTH, Row, pack, unpack

_ROOT = str(Path(__file__).resolve().parents[3])
_END_SECONDS = 30.0
"""Seconds to wait for the end of a process that closed its output.

On a busy machine, a worker may notice the end late. A process that is killed then has a false exit code.
"""


class Subprocess:
    """A process that computes. Leaving the `async with` block kills it.

    Args:
        module: run as `python -m MODULE PARENT`; it calls `perdure.sandbox.computation.child.serve_parent`.
        display_name: names the process to users, in errors.

    Raises:
        DependencyUnavailable: from every method: the process cannot be started, or has ended.
    """

    _process: Process

    def __init__(self, module: str, display_name: str) -> None:
        self._module = module
        self._display_name = display_name

    async def __aenter__(self) -> Self:
        """Start the process."""
        path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # without this option, Python imports from the current folder first
                "-m",
                self._module,
                str(os.getpid()),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
        except OSError as error:
            raise DependencyUnavailable(self._display_name, error.strerror or str(error)) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process and wait for its end."""
        with suppress(ProcessLookupError):
            self._process.kill()
        # Shielded: a second cancellation during the wait must not leave a process behind.
        await asyncio.shield(asyncio.ensure_future(self._process.wait()))

    async def send(self, block: list[Row] | str) -> None:
        """Send a block, or the name of the kind of the next blocks."""
        assert self._process.stdin
        try:
            self._process.stdin.write(pack(block))
            await self._process.stdin.drain()
        except OSError as error:
            raise await self._explain_end() from error

    async def receive(self) -> list[Row]:
        """Return the next block that the process sends; an empty block ends a sequence."""
        assert self._process.stdout
        try:
            header = await self._process.stdout.readexactly(LENGTH.size)
            content = await self._process.stdout.readexactly(LENGTH.unpack(header)[0])
        except asyncio.IncompleteReadError as error:
            raise await self._explain_end() from error
        block: list[Row] = unpack(content)
        return block

    async def _explain_end(self) -> DependencyUnavailable:
        """Return the error that says how the process ended, and what it last wrote."""
        assert self._process.stderr
        errors = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                errors = (await self._process.stderr.read()).decode(errors="replace").strip()
                # `kill` reaps a process that has ended; asyncio then reports the exit code 255.
                await self._process.wait()
        with suppress(ProcessLookupError):
            self._process.kill()
        code = await self._process.wait()
        how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with the exit code {code}"
        last_line = f", saying: {errors.splitlines()[-1]}" if errors else ""
        return DependencyUnavailable(self._display_name, f"{how}{last_line}")
