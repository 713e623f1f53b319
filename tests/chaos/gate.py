"""A gate that holds documents back in the children of a worker until a test admits them.

A run whose worker has a gate cannot finish before the test admits its last document, on a machine of any speed.
"""

import fcntl
import time
from pathlib import Path

EVERY_DOCUMENT = 10**9
POLL_SECONDS = 0.02


class Gate:
    """The gate of all workers of one data folder.

    The gate is a file with the number of admitted documents, and a list of the documents that have arrived.
    """

    def __init__(self, folder: Path) -> None:
        self._admitted = folder / "gate-admitted"
        self._arrived = folder / "gate-arrived"

    def close(self) -> None:
        """Forget all documents, and admit none."""
        self._arrived.unlink(missing_ok=True)
        self.admit(0)

    def open(self) -> None:
        """Admit every document."""
        self.admit(EVERY_DOCUMENT)

    def admit(self, count: int) -> None:
        """Admit the first `count` documents in the order of their arrival, and hold the others."""
        written = self._admitted.with_suffix(".new")
        written.write_text(str(count))
        written.replace(self._admitted)

    def wait(self, uri: str) -> None:
        """Block until the gate admits this document; a child calls this."""
        place = self._arrive(uri)
        while not self._admitted.exists() or place > int(self._admitted.read_text()):
            time.sleep(POLL_SECONDS)

    def _arrive(self, uri: str) -> int:
        """Return the place of this document in the order of first arrivals, from 1."""
        with self._arrived.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            arrived = file.read().splitlines()
            if uri not in arrived:
                arrived.append(uri)
                file.write(f"{uri}\n")
        return arrived.index(uri) + 1
