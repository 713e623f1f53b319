"""Copies of the project's tree in which one mutant at a time is applied and tested."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutants.outcomes import Outcome, Result
from tests.mutants.patches import ROOT, InvalidMutant, Mutant

PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=short")
TEST_SECONDS = 120
"""pytest-timeout fails a test after this time, so that a mutant that makes a test wait for ever is killed."""
RUN_SECONDS = 600.0
"""A whole pytest run is ended after this time, and the mutant counts as broken."""
END_SECONDS = 20.0
"""A pytest run that is asked to end is killed after this time."""
OUTPUT_LINES = 30
_TESTS_FAILED = 1


class TreeCopy:
    """One copy of the tree; one pytest run at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(folder),  # processes that the tests start import the mutant too
            "GIT_CEILING_DIRECTORIES": str(folder.parent),  # git apply must not take another repository's folder
        }

    @classmethod
    def create(cls, folder: Path) -> "TreeCopy":
        """Copy the files that git tracks or would add, with their uncommitted changes, and link the environment.

        Raises:
            InvalidMutant: the project's folder is no git repository.
        """
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
        if listed.returncode:
            raise InvalidMutant(f"Mutants are tested in copies of a git checkout, and {ROOT} is none.")
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():  # a deleted file is listed until its deletion is staged
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        if (ROOT / ".venv").exists():
            (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
        return cls(folder)

    async def run_unmutated(self, tests: Sequence[str], jobs: int) -> str | None:
        """Run tests on the unchanged copy; return None if all pass, otherwise pytest's last lines."""
        code, output = await self._run_pytest("-n", str(jobs), "--dist", "loadfile", *tests)
        return None if code == 0 else output

    async def run_mutant(self, mutant: Mutant) -> Result:
        """Apply one mutant, run its tests until the first failure, and restore the copy."""
        began = time.monotonic()
        paths = [self._folder / name for name in mutant.changed_files]
        originals = {path: path.read_bytes() for path in paths if path.is_file()}
        try:
            code, output = await self._run("git", "apply", "-C1", str(mutant.path))
            _forget_bytecode(paths)
            outcome = Outcome.BROKEN
            if code == 0:
                code, output = await self._run_pytest("-n", "0", *mutant.tests)
                outcome = _judge(mutant, code)
        finally:
            for path, content in originals.items():
                path.write_bytes(content)
            _forget_bytecode(paths)
        return Result(mutant, outcome, time.monotonic() - began, output)

    async def _run_pytest(self, *arguments: str) -> tuple[int | None, str]:
        return await self._run(*PYTEST, f"--timeout={TEST_SECONDS}", *arguments)

    async def _run(self, *command: str) -> tuple[int | None, str]:
        """Run a command in the copy; return its exit code, or None if it took too long, and its last lines."""
        log = self._folder.with_suffix(".log")  # a file: a process that outlives the command could hold a pipe open
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this program alone, which then ends its children in order
            )
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await process.wait()
        except TimeoutError:
            return None, f"The tests took longer than {RUN_SECONDS:.0f} s."
        finally:
            await _end(process)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return process.returncode, "\n".join(lines[-OUTPUT_LINES:])


def _forget_bytecode(paths: Iterable[Path]) -> None:
    """Remove the compiled forms of files: Python compares whole seconds and sizes, and a mutant may change neither."""
    for path in paths:
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()


def _judge(mutant: Mutant, code: int | None) -> Outcome:
    """Return what pytest's exit code says about a mutant."""
    if code == _TESTS_FAILED:
        return Outcome.KILLED
    if code != 0:
        return Outcome.BROKEN
    return Outcome.EXPLAINED if mutant.survives else Outcome.SURVIVED


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and its group: SIGTERM lets pytest stop its servers, SIGKILL ends what remains."""
    if process.returncode is None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
