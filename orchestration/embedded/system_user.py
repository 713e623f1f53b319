"""Postgres refuses to run as root: there it runs as another user, who must be able to reach its files."""

import os
import pwd
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from perdure.errors import RefusedCommand

_FALLBACK = "nobody"
"""Present on every system, so that no user has to be created."""
_TRAVERSE, _READ = 0o001, 0o004


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
    """None for ordinary people, who run Postgres themselves; for root the owner of the cluster, or nobody.

    Raises:
        RefusedCommand: there is no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        owner = cluster.stat().st_uid if cluster.exists() else 0
        found = pwd.getpwuid(owner) if owner else pwd.getpwnam(_FALLBACK)
    except KeyError as error:
        raise RefusedCommand("Postgres cannot run as root, and there is no other user to run it as.") from error
    return SystemUser(found.pw_name, found.pw_uid, found.pw_gid)


def run_as(user: SystemUser | None) -> ProcessArguments:
    """What makes a process run as this user, or as ourselves."""
    return {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}


def open_the_way(user: SystemUser, path: Path, say: Callable[[str], None]) -> None:
    """Let the user pass through, not list, the folders above `path`.

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
            raise RefusedCommand(f"Postgres runs as {user.name}, who may not pass through {folder}.") from error
        say(f"Postgres cannot run as root; the user {user.name} may now pass through {folder}.")


def make_readable(folder: Path) -> None:
    """Let everybody read and execute an installed package, whatever umask it was installed under."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        wanted = mode | _READ | (_TRAVERSE if path.is_dir() or mode & 0o100 else 0)
        if mode != wanted:
            path.chmod(wanted)


def give(user: SystemUser, path: Path) -> None:
    """Make the user the owner of a file or folder."""
    shutil.chown(path, user.uid, user.gid)
