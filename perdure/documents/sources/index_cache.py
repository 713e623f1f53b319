"""Keeps the indexes of the containers that were opened last.

All documents of one container together then cost two passes through it.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from perdure.documents.sources.member import Index

MAX_INDEXES = 4
"""Most indexes that a process keeps. The largest indexes take about 40 MB each."""
_Identity = tuple[str, int, int, int, int, int]


class _Slot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.index: Index | None = None


# Sorted by last use: the first slot is the one to drop.
_slots: "OrderedDict[_Identity, _Slot]" = OrderedDict()
_lock = threading.Lock()


def get_index(build: Callable[[Path, BinaryIO], Index], path: Path, file: BinaryIO) -> Index:
    """Return the index of an open container, built once while the file stays unchanged.

    Any thread may call the function.

    Args:
        build: builds the index.
        path: path of the container.
        file: the container, open.

    Raises:
        DocumentError, OSError: the error of `build`. The next caller then builds the index again.
    """
    status = os.fstat(file.fileno())
    changes = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    with _lock:
        slot = _slots.setdefault((str(path), *changes), _Slot())
        _slots.move_to_end((str(path), *changes))
        while len(_slots) > MAX_INDEXES:
            _slots.popitem(last=False)
    with slot.lock:
        if slot.index is None:
            slot.index = build(path, file)
        return slot.index
