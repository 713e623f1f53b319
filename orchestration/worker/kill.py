"""Signals to living workers, sent only to a process that provably holds its slot: for `kill-worker` and `down`."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from orchestration.worker.slot import LiveWorker, find_live_workers
from perdure.errors import RefusedCommand


def kill_worker(data_dir: Path) -> int:
    """Send SIGKILL to the living worker with the lowest slot number and return its process id.

    Args:
        data_dir: the data folder whose workers are meant.

    Raises:
        RefusedCommand: no worker of the folder is alive, the workers run on another machine or in another container,
            or they belong to another user.
    """
    alive = sorted(find_live_workers(data_dir), key=lambda worker: worker.slot)
    if not alive:
        raise RefusedCommand(
            f"No worker of the data folder {data_dir} is alive, so there is none to kill; start a worker first."
        )
    for worker in alive:
        if send_signal(worker, signal.SIGKILL):
            return worker.pid
    raise RefusedCommand(
        f"The workers of the data folder {data_dir} are no processes of this machine or container; kill them there."
    )


def send_signal(worker: LiveWorker, number: signal.Signals) -> bool:
    """Send the signal if the worker's process has the file of its slot open; return False if it does not.

    A process id in a slot's file may be stale: the system may have given the number to another program since.

    Args:
        worker: whose slot's lock is held.
        number: of the signal.

    Raises:
        RefusedCommand: the process belongs to another user.
    """
    if not worker.pid:
        return False
    try:
        # The descriptor names this process only, while the number can be given to another process between the check
        # and the signal. Python has it on Linux alone.
        descriptor = os.pidfd_open(worker.pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return False
    try:
        if not _has_open(worker.pid, worker.lock_file):
            return False
        if descriptor is None:
            os.kill(worker.pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
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
