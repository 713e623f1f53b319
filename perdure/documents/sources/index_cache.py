"""The indexes of the containers that were opened last, so that n documents of one cost two passes and not n."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from perdure.documents.sources.member import Index

MAX_INDEXES = 4
"""Of one process; the largest take about 40 MB each."""
_Identity = tuple[str, int, int, int, int, int]


class _Slot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.index: Index | None = None


_slots: "OrderedDict[_Identity, _Slot]" = OrderedDict()
_lock = threading.Lock()


def indexed(build: Callable[[Path, BinaryIO], Index], path: Path, file: BinaryIO) -> Index:
    """The index of an open container: made once as long as the file stays as it is; from any thread.

    Raises:
        DocumentError, OSError: it cannot be made, as `build` says; the next caller tries again.
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
