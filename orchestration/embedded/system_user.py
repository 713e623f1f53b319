"""The system user of the embedded Postgres, which refuses to run as root.

The functions also give this user access to the server's files.
"""

import os
import pwd
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from perdure.errors import RefusedCommand

_FALLBACK = "nobody"
"""Every system has this user, so no user has to be created."""
_TRAVERSE = 0o001
_READ = 0o004


class ProcessArguments(TypedDict, total=False):
    """Keyword arguments of `subprocess.run`."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class SystemUser:
    """The user that Postgres runs as."""

    name: str
    uid: int
    gid: int


def system_user(cluster: Path) -> SystemUser | None:
    """Return the user for Postgres if this process is root; else None.

    The user is the owner of the cluster, or `nobody` for a new cluster.

    Raises:
        RefusedCommand: the system has no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        owner = cluster.stat().st_uid if cluster.exists() else 0
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(_FALLBACK)
    except KeyError as error:
        raise RefusedCommand("Postgres cannot run as root, and there is no other user to run it as.") from error
    return SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run_as(user: SystemUser | None) -> ProcessArguments:
    """Return the arguments of `subprocess.run` that run a process as this user.

    None stands for the current user.
    """
    return {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}


def open_the_way(user: SystemUser, path: Path, say: Callable[[str], None]) -> None:
    """Let the user pass through the folders above `path`, without listing them.

    Raises:
        RefusedCommand: a folder's permissions cannot be changed.
    """
    for folder in reversed(path.resolve().parents):
        mode = folder.stat().st_mode
        if mode & _TRAVERSE or folder.stat().st_uid == user.uid:
            continue
        try:
            folder.chmod(mode | _TRAVERSE)
        except OSError as error:
            raise RefusedCommand(
                f"Postgres runs as the user {user.name}, which may not pass through {folder}."
            ) from error
        say(f"Postgres cannot run as root; the user {user.name} may now pass through {folder}.")


def make_readable(folder: Path) -> None:
    """Let every user read and execute the files of an installed package.

    A package that was installed under a strict umask does not permit this.
    """
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | _READ | (_TRAVERSE if path.is_dir() or mode & 0o100 else 0)
        if mode != wanted:
            path.chmod(wanted)


def give(user: SystemUser, path: Path) -> None:
    """Change the owner of a file or folder to the user."""
    shutil.chown(path, user.uid, user.gid)
