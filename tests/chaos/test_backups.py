"""docs/backups.md, followed word by word: dumped while a run goes on, restored elsewhere, resumed, verified."""

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
SECONDS = 90.0


def commands_under(heading: str) -> list[str]:
    """The page's blocks of commands below a heading."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found
    return found


async def follow(commands: str, home: Path, workflow_id: str = "", **variables: str) -> str:
    """Type the commands in the project's folder; what they say."""
    typed = commands.replace(".venv/bin/python", sys.executable).replace("my-run", workflow_id)
    process = await asyncio.create_subprocess_exec(
        *("sh", "-eu", "-c", typed),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HOME": str(home), "PERDURE_POOL_WORKERS": "2", **variables},
    )
    async with asyncio.timeout(SECONDS):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return " ".join(said.decode().split())


@pytest.mark.timeout(400)
async def test_a_dump_of_a_run_that_goes_on_is_restored_elsewhere_and_brought_to_its_end(
    place: Place, documents: Path, undisturbed: Outputs, tmp_path: Path
) -> None:
    (dump_it,) = commands_under("Back up")
    restore_it, resume_and_verify = commands_under("Restore elsewhere")
    dump = tmp_path / "perdure-backups" / "perdure.dump"
    elsewhere = EmbeddedStack(tmp_path / "restored", default_ports=False, say=lambda _: None)
    async with disturbed_run(place, documents) as run:
        await run.until_mirrored(3)
        await follow(dump_it, tmp_path, **place.settings.environment())
        assert (await run.orchestrator.status(run.id)).running, "it was dumped in the middle"
        kept = commits_in(dump, run.id)
        assert 3 <= len(kept) < len(list(documents.iterdir()))
        try:
            await elsewhere.up()
            await follow(restore_it, tmp_path)
            said = await follow(resume_and_verify, tmp_path, run.id, PERDURE_DATA_DIR=str(elsewhere.data_dir))
            assert f"Temporal reports '{run.id}' as unknown. A new run continues under the same id." in said
            assert f"Resuming from document {len(kept) + 1} of 10." in said
            assert "Nothing differs." in said
            restored = read_settings({"PERDURE_DATA_DIR": str(elsewhere.data_dir)})
            async with PipelineOrchestrator(restored, own_worker=False) as reader:
                assert await outputs(reader.stores.pool, run.id) == undisturbed
                rows = await document_rows(reader.stores.pool, run.id)
        finally:
            await elsewhere.down()
        assert {row.name: row.committed_at for row in rows if row.name in kept} == kept, "none of these was done again"
        await run.wait()
        await run.check(undisturbed, kept=kept)  # nor did it matter to the run itself
