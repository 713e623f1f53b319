"""The commands of docs/backups.md dump, restore, resume and verify a run in progress."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.client.orchestrator import PipelineOrchestrator
from orchestration.embedded.configured import read_settings
from orchestration.embedded.stack import EmbeddedStack
from tests.chaos.disturbed_run import Outputs, Place, disturbed_run
from tests.chaos.outputs import document_rows, outputs
from tests.chaos.own_servers import commits_in
from tests.chaos.workers import ROOT

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "backups.md"
SECONDS = 180.0


def commands_under(heading: str) -> list[str]:
    """Return the code blocks of the page's section with this heading."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert blocks
    return blocks


async def follow(commands: str, home: Path, workflow_id: str = "", **variables: str) -> str:
    """Run a code block in the project's folder, and return its output with single spaces.

    Args:
        commands: shell commands.
        home: the home folder of the shell.
        workflow_id: replaces the page's example id `my-run`.
        variables: further environment variables.
    """
    typed = commands.replace(".venv/bin/python", sys.executable).replace("my-run", workflow_id)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-eu",
        "-c",
        typed,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HOME": str(home), "PERDURE_POOL_WORKERS": "2", **variables},
    )
    async with asyncio.timeout(SECONDS):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return " ".join(output.decode().split())


async def test_dump_of_a_running_run_is_restored_and_resumed_elsewhere(
    place: Place, documents: Path, undisturbed: Outputs, tmp_path: Path
) -> None:
    (dump_commands,) = commands_under("Back up")
    restore_commands, resume_commands = commands_under("Restore elsewhere")
    dump = tmp_path / "perdure-backups" / "perdure.dump"
    elsewhere = EmbeddedStack(tmp_path / "restored", default_ports=False, say=lambda _: None)
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(3)
        await follow(dump_commands, tmp_path, **place.settings.environment())
        assert (await run.orchestrator.status(run.id)).running
        run.gate.open()
        kept = commits_in(dump, run.id)
        assert len(kept) == 3
        try:
            await elsewhere.up()
            await follow(restore_commands, tmp_path)
            output = await follow(resume_commands, tmp_path, run.id, PERDURE_DATA_DIR=str(elsewhere.data_dir))
            assert f"Temporal reports '{run.id}' as unknown. A new run continues under the same id." in output
            assert f"Resuming from document {len(kept) + 1} of 10." in output
            assert "Nothing differs." in output
            restored = read_settings({"PERDURE_DATA_DIR": str(elsewhere.data_dir)})
            async with PipelineOrchestrator(restored, own_worker=False) as reader:
                assert await outputs(reader.stores.pool, run.id) == undisturbed
                rows = await document_rows(reader.stores.pool, run.id)
        finally:
            await elsewhere.down()
        restored_commits = {row.name: row.committed_at for row in rows if row.name in kept}
        assert restored_commits == kept, "a document of the dump was processed again"
        await run.wait()
        await run.check(undisturbed, kept=kept)  # the dump must not disturb the original run
