"""Objects of a folder: each named file is whole at any moment, also after a power loss.

The storage library gives a file its name before the content is on the disk. A power loss could then leave a checkpoint
that is torn, and that no retry may overwrite. A bucket's server has stored an object before it answers.
"""

import os
import secrets
from pathlib import Path

from perdure.stores.durable_folders import sync_folder


def create_file(path: Path, content: bytes, top: Path) -> None:
    """Create a file durably.

    Args:
        path: of the file; folders below `top` are created.
        content: of the file.
        top: the folder of all objects.

    Raises:
        FileExistsError: there is a file of this name; it is not changed.
        OSError: the disk refuses.
    """
    staged = _stage(path, content)
    try:
        os.link(staged, path)  # fails if the name is taken, unlike a rename
    finally:
        staged.unlink()
    _sync_names(path, top)


def overwrite_file(path: Path, content: bytes, top: Path) -> None:
    """Replace a file's content in one step, durably; arguments as for `create_file`."""
    _stage(path, content).replace(path)
    _sync_names(path, top)


def sync_file(path: Path, top: Path) -> None:
    """Sync the content and the name of a file that the storage library has written."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync_names(path, top)


def _stage(path: Path, content: bytes) -> Path:
    """Write the content durably under a name that listings leave out: `#` and digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}#{secrets.randbits(64)}")
    try:
        with staged.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        staged.unlink(missing_ok=True)  # give the space back to the full disk
        raise
    return staged


def _sync_names(path: Path, top: Path) -> None:
    """Sync every folder from the file's up to `top`, which may be new."""
    for folder in path.parents:
        if folder == top or top in folder.parents:
            sync_folder(folder)
