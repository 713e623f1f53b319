"""`ObjectCheckpointStore`: checkpoints as objects of a bucket or files of a folder.

The key of an object is the sequence of its checkpoint, and an object is created only if its key is free. So of two
writers of one sequence exactly one succeeds, also on different machines. The other writer compares its checkpoint with
the stored checkpoint. No lock is needed, and no object is changed after its creation.
"""

import asyncio
import json
import time
from builtins import list as list_of
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from perdure.checkpoint import (
    WorkflowCheckpoint,
    canonical_json,
    check_follows,
    check_stored,
    checkpoint_id,
    upgrade,
)
from perdure.errors import CheckpointGap, DependencyUnavailable, RefusedWrite
from perdure.stores.objects.bucket import Bucket, Listed
from perdure.stores.objects.keys import FOLDER_SUFFIX, folder_of, key_of, sequence_of, workflow_id_of

Item = TypeVar("Item")
Answer = TypeVar("Answer")

REQUESTS_AT_ONCE = 16
"""Most requests of one call that are under way at the same time."""
_LISTINGS = 5
"""Most listings of one read, if other processes add and delete objects during the read."""


class ObjectCheckpointStore:
    """A `CheckpointStore` over the objects under one URL; also `Auditable` and `Prunable`.

    Args:
        url: `s3://bucket/prefix` or `file:///folder`, checked by `check_url`. The bucket must exist; credentials and
            the address of the server come from the `AWS_` variables.
    """

    name = "bucket"
    count_name = "object_checkpoints"

    def __init__(self, url: str) -> None:
        """Remember the URL; connect to nothing."""
        self._bucket = Bucket(url)
        # The checkpoint that was read or written last, by key and tag. With it, an append reads no object.
        self._known: dict[tuple[str, str], WorkflowCheckpoint] = {}
        # The highest known sequence of each workflow id. A listing from this sequence on finds the latest checkpoint.
        self._last_seen: dict[str, int] = {}

    async def append(self, checkpoint: WorkflowCheckpoint) -> bool:
        """Create an object for the checkpoint; see `CheckpointStore.append`.

        The method makes two requests: a listing and a conditional put.
        """
        while True:
            items = await self._list_from(checkpoint.workflow_id, checkpoint.sequence - 1)
            try:
                check_follows(checkpoint, await self._read_latest(items))
            except RefusedWrite:
                stored = await self._read(key_of(checkpoint.workflow_id, checkpoint.sequence))
                if check_stored(checkpoint, [stored] if stored else []):
                    return False
                raise
            if await self._create(checkpoint):
                return True
            # Another writer has created this sequence since the listing, so its checkpoint is compared.

    async def restore(self, checkpoints: Sequence[WorkflowCheckpoint]) -> int:
        """Append checkpoints that another store holds, in order; return the number added."""
        return sum([await self.append(checkpoint) for checkpoint in checkpoints])

    async def latest(self, workflow_id: str) -> WorkflowCheckpoint | None:
        """Return the checkpoint of the highest sequence; None if there is none."""
        items = await self._list_from(workflow_id, self._last_seen.get(workflow_id, 0))
        if items:
            self._last_seen[workflow_id] = sequence_of(items[-1].key) or 0
        return await self._read_latest(items)

    async def get(self, workflow_id: str | None, checkpoint_id: str) -> WorkflowCheckpoint | None:
        """Return one checkpoint. The ids computed from the listed keys show which object to read."""
        for candidate in await self.workflow_ids() if workflow_id is None else [workflow_id]:
            for item in await self._list_items(candidate):
                if _compute_id(candidate, item) == checkpoint_id:
                    return await self._read(item.key, item.tag)
        return None

    async def list(self, workflow_id: str) -> Sequence[WorkflowCheckpoint]:
        """Return all checkpoints of a workflow id, oldest first."""
        checkpoints: list_of[WorkflowCheckpoint | None] = []
        for _ in range(_LISTINGS):
            items = await self._list_items(workflow_id)
            checkpoints = await _gather(lambda item: self._read(item.key, item.tag), items)
            # A listing of a folder may lack objects that are being created, and objects may be pruned before the read.
            if None not in checkpoints and _is_contiguous(items):
                break
        return [checkpoint for checkpoint in checkpoints if checkpoint]

    async def workflow_ids(self) -> Sequence[str]:
        """Return the sorted workflow ids of all folders that hold a checkpoint."""
        folders = [folder for folder in await self._bucket.list_folders() if folder.endswith(FOLDER_SUFFIX)]
        workflow_ids = await _gather(self._read_workflow_id, folders)
        return sorted(workflow_id for workflow_id in workflow_ids if workflow_id is not None)

    async def close(self) -> None:
        """Do nothing: obstore's client keeps no resource that has to be closed."""

    def place_of(self, workflow_id: str) -> str:
        """Return the folder of a workflow id for messages."""
        return f"the folder {self._bucket.url}/{folder_of(workflow_id)}"

    async def examine(self, workflow_id: str) -> tuple[list_of[Any], str | None]:
        """Return the content of every checkpoint object, and a clause on damaged objects.

        The clause also names foreign objects.
        """
        elements, damaged, _ = await self._examine(workflow_id)
        if not damaged:
            return elements, None
        names = ", ".join(key.rpartition("/")[2] for key in damaged)
        return elements, f"holds {len(damaged)} object{'' if len(damaged) == 1 else 's'} with no checkpoint: {names}"

    async def replace(
        self, workflow_id: str, checkpoints: Sequence[WorkflowCheckpoint], instead_of: Sequence[Any]
    ) -> str | None:
        """Store this chain in place of the elements that `examine` returned.

        Each object that is changed or deleted is copied first, to a folder whose name ends with `.damaged-` and the
        time. The objects change one after the other. If the process dies, the next call changes the remaining objects.

        Returns:
            The folder of the copies; None if no object was changed or deleted.

        Raises:
            CheckpointGap: the elements of the folder have changed.
        """
        elements, _, contents = await self._examine(workflow_id)
        if elements != list(instead_of):
            raise CheckpointGap(f"Another process has written to the objects of {workflow_id} meanwhile.")
        expected = {key_of(workflow_id, item.sequence): item.model_dump(mode="json") for item in checkpoints}
        wrong = [key for key, content in contents.items() if key not in expected or content != expected[key]]
        aside = f"{folder_of(workflow_id)}.damaged-{time.time_ns()}"
        for key in wrong:
            await self._bucket.copy(key, f"{aside}/{key.rpartition('/')[2]}")
        for key in wrong:
            if key in expected:
                await self._bucket.overwrite(key, canonical_json(expected[key]))
            else:
                await self._bucket.delete(key)
        for key in sorted(expected.keys() - contents.keys()):
            if await self._bucket.put_new(key, canonical_json(expected[key])) is None:
                raise CheckpointGap(f"Another process has written to the objects of {workflow_id} meanwhile.")
        return aside if wrong else None

    async def retire(self, workflow_id: str, up_to_sequence: int) -> int:
        """Delete the oldest checkpoints, never the latest; return their number."""
        old = [
            item
            for item in (await self._list_items(workflow_id))[:-1]
            if (sequence_of(item.key) or 0) <= up_to_sequence
        ]
        for item in old:  # oldest first and one by one, so that a crash leaves a chain without a gap
            await self._bucket.delete(item.key)
        return len(old)

    async def _list_from(self, workflow_id: str, sequence: int) -> list_of[Listed]:
        """Return the objects from `sequence` on; all objects if there is none of this sequence.

        The end of a chain takes one listing; a whole chain of thousands of checkpoints takes many.
        """
        before = key_of(workflow_id, max(0, sequence - 1))
        items = _select_checkpoints(await self._bucket.list_objects(folder_of(workflow_id), after=before))
        if items and sequence_of(items[0].key) == sequence:
            return items
        return await self._list_items(workflow_id)

    async def _create(self, checkpoint: WorkflowCheckpoint) -> bool:
        key = key_of(checkpoint.workflow_id, checkpoint.sequence)
        tag = await self._bucket.put_new(key, canonical_json(checkpoint.model_dump(mode="json")))
        if tag is None:
            return False
        self._known = {(key, tag): checkpoint}
        return True

    async def _list_items(self, workflow_id: str) -> list_of[Listed]:
        return _select_checkpoints(await self._bucket.list_objects(folder_of(workflow_id)))

    async def _read_latest(self, items: Sequence[Listed]) -> WorkflowCheckpoint | None:
        if not items:
            return None
        last = items[-1]
        return self._known.get((last.key, last.tag)) or await self._read(last.key)

    async def _read(self, key: str, tag: str = "") -> WorkflowCheckpoint | None:
        """Return the checkpoint of a key; None if there is no object.

        Raises:
            DependencyUnavailable: the object holds no checkpoint, or that of another key.
        """
        if known := self._known.get((key, tag)):
            return known
        answer = await self._bucket.get(key)
        if answer is None:
            return None
        content, tag = answer
        checkpoint = _parse_checkpoint(content)
        if checkpoint is None or key_of(checkpoint.workflow_id, checkpoint.sequence) != key:
            # No retry repairs the object. But a waiting run continues as soon as a user has repaired it.
            raise DependencyUnavailable(self._bucket.url, f"the object {key} is damaged; repair it with rebuild-mirror")
        self._known = {(key, tag): checkpoint}
        return checkpoint

    async def _read_workflow_id(self, folder: str) -> str | None:
        items = _select_checkpoints(await self._bucket.list_objects(folder))
        if not items:
            return None
        workflow_id = workflow_id_of(folder)
        if workflow_id is None:
            checkpoint = await self._read(items[-1].key)
            workflow_id = checkpoint.workflow_id if checkpoint else None
        return workflow_id

    async def _examine(self, workflow_id: str) -> tuple[list_of[Any], list_of[str], dict[str, Any]]:
        """Return the elements, the keys of foreign objects, and the content of every object.

        The content is a mapping by key.
        """
        items = await self._bucket.list_objects(folder_of(workflow_id))
        answers = await _gather(lambda item: self._bucket.get(item.key), items)
        contents = {item.key: _parse(answer[0]) for item, answer in zip(items, answers, strict=True) if answer}
        damaged = [key for key, content in contents.items() if content is None or sequence_of(key) is None]
        return [content for key, content in contents.items() if key not in damaged], damaged, contents


def _select_checkpoints(items: Sequence[Listed]) -> list_of[Listed]:
    return [item for item in items if sequence_of(item.key) is not None]


def _is_contiguous(items: Sequence[Listed]) -> bool:
    sequences = [sequence_of(item.key) or 0 for item in items]
    return not sequences or sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def _compute_id(workflow_id: str, item: Listed) -> str:
    return checkpoint_id(workflow_id, sequence_of(item.key) or 0)


def _parse_checkpoint(content: bytes) -> WorkflowCheckpoint | None:
    """Return the checkpoint that an object's content holds; None if it holds none."""
    try:
        checkpoint = upgrade(json.loads(content))
        _ = (checkpoint.sequence, checkpoint.epoch, checkpoint.digest, checkpoint.previous_digest)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return checkpoint


def _parse(content: bytes) -> Any:
    """Return the JSON object that a content holds; None if it holds none."""
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def _gather(ask: Callable[[Item], Awaitable[Answer]], items: Sequence[Item]) -> list_of[Answer]:
    """Call `ask` for every item, at most `REQUESTS_AT_ONCE` calls at a time.

    Return the answers in the order of the items.
    """
    free = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def ask_in_turn(item: Item) -> Answer:
        async with free:
            return await ask(item)

    return list(await asyncio.gather(*(ask_in_turn(item) for item in items)))
