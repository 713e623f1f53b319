"""Kill a living worker with SIGKILL, as a power cut would: for `perdure kill-worker`."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from orchestration.worker.slot import LiveWorker, find_live_workers
from perdure.errors import RefusedCommand


def kill_worker(data_dir: Path) -> int:
    """Send SIGKILL to the living worker with the lowest slot number and return its process id.

    A process id in a slot's file may be stale: the system may have given the number to another program since. So the
    signal is sent only to a process that has the slot's file open while the file's lock is held.

    Args:
        data_dir: the data folder whose workers are meant.

    Raises:
        RefusedCommand: no worker of the folder is alive, the workers run on another machine or in another container,
            or they belong to another user.
    """
    alive = sorted(find_live_workers(data_dir), key=lambda worker: worker.slot)
    if not alive:
        raise RefusedCommand(f"No worker of the data folder {data_dir} is alive, so there is none to kill.")
    for worker in alive:
        if _kill(worker):
            return worker.pid
    raise RefusedCommand(
        f"The workers of the data folder {data_dir} are no processes of this machine or container; kill them there."
    )


def _kill(worker: LiveWorker) -> bool:
    """Send the signal if the process holds the slot; False if it does not."""
    if not worker.pid:
        return False
    try:
        # A descriptor of the process names this process only: the number can be given to another one between the check
        # and the signal.
        descriptor = os.pidfd_open(worker.pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return False
    try:
        if not _has_open(worker.pid, worker.lock_file):
            return False
        if descriptor is None:
            os.kill(worker.pid, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except (PermissionError, psutil.AccessDenied) as error:
        raise RefusedCommand(
            f"The worker {worker.pid} belongs to another user; run the command as that user."
        ) from error
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return True


def _has_open(pid: int, lock_file: Path) -> bool:
    """Whether the process has this very file open."""
    with suppress(psutil.NoSuchProcess):
        return any(Path(opened.path).samefile(lock_file) for opened in psutil.Process(pid).open_files())
    return False
