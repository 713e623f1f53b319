"""A checkpoint field is added as its page describes, in three files and with equal digests."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "add-a-checkpoint-field.md"

PROGRAM = """
import json, sys
from datetime import UTC, datetime
from activities.batches import BatchResult
from perdure.checkpoint import compute_digest, upgrade
from workflows.checkpoints import next_checkpoint
from workflows.messages import PipelineInput
from workflows.state import PipelineState

def make(release):
    state = PipelineState(epoch=1, total=2, queued=2, batches_finished=2)
    return next_checkpoint(
        workflow_id="w", run_id="r", event_id=3, timestamp=datetime(2026, 1, 1, tzinfo=UTC), status="in_progress",
        state=state, finished=[(0, 2)], services={}, pipeline=PipelineInput(sources=[], release=release),
    )

new, old = make("0.5.0"), make("0.4.0")
stored = [upgrade(checkpoint) for checkpoint in json.load(sys.stdin)]
print(json.dumps({
    "attribute": new.state_data.batches_finished,
    "written": new.model_dump(mode="json")["state_data"]["batches_finished"],
    "reread": upgrade(new.model_dump(mode="json")) == new,
    "in_old_release": "batches_finished" in old.model_dump(mode="json")["state_data"],
    "default": [checkpoint.state_data.batches_finished for checkpoint in stored],
    "digests_hold": all(compute_digest(checkpoint) == checkpoint.digest for checkpoint in [new, old, *stored]),
}))
"""


def read_diffs() -> list[tuple[str, str]]:
    """Return the path and the hunks of every diff on the page."""
    blocks = re.findall(r"```diff\n--- (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [(path, hunk) for path, hunks in blocks for hunk in hunks.split("@@\n")]


def apply(root: Path, path: str, hunk: str) -> None:
    """Replace the lines of a hunk in a file, which must hold them exactly once."""
    lines = hunk.splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+")) + "\n"
    after = "\n".join(line[1:] for line in lines if not line.startswith("-")) + "\n"
    content = (root / path).read_text()
    assert content.count(before) == 1, f"{path} does not hold these lines once:\n{before}"
    (root / path).write_text(content.replace(before, after))


def test_a_new_checkpoint_field_touches_three_files() -> None:
    paths = {path for path, _ in read_diffs()}
    assert paths == {"perdure/checkpoint/state_data.py", "workflows/state.py", "workflows/checkpoints.py"}


def test_the_described_field_is_written_read_and_changes_no_digest(tmp_path: Path) -> None:
    for package in ("perdure", "activities", "workflows"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, hunk in read_diffs():
        apply(tmp_path, path, hunk)
    saved = [json.loads(path.read_text()) for path in sorted((ROOT / "tests" / "replay" / "wire").glob("*.json"))]
    checkpoints = json.dumps([messages["WorkflowCheckpoint"] for messages in saved])
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, input=checkpoints, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "attribute": 2,
        "written": 2,
        "reread": True,
        "in_old_release": False,
        "default": [0] * len(saved),
        "digests_hold": True,
    }
