"""Keys of checkpoint objects: `{workflow id}_checkpoints/{sequence, 12 digits}.json`.

The keys of a workflow id sort by sequence.
"""

import re
from urllib.parse import unquote

from perdure.stores.file_names import file_stem

FOLDER_SUFFIX = "_checkpoints"
"""Ending of the name of every folder of checkpoints."""
_NAME = re.compile(r"(\d{12})\.json")
_HASHED = "%="
"""Part of the name of a folder whose workflow id is too long to spell out; see `file_stem`."""


def folder_of(workflow_id: str) -> str:
    """Return the folder of a workflow id."""
    return f"{file_stem(workflow_id)}{FOLDER_SUFFIX}"


def key_of(workflow_id: str, sequence: int) -> str:
    """Return the key of one checkpoint."""
    return f"{folder_of(workflow_id)}/{sequence:012d}.json"


def sequence_of(key: str) -> int | None:
    """Return the sequence in a key; None if the key names no checkpoint."""
    name = _NAME.fullmatch(key.rpartition("/")[2])
    return int(name[1]) if name and key.count("/") == 1 else None


def workflow_id_of(folder: str) -> str | None:
    """Return the workflow id that a folder's name spells out.

    Return None if the name holds only the id's SHA-256.
    """
    stem = folder.removesuffix(FOLDER_SUFFIX)
    return None if _HASHED in stem else unquote(stem, errors="surrogatepass")
