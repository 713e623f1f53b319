"""The settings of a living worker, in a file beside the file of its slot.

A command compares its own settings with them.
"""

import hashlib
import json
import logging
import os
import secrets
from pathlib import Path
from typing import Any

from orchestration.settings import Settings
from orchestration.worker.slot import find_live_workers

_SHOWN = ("PERDURE_TASK_QUEUE", "PERDURE_FILE_CHECKPOINTS", "PERDURE_POOL_WORKERS", "PERDURE_OCR", "TEMPORAL_NAMESPACE")
_SHOWN_PREFIX = "PERDURE_LIMIT_"
"""Prefix of variables that hold no secret. For other variables, such as DATABASE_URL, only a digest is written."""
_ELSEWHERE = "PERDURE_DATA_DIR"
"""The variable that is not compared: the file is in this data folder, so the values always agree."""
_DIGEST = "sha256:"

log = logging.getLogger("perdure.worker")


def announce_settings(settings: Settings, lock_file: Path) -> None:
    """Write a worker's settings beside its slot's file, without secrets.

    Only the owner may read the file. If the disk refuses the file, the worker continues, and commands compare nothing.

    Args:
        settings: settings of the worker.
        lock_file: file of the slot that the worker holds.
    """
    salt = secrets.token_hex(8)
    announced = {"pid": os.getpid(), "salt": salt, "settings": _without_secrets(settings, salt)}
    path = _file_beside(lock_file)
    unfinished = path.with_suffix(".unfinished")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(announced, file, indent=2)
        unfinished.replace(path)
    except OSError as error:
        log.warning("the worker's settings could not be written to %s: %s", path, error.strerror or error)


def differences_from_living_worker(settings: Settings) -> list[str]:
    """Return a sentence for each setting that a living worker of the data folder does not share.

    The list is empty if no worker is alive, or if the workers have written no settings.

    Args:
        settings: settings of the command.
    """
    sentences: list[str] = []
    for worker in find_live_workers(settings.data_dir):
        announced = _read(_file_beside(worker.lock_file), worker.pid)
        if announced is None:
            continue
        here = _without_secrets(settings, announced["salt"])
        there: dict[str, str] = announced["settings"]
        sentences += [
            _describe(name, here.get(name, ""), there.get(name, ""), worker.pid)
            for name in sorted(here.keys() | there.keys())
            if here.get(name, "") != there.get(name, "")
        ]
    return sentences


def _without_secrets(settings: Settings, salt: str) -> dict[str, str]:
    """Return the variables of the settings; a salted digest replaces a value that may be secret."""
    return {
        name: value if not value or _is_shown(name) else _DIGEST + hashlib.sha256((salt + value).encode()).hexdigest()
        for name, value in settings.environment().items()
        if name != _ELSEWHERE
    }


def _is_shown(name: str) -> bool:
    return name in _SHOWN or name.startswith(_SHOWN_PREFIX)


def _describe(name: str, here: str, there: str, pid: int) -> str:
    if _is_shown(name):
        return (
            f"{name} is {there or 'not set'} for the worker {pid}, which is alive, and {here or 'not set'} for this "
            "command; the worker's value counts until the worker is restarted."
        )
    return (
        f"{name} of this command differs from that of the worker {pid}, which is alive; the worker's value counts "
        "until the worker is restarted."
    )


def _file_beside(lock_file: Path) -> Path:
    return lock_file.with_suffix(".settings.json")


def _read(path: Path, pid: int) -> dict[str, Any] | None:
    """Return the settings that the worker with this process id wrote.

    Return None if there is no file, or if an earlier worker wrote the file.
    """
    try:
        announced = json.loads(path.read_bytes())
        usable = (
            announced["pid"] == pid and isinstance(announced["salt"], str) and isinstance(announced["settings"], dict)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return announced if usable else None
