"""Record the histories that `test_replay.py` replays.

Run `python tests/replay/record.py RELEASE`. The scenarios use embedded servers in a temporary folder, real worker
processes, documents and kills. Folders of `histories/` are append-only: a change of commands is gated in the workflow,
so that older histories still replay.
"""

import json
import os
import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from orchestration.client.orchestrator import PipelineOrchestrator  # noqa: E402
from orchestration.embedded.stack import EmbeddedStack  # noqa: E402 - after the path
from orchestration.embedded.temporal import DYNAMIC_CONFIG  # noqa: E402
from orchestration.process_exit import run_main  # noqa: E402
from tests.replay.crash_scenarios import CRASHES, breaker  # noqa: E402
from tests.replay.scenarios import ORDINARY, Scenario, continued  # noqa: E402

HISTORIES = Path(__file__).parent / "histories"
SHORT_HISTORY_EVENTS = 60


async def record(release: str, scenarios: list[Scenario], *, suggest_at_events: int | None = None) -> None:
    """Carry out the scenarios on one set of servers and save the history of every execution."""
    if suggest_at_events:
        DYNAMIC_CONFIG["limit.historyCount.suggestContinueAsNew"] = suggest_at_events
    target = HISTORIES / release
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perdure-record-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101 - started by root, Postgres reads the folder as another user
        os.environ["PERDURE_DATA_DIR"] = f"{folder}/data"
        stack = replace(EmbeddedStack.from_environment(os.environ), default_ports=False)
        await stack.up()
        try:
            async with PipelineOrchestrator() as client:
                await client.ensure_worker()
                for scenario in scenarios:
                    workflow_id = await scenario(client, Path(folder) / scenario.__name__)
                    await _save(client, workflow_id, target)
        finally:
            await stack.down()


async def _save(client: PipelineOrchestrator, workflow_id: str, target: Path) -> None:
    runs = [execution async for execution in client.client.list_workflows(f'WorkflowId="{workflow_id}"')]
    for number, run in enumerate(sorted(runs, key=lambda run: run.start_time), start=1):
        history = await client.client.get_workflow_handle(workflow_id, run_id=run.run_id).fetch_history()
        name = workflow_id if len(runs) == 1 else f"{workflow_id}-{number}"
        text = json.dumps(history.to_json_dict(), separators=(",", ":"))
        (target / f"{name}.json").write_text(
            text.replace(str(ROOT), "/perdure").replace(sys.base_prefix, "/usr")
        )  # in stack traces
        print(f"{name}: {len(history.events)} events")


async def main() -> None:
    """Record every scenario of a release."""
    release = sys.argv[1]
    await record(release, [*ORDINARY, *CRASHES])
    with socket.create_server(("127.0.0.1", 0)) as closed_again:
        os.environ["PERDURE_SERVICES"] = f"archive=tcp://127.0.0.1:{closed_again.getsockname()[1]}"
    await record(release, [breaker])
    await record(release, [continued], suggest_at_events=SHORT_HISTORY_EVENTS)


if __name__ == "__main__":
    run_main(main)
