"""`PersistentCheckpointStore`: checkpoints in `{workflow_id}_checkpoints.json` files.

The files can be read while neither Temporal nor Postgres runs. `array_file` keeps each file valid at every moment.
"""

import asyncio
from builtins import list as list_of
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from perdure.checkpoint import WorkflowCheckpoint, check_follows, check_stored, upgrade
from perdure.errors import CheckpointGap, DependencyUnavailable, RefusedWrite
from perdure.stores.durable_folders import make_folder
from perdure.stores.file_names import file_stem, hashed_stem
from perdure.stores.files.array_file import ArrayFile, DamagedArrayError

__all__ = ["PersistentCheckpointStore", "file_stem"]

Answer = TypeVar("Answer")

DEPENDENCY = "the store of checkpoint files"
"""Name of this store in `DependencyUnavailable`."""
SUFFIX = "_checkpoints.json"
"""Ending of the name of every checkpoint file."""


class PersistentCheckpointStore:
    """A `CheckpointStore` over a directory of files; also `Auditable` and `Prunable`.

    Args:
        directory: the folder of the files. The first append creates it.
    """

    name = "files"
    count_name = "file_checkpoints"

    def __init__(self, directory: Path) -> None:
        """Remember the directory; open nothing."""
        self._directory = Path(directory)
        self._is_durable = False

    def path_of(self, workflow_id: str) -> Path:
        """Return the file of a workflow id."""
        return self._open_array(workflow_id).path

    def place_of(self, workflow_id: str) -> str:
        """Return the name of the file for messages."""
        return f"the file {self.path_of(workflow_id).name}"

    async def examine(self, workflow_id: str) -> tuple[list_of[Any], str | None]:
        """Return the elements of the file as they are, and the damage of the file as a clause."""
        return await _run_in_thread(lambda: self._open_array(workflow_id).examine())

    async def replace(
        self, workflow_id: str, checkpoints: Sequence[WorkflowCheckpoint], instead_of: Sequence[Any]
    ) -> str | None:
        """Write this chain in place of the elements that `examine` returned.

        Return the name of the former file.

        Raises:
            CheckpointGap: the elements of the file have changed.
        """

        def replace() -> tuple[bool, Path | None]:
            self._make_directory()
            content = [checkpoint.model_dump(mode="json") for checkpoint in checkpoints]
            return self._open_array(workflow_id).replace(content, instead_of)

        replaced, kept = await _run_in_thread(replace)
        if not replaced:
            raise CheckpointGap(f"Another process has written to the file of {workflow_id} meanwhile: try again.")
        return kept.name if kept else None

    async def retire(self, workflow_id: str, up_to_sequence: int) -> int:
        """Delete the oldest checkpoints, never the latest; return their number."""

        def retire() -> int:
            array = self._open_array(workflow_id)
            if not array.path.exists():
                return 0
            with array.locked():
                stored = [upgrade(element).sequence for element in array.read()]
                old = sum(sequence <= up_to_sequence for sequence in stored[:-1])
                if old:
                    array.drop_first(old)
                return old

        return await _run_in_thread(retire)

    async def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        """Append to the file of the checkpoint's workflow id; see `CheckpointStore.append`."""
        return await _run_in_thread(lambda: self._append(checkpoint))

    async def restore(self, checkpoints: Sequence[WorkflowCheckpoint]) -> int:
        """Append checkpoints that another store holds, in order; return the number added."""
        return sum([await self.append(checkpoint) for checkpoint in checkpoints])

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Return the last checkpoint of the file, from a bounded part of the file."""
        last = await _run_in_thread(lambda: self._open_array(workflow_id).last())
        return upgrade(last) if last else None

    async def get(self, workflow_id: str | None, checkpoint_id: str) -> WorkflowCheckpoint | None:
        """Return one checkpoint; without a workflow id, every file is read."""
        for candidate in await self.workflow_ids() if workflow_id is None else [workflow_id]:
            for checkpoint in await self.list(candidate):
                if checkpoint.checkpoint_id == checkpoint_id:
                    return checkpoint
        return None

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """Return all checkpoints of the file, oldest first."""
        return [upgrade(element) for element in await _run_in_thread(lambda: self._open_array(workflow_id).read())]

    async def workflow_ids(self) -> Sequence[str]:
        """Return the workflow ids of all files, sorted; other files are ignored."""
        return await _run_in_thread(self._list_workflow_ids)

    async def close(self) -> None:
        """Do nothing: no file stays open between calls."""

    def _append(self, checkpoint: WorkflowCheckpoint) -> bool:
        self._make_directory()
        array = self._open_array(checkpoint.workflow_id)
        with array.locked():
            last = array.last()
            try:
                check_follows(checkpoint, upgrade(last) if last else None)
            except RefusedWrite:
                # Only a refused checkpoint costs a read of the whole file.
                if check_stored(checkpoint, [upgrade(element) for element in array.read()]):
                    return False
                raise
            array.append(checkpoint.model_dump(mode="json"))
            return True

    def _open_array(self, workflow_id: str) -> ArrayFile:
        """Return the file of a workflow id.

        On a disk that takes "Run" and "run" for the same name, the plain name may belong to another workflow id. The
        file then has a name with the SHA-256 of the id.
        """
        plain = ArrayFile(self._directory / f"{file_stem(workflow_id)}{SUFFIX}")
        if _read_workflow_id(plain) in (None, workflow_id) or _holds_workflow_id(plain, workflow_id):
            return plain
        return ArrayFile(self._directory / f"{hashed_stem(workflow_id)}{SUFFIX}")

    def _list_workflow_ids(self) -> list_of[str]:
        if not self._directory.is_dir():
            return []
        paths = [path for path in self._directory.glob(f"*{SUFFIX}") if path.name[0] != "."]
        workflow_ids = (_read_workflow_id(ArrayFile(path), foreign=None) for path in paths)
        return sorted(workflow_id for workflow_id in workflow_ids if workflow_id is not None)

    def _make_directory(self) -> None:
        if not self._is_durable or not self._directory.is_dir():
            make_folder(self._directory)
            self._is_durable = True


def _read_workflow_id(array: ArrayFile, foreign: str | None = "\0") -> str | None:
    """Return the workflow id in a file's last element.

    Return None for an empty file, `foreign` for other content.
    """
    try:
        last = array.last()
    except DamagedArrayError:
        return foreign
    if last is None:
        return None
    return str(last["workflow_id"]) if isinstance(last, dict) and "workflow_id" in last else foreign


def _holds_workflow_id(array: ArrayFile, workflow_id: str) -> bool:
    """Return whether any element belongs to this workflow id.

    If so, only the last element of the file is damaged.
    """
    elements, _ = array.examine()
    return any(isinstance(element, dict) and element.get("workflow_id") == workflow_id for element in elements)


async def _run_in_thread(work: Callable[[], Answer]) -> Answer:
    """Run `work` outside of the event loop, which a slow disk would block.

    Raises:
        DependencyUnavailable: the disk refuses, which a retry may cure.
    """
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise DependencyUnavailable(DEPENDENCY, error.strerror or str(error)) from error
