"""Makes folders whose names survive a power loss.

A file is durable only if the disk has the name of the file and of every folder above it.
"""

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Create a folder with its parents, and sync the name of each level.

    Existing levels are synced too, because the process that created them may not have synced them.

    Raises:
        OSError: a level cannot be created, or the name of a new level cannot be synced.
    """
    folder = folder.absolute()
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for level in reversed((folder, *folder.parents[:-1])):
        if level in missing:
            sync_folder(level.parent)
        else:
            # This user may be forbidden to open a folder of another user, and some file systems refuse the sync.
            with suppress(OSError):
                sync_folder(level.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names in it survive a power loss.

    Raises:
        OSError: the folder cannot be opened, or the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
