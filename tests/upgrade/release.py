"""A recorded release: the data folder that it wrote, its documents, and the answers of its commands.

The archive of a release holds two folders: `documents`, then `data`. Rows and checkpoints name each document by an
absolute path, so the documents always stand at the path that they had when the release was recorded.
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
"""A run that ended. Two of its documents are quarantined."""
INTERRUPTED = "interrupted"
"""A run whose command and worker were killed. One long document has kept parts. Temporal counts the run as open."""
UNDISTURBED = "undisturbed"
"""A run over the documents of `INTERRUPTED` that was left alone."""
OPEN = "open"
"""An open run that waits for more documents."""
FORKED = "forked"
"""A fork of `FINISHED` from one of its first checkpoints."""
REFRESHED = "refreshed"
"""A run that was started twice: between the starts one document changed, one was new and one was gone."""
ENDED_RUNS = (FINISHED, UNDISTURBED, FORKED, REFRESHED)

_NOT_PACKED = frozenset(
    {"logs", "servers.lock", "temporal.db-shm", "temporal.db-wal", "postmaster.opts", "postmaster.pid"}
)
"""Logs, locks and what names the paths of the recording machine."""
_DICTIONARY_BYTES = 64 * 1024 * 1024
"""A cluster holds three copies of its template database. A dictionary as large as the cluster stores them once."""


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
        """The folder in which the documents stood when the release was recorded."""
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
        removes it.
        """
        with self.documents.with_name(f"{self.documents.name}.lock").open("a") as lock:
            self._share_documents(lock.fileno())
            try:
                yield self.documents
            finally:
                self._remove_unless_shared(lock.fileno())

    def _share_documents(self, lock: int) -> None:
        """Hold the shared lock while the documents exist; extract them first if no session has done so."""
        while True:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if self.documents.exists():
                return
            # The kernel gives up the shared lock before it takes the exclusive one, so two sessions that wait for each
            # other do not block, and the documents may have appeared in between.
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
        """Extract one of the archive's folders aside, and rename it when it is whole."""
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        with tarfile.open(self.archive) as archive:
            for member in archive:
                if Path(member.name).parts[0] == folder:
                    archive.extract(member, unfinished, filter="tar")
        (unfinished / folder).rename(target)
        unfinished.rmdir()


def pack(release: Release, data_dir: Path) -> None:
    """Write the archive of a release from its documents and from a data folder whose servers have stopped."""

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
    """Postgres refuses to run as root: there the embedded server runs as the owner of its files."""
    user = pwd.getpwnam("nobody")
    for path in (cluster, *cluster.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
