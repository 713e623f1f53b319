"""A process that appends checkpoints, and prints the sequence of each acknowledged one.

usage: appender.py KIND WHERE WORKFLOW_ID COUNT
The process continues after the latest stored checkpoint. The process prints "lost
SEQUENCE" if another writer was first.
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from perdure.errors import CheckpointConflict, CheckpointGap
from tests.conformance.chains import following, make_checkpoint
from tests.conformance.opened import opened


async def main(kind: str, where: str, workflow_id: str, count: int) -> None:
    """Append `count` times."""
    store, close = opened(kind, where)
    for _ in range(count):
        latest = await store.latest(workflow_id)
        after = following(latest, padding="é" * 900) if latest else make_checkpoint(workflow_id)
        try:
            await store.append(after)
        except (CheckpointConflict, CheckpointGap):
            report("lost", after.sequence)
        else:
            report("stored", after.sequence)
    await close()


def report(outcome: str, sequence: int) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{outcome} {sequence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
    # A process with native threads, such as those of obstore, may abort while the interpreter shuts down.
    os._exit(0)
