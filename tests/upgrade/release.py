"""A recorded release: its data folder, its documents, and the answers of its commands.

The archive of a release holds two folders: `documents`, then `data`. Rows and checkpoints name each document by an
absolute path, so the documents are always extracted to the path that they had when the release was recorded.
"""

import fcntl
import json
import lzma
import os
import pwd
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RELEASES = Path(__file__).parent / "releases"
DOCUMENTS = "documents"
DATA = "data"

FINISHED = "finished"
"""An ended run with two quarantined documents."""
INTERRUPTED = "interrupted"
"""A run whose command and worker were killed. One long document has kept parts. Temporal counts the run as open."""
UNDISTURBED = "undisturbed"
"""An undisturbed run over the documents of `INTERRUPTED`."""
OPEN = "open"
"""An open run that waits for more documents."""
FORKED = "forked"
"""A fork of `FINISHED` from one of its first checkpoints."""
REFRESHED = "refreshed"
"""A run that was started twice: between the starts one document was changed, one added and one deleted."""
ENDED_RUNS = (FINISHED, UNDISTURBED, FORKED, REFRESHED)

_NOT_PACKED = frozenset(
    {"logs", "servers.lock", "temporal.db-shm", "temporal.db-wal", "postmaster.opts", "postmaster.pid"}
)
"""Patterns of files that are not packed: logs, locks, and files with paths of the recording machine."""
_DICTIONARY_BYTES = 64 * 1024 * 1024
"""Size of the dictionary. A cluster holds three copies of its template database, and a dictionary as large as the
cluster stores the copies once."""


@dataclass(frozen=True)
class Release:
    """One recorded release, such as `0.3.0`."""

    name: str

    @property
    def archive(self) -> Path:
        """The compressed documents and data folder."""
        return RELEASES / f"{self.name}.tar.xz"

    @property
    def documents(self) -> Path:
        """Return the folder of the documents at the time of the recording."""
        return Path("/tmp") / f"perdure-{self.name}-documents"

    def answers(self) -> Any:
        """Return the JSON values that the release's own commands printed, by run and command."""
        return json.loads((RELEASES / f"{self.name}.json").read_bytes())

    def restore(self, data_dir: Path) -> None:
        """Write the recorded data folder to `data_dir`, which must not exist."""
        self._extract(DATA, data_dir)
        if os.geteuid() == 0:
            _give_to_postgres(data_dir / "postgres")

    @contextmanager
    def present_documents(self) -> Iterator[Path]:
        """Provide the documents at their recorded path; yields that path.

        Test sessions that run at the same time share the folder, and none of them may change it. The last session
        removes the folder.
        """
        with self.documents.with_name(f"{self.documents.name}.lock").open("a") as lock:
            self._share_documents(lock.fileno())
            try:
                yield self.documents
            finally:
                self._remove_unless_shared(lock.fileno())

    def _share_documents(self, lock: int) -> None:
        """Take the shared lock on the documents, and extract them if they are missing."""
        while True:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if self.documents.exists():
                return
            # The kernel releases the shared lock before it takes the exclusive lock, so two sessions do not block each
            # other, and another session may extract the documents between the two steps.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.documents.exists():
                self._extract(DOCUMENTS, self.documents)

    def _remove_unless_shared(self, lock: int) -> None:
        fcntl.flock(lock, fcntl.LOCK_UN)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        # Renamed first: a session that is killed here must not leave a part of the documents to the next one.
        removed = self.documents.with_name(f"{self.documents.name}.{os.getpid()}-removed")
        self.documents.rename(removed)
        shutil.rmtree(removed)

    def _extract(self, folder: str, target: Path) -> None:
        """Extract a folder of the archive under a temporary name, then rename it."""
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        with tarfile.open(self.archive) as archive:
            for member in archive:
                if Path(member.name).parts[0] == folder:
                    archive.extract(member, unfinished, filter="tar")
        (unfinished / folder).rename(target)
        unfinished.rmdir()


def pack(release: Release, data_dir: Path) -> None:
    """Write the archive of a release from its documents and from a data folder.

    The servers of the data folder must have stopped.
    """

    def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if Path(member.name).name in _NOT_PACKED:
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": _DICTIONARY_BYTES}]
    with lzma.open(release.archive, "wb", filters=filters) as file, tarfile.open(fileobj=file, mode="w") as archive:
        archive.add(release.documents, DOCUMENTS, filter=without_owner)
        archive.add(data_dir, DATA, filter=without_owner)


def _give_to_postgres(cluster: Path) -> None:
    """Give the files to the user `nobody`, as whom the embedded Postgres then runs under root."""
    user = pwd.getpwnam("nobody")
    for path in (cluster, *cluster.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
