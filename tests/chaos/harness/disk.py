"""A private tmpfs mount of limited size for the fault "fill disk"."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MB = 1024**2


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """Mount a file system of limited size at `folder`; yields False if this user cannot mount.

    The mount belongs to a mount namespace of this process. The kernel removes the mount when the last process of the
    namespace ends, even after SIGKILL. Call this function before the process has other threads.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_CLONE_NEWNS) != 0:
        yield False
        return
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "perdure-chaos", str(folder)]
    commands = (["mount", "--make-rprivate", "/"], ["mount", *options])
    mounted = all(subprocess.run(command, check=False, capture_output=True).returncode == 0 for command in commands)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def fill(filler: Path) -> int:
    """Grow the file `filler` until its file system is full; returns its size in bytes.

    Writes to that file system fail with ENOSPC until the file is removed.
    """
    taken = 0
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (64 * _MB, _MB, 4096):
            while True:
                try:
                    os.posix_fallocate(descriptor, taken, size)
                except OSError:
                    break
                taken += size
    finally:
        os.close(descriptor)
    return taken
