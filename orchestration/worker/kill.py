"""Kill a living worker with SIGKILL, for `perdure kill-worker`.

SIGKILL ends the worker like a power cut, without any cleaning up.
"""

import signal
from pathlib import Path

from orchestration.worker.signals import signal_worker
from orchestration.worker.slot import find_live_workers
from perdure.errors import RefusedCommand


def kill_worker(data_dir: Path) -> int:
    """Send SIGKILL to the living worker with the lowest slot number and return its process id.

    Args:
        data_dir: data folder of the workers.

    Raises:
        RefusedCommand: no worker of the folder is alive, the workers run on another machine or in another container,
            or they belong to another user.
    """
    alive = sorted(find_live_workers(data_dir), key=lambda worker: worker.slot)
    if not alive:
        raise RefusedCommand(f"No worker of the data folder {data_dir} is alive, so no worker was killed.")
    for worker in alive:
        if signal_worker(worker, signal.SIGKILL):
            return worker.pid
    raise RefusedCommand(
        f"The workers of the data folder {data_dir} are no processes of this machine or container. "
        "Run the command where they run."
    )
