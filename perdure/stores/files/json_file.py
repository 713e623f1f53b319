"""`PersistentCheckpointStore`: checkpoints as JSON files, one array for each workflow id.

For whoever has neither Temporal nor Postgres at hand: `{workflow_id}_checkpoints.json` in one directory. How such a
file stays valid at every moment is the business of `array_file`.
"""

import asyncio
import hashlib
from builtins import list as list_of
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from perdure.checkpoint import WorkflowCheckpoint, upgrade
from perdure.errors import CheckpointConflict, CheckpointGap, DependencyUnavailable, StaleWriter
from perdure.stores.files.array_file import ArrayFile, DamagedArrayError, sync_directory

Answer = TypeVar("Answer")

DEPENDENCY = "the checkpoint files"
SUFFIX = "_checkpoints.json"
MAX_STEM_BYTES = 200
_READABLE_BYTES = 100


class PersistentCheckpointStore:
    """`perdure.checkpoint.CheckpointStore` over a directory of files; its promises are documented there.

    Args:
        directory: made when it is first written to.
    """

    name = "files"

    def __init__(self, directory: Path) -> None:
        self._directory = Path(directory)

    def path_of(self, workflow_id: str) -> Path:
        """The file of a workflow id."""
        return self._array(workflow_id).path

    async def examine(self, workflow_id: str) -> tuple[list_of[Any], str | None]:
        """The elements of its file as they stand there, and what is wrong with the file itself; for an audit."""
        return await _in_thread(lambda: self._array(workflow_id).examine())

    async def replace(
        self, workflow_id: str, checkpoints: Sequence[WorkflowCheckpoint], instead_of: Sequence[Any]
    ) -> Path | None:
        """Put this chain in place of what its file holds, as `examine` gave it.

        Returns:
            Where the former file is kept, None if there was none.

        Raises:
            CheckpointGap: it holds something else by now.
        """

        def replace() -> tuple[bool, Path | None]:
            self._make_directory()
            content = [one.model_dump(mode="json") for one in checkpoints]
            return self._array(workflow_id).replace(content, instead_of)

        done, kept = await _in_thread(replace)
        if not done:
            raise CheckpointGap(f"The file of {workflow_id} was written to meanwhile.")
        return kept

    async def retire(self, workflow_id: str, up_to_sequence: int) -> int:
        """Take the oldest checkpoints away, never the latest; returns how many."""

        def retire() -> int:
            array = self._array(workflow_id)
            if not array.path.exists():
                return 0
            with array.locked():
                stored = [upgrade(one).sequence for one in array.read()]
                old = sum(sequence <= up_to_sequence for sequence in stored[:-1])
                if old:
                    array.drop_first(old)
                return old

        return await _in_thread(retire)

    async def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        return await _in_thread(lambda: self._append(checkpoint))

    async def restore(self, checkpoints: Sequence[WorkflowCheckpoint]) -> int:
        """Append checkpoints that another store holds, in their order; returns how many were new."""
        return sum([await self.append(checkpoint) for checkpoint in checkpoints])

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        last = await _in_thread(lambda: self._array(workflow_id).last())
        return upgrade(last) if last else None

    async def get(self, workflow_id: str | None, checkpoint_id: str) -> WorkflowCheckpoint | None:
        for known in await self.workflow_ids() if workflow_id is None else [workflow_id]:
            for one in await self.list(known):
                if one.checkpoint_id == checkpoint_id:
                    return one
        return None

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        return [upgrade(stored) for stored in await _in_thread(lambda: self._array(workflow_id).read())]

    async def workflow_ids(self) -> Sequence[str]:
        return await _in_thread(self._workflow_ids)

    async def close(self) -> None:
        """Nothing is held between calls."""

    def _append(self, checkpoint: WorkflowCheckpoint) -> bool:
        self._make_directory()
        array = self._array(checkpoint.workflow_id)
        with array.locked():
            last = array.last()
            latest = upgrade(last) if last else None
            if latest is None or _follows(checkpoint, latest):
                array.append(checkpoint.model_dump(mode="json"))
                return True
            if checkpoint != latest:
                _refuse_unless_stored(checkpoint, latest, array.read())
            return False

    def _array(self, workflow_id: str) -> ArrayFile:
        """Its file; another name if the plain one is taken, on a disk that takes "Run" and "run" for the same."""
        plain = ArrayFile(self._directory / f"{file_stem(workflow_id)}{SUFFIX}")
        if _workflow_id_in(plain) in (None, workflow_id) or _mentions(plain, workflow_id):
            return plain
        return ArrayFile(self._directory / f"{_hashed_stem(workflow_id)}{SUFFIX}")

    def _workflow_ids(self) -> list_of[str]:
        if not self._directory.is_dir():
            return []
        paths = [path for path in self._directory.glob(f"*{SUFFIX}") if path.name[0] != "."]
        found = (_workflow_id_in(ArrayFile(path), foreign=None) for path in paths)
        return sorted(workflow_id for workflow_id in found if workflow_id is not None)

    def _make_directory(self) -> None:
        if not self._directory.is_dir():
            self._directory.mkdir(parents=True, exist_ok=True)
            sync_directory(self._directory.parent)


def _workflow_id_in(array: ArrayFile, foreign: str | None = "\0") -> str | None:
    """Whose checkpoints a file holds; None if it has none, `foreign` if it holds something else."""
    try:
        last = array.last()
    except DamagedArrayError:
        return foreign
    if last is None:
        return None
    return str(last["workflow_id"]) if isinstance(last, dict) and "workflow_id" in last else foreign


def _mentions(array: ArrayFile, workflow_id: str) -> bool:
    """Whether it is the file of this run all the same: only its last element has been damaged."""
    elements, _ = array.examine()
    return any(isinstance(one, dict) and one.get("workflow_id") == workflow_id for one in elements)


def file_stem(workflow_id: str) -> str:
    """A file name for a workflow id: different ones for different ids, and never a path.

    Letters, digits and -_.~@+=, stand for themselves, everything else and a leading dot percent-encoded; what is too
    long is cut and told apart by its SHA-256.
    """
    stem = _percent_encoded(workflow_id)
    return stem if len(stem) <= MAX_STEM_BYTES else _hashed_stem(workflow_id)


def _hashed_stem(workflow_id: str) -> str:
    digest = hashlib.sha256(workflow_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_percent_encoded(workflow_id)[:_READABLE_BYTES]}%={digest}"  # "%=" occurs in no percent-encoded name


def _percent_encoded(workflow_id: str) -> str:
    encoded = quote(workflow_id, safe="@+=,", errors="surrogatepass")
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded


def _follows(checkpoint: WorkflowCheckpoint, latest: WorkflowCheckpoint) -> bool:
    return (
        checkpoint.sequence == latest.sequence + 1
        and checkpoint.previous_digest == latest.digest
        and checkpoint.epoch >= latest.epoch
        and checkpoint.checkpoint_id != latest.checkpoint_id
    )


def _refuse_unless_stored(
    checkpoint: WorkflowCheckpoint, latest: WorkflowCheckpoint, stored: Sequence[dict[str, Any]]
) -> None:
    for one in stored:
        if one["checkpoint_id"] == checkpoint.checkpoint_id:
            if upgrade(one) != checkpoint:
                raise CheckpointConflict(f"The checkpoint {checkpoint.checkpoint_id} is stored with other content.")
            return
    if checkpoint.epoch < latest.epoch:
        raise StaleWriter(f"Epoch {checkpoint.epoch} of {checkpoint.workflow_id} was replaced by epoch {latest.epoch}.")
    raise CheckpointGap(
        f"Checkpoint {checkpoint.sequence} of {checkpoint.workflow_id} does not follow checkpoint "
        f"{latest.sequence}, the latest stored."
    )


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    """Disks block, so never in the event loop; and a disk that refuses is the world's fault."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise DependencyUnavailable(DEPENDENCY, error.strerror or str(error)) from error
