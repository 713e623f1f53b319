"""Starts the zygote (`zygote.py`), the process that children are forked from."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from perdure.errors import DependencyUnavailable
from perdure.sandbox.confinement import filter_environment
from perdure.sandbox.fork_protocol import LEND, REQUEST
from perdure.sandbox.forked_child import POOL

_ROOT = str(Path(__file__).resolve().parents[2])
_CLOSE_SECONDS = 0.5
# Each library uses one thread, since the pool itself runs documents in parallel. On a machine of many cores, each
# thread and each arena of the C library's allocator would take its share of the limited address space.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "RAYON_NUM_THREADS",
            "TOKIO_WORKER_THREADS")  # fmt: skip
_ENVIRONMENT = {**dict.fromkeys(_THREADS, "1"), "MALLOC_ARENA_MAX": "2", "TOKENIZERS_PARALLELISM": "false"}


class Zygote:
    """A running zygote. The constructor starts the process and returns at once.

    Requests wait until the zygote has warmed up.

    The kernel kills the zygote when the thread that started it ends, so call the constructor in a thread that lasts.

    Args:
        warm_up: `module:function` that loads what every child needs.

    Raises:
        DependencyUnavailable: the process cannot be started.
    """

    def __init__(self, warm_up: str) -> None:
        self.warm_up = warm_up
        try:
            self.control, theirs = socket.socketpair()
        except OSError as error:
            raise DependencyUnavailable(POOL, error.strerror or str(error)) from error
        path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
        module = "perdure.sandbox.zygote"
        try:
            with theirs:
                self._process = subprocess.Popen(
                    # Without -P Python imports from the current folder first, which may hold documents of strangers.
                    [sys.executable, "-P", "-m", module, str(theirs.fileno()), str(os.getpid()), warm_up],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={**filter_environment(os.environ), **_ENVIRONMENT, "PYTHONPATH": path},
                    pass_fds=[theirs.fileno()],
                )
        except OSError as error:
            self.control.close()
            raise DependencyUnavailable(POOL, error.strerror or str(error)) from error

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    def lend(self) -> socket.socket:
        """Return a socket for a `ForkServer` in a process that is forked from this one.

        Earlier loans end.

        Raises:
            OSError: the zygote is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [REQUEST.pack(LEND, 0)], [theirs.fileno()])
        return ours

    def wait(self) -> None:
        """Wait for the end of the process, after `control` was closed.

        A zygote that is still warming up is killed.
        """
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
