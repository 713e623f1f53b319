"""Runs the real scripts with the servers of a data folder that the test owns."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.configured import read_settings
from orchestration.embedded.stack import EmbeddedStack
from orchestration.worker.slot import live_workers
from perdure.errors import UnknownWorkflow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 240.0
"""Far more than a command takes, also beside twenty other busy processes."""
NAMES = ["Ada Lovelace", "Grace Hopper", "Harbour Trust", "London", "Acme Ltd", "5 May 2024", "$1,200"]


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Return the JSON value on stdout."""
        return json.loads(self.stdout)


class CommandLine:
    """Runs `starter.py` and `resume_workflow.py` with one data folder.

    Args:
        data_dir: absolute path of the data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.environment = os.environ | {"PERDURE_DATA_DIR": str(data_dir), "PERDURE_POOL_WORKERS": "1"}

    def __call__(self, *arguments: str, script: str = "starter.py", **variables: str) -> Ended:
        """Run a command of a script to its end."""
        with self.begin(*arguments, script=script, **variables) as process:
            try:
                stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert "Traceback" not in stderr, stderr
        return Ended(process.returncode, stdout, stderr)

    def resume(self, *arguments: str) -> Ended:
        """Run `resume_workflow.py` to its end."""
        return self(*arguments, script="resume_workflow.py")

    def begin(self, *arguments: str, script: str = "starter.py", **variables: str) -> subprocess.Popen[str]:
        """Start a command of a script in a new session, like a terminal."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=ROOT,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def database_url(self) -> str:
        """Return the address of the data folder's database."""
        return read_settings(self.environment).database_url

    def report(self, workflow_id: str) -> Any:
        """Return what `status --json` prints about a run."""
        return self("status", "--workflow-id", workflow_id, "--json").json

    def until(self, workflow_id: str, holds: Callable[[Any], bool]) -> Any:
        """Return the first report for which the condition holds, as `status --json` prints it.

        The run may start later. One client asks repeatedly, because a command costs a second of processor time.
        """
        return asyncio.run(self._until(workflow_id, holds))

    async def _until(self, workflow_id: str, holds: Callable[[Any], bool]) -> Any:
        settings = read_settings(self.environment)
        async with asyncio.timeout(PATIENCE_SECONDS), PipelineOrchestrator(settings, own_worker=False) as client:
            while True:
                with suppress(UnknownWorkflow):
                    report = (await client.status(workflow_id)).model_dump(mode="json")
                    if holds(report):
                        return report
                await asyncio.sleep(0.05)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run `python worker.py` with this data folder during the block."""
        log = (self.data_dir / "worker-of-test.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "worker.py"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while process.pid not in live_workers(self.data_dir).values():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)
            log.close()


@contextmanager
def command_line(folder: Path) -> Iterator[CommandLine]:
    """Run servers during the block, then stop the servers and all workers."""
    stack = EmbeddedStack(folder, default_ports=False)
    asyncio.run(stack.up())
    line = CommandLine(folder)
    try:
        yield line
        line("down")
    finally:
        asyncio.run(stack.down())


def write_documents(folder: Path, *, number: int, words: int = 60, seed: int = 1) -> Path:
    """Write text files that name people and places; returns their folder.

    Args:
        folder: the folder; created if it does not exist.
        number: number of files.
        words: number of words in each file; a worker needs a third of a second for 4,000 words.
        seed: seed of the random choice.
    """
    print(f"seed {seed}")
    chooser = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        sentences = [
            f"{chooser.choice(NAMES)} wrote to {chooser.choice(NAMES)} about lamp number {chooser.randrange(1000)}."
            for _ in range(max(1, words // 10))
        ]
        (folder / f"letter-{index}.txt").write_text("\n".join(sentences))
    return folder
