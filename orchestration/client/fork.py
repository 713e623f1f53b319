"""Starts a run from a checkpoint of another run, with the outputs of that checkpoint.

Copying the outputs is one transaction, and starting the run is one call. Both can be repeated, so a fork that was
killed between the two steps continues when it is requested again under the same id.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from orchestration.client.connected import Connected
from orchestration.client.following import read_status
from orchestration.client.starting import start_workflow
from orchestration.client.workflow_ids import checked_workflow_id
from orchestration.stores import Stores
from perdure.checkpoint import WorkflowCheckpoint
from perdure.errors import (
    DependencyUnavailable,
    RefusedCommand,
    UnknownCheckpoint,
    UnknownWorkflow,
    WorkflowAlreadyRunning,
)
from perdure.stores.postgres.forks import Copied, copy_run
from workflows.messages import ForkOrigin, PipelineInput, PipelineOptions

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fork:
    """A run that was started from a checkpoint of another run."""

    workflow_id: str
    checkpoint: WorkflowCheckpoint
    copied: Copied


async def fork(
    connected: Connected,
    checkpoint_id: str,
    workflow_id: str | None = None,
    *,
    origin: str | None = None,
    say: Say = lambda _: None,
) -> Fork:
    """Start a run under a new id from this checkpoint.

    Args:
        connected: open connections to Temporal and the stores.
        checkpoint_id: checkpoint id of any run.
        workflow_id: workflow id of the new run, generated if not given.
        origin: workflow id of the run that the checkpoint must belong to; None for any run.
        say: called with one sentence for each event.

    Raises:
        UnknownCheckpoint: no store has the checkpoint.
        RefusedCommand: another run has the id, or the database lacks the documents.
    """
    checkpoint = await find_checkpoint(connected.stores, checkpoint_id, origin)
    target = f"{checkpoint.workflow_id[:150]}-fork-{uuid4().hex[:6]}" if workflow_id is None else workflow_id
    checked_workflow_id(target)
    source = ForkOrigin(
        workflow_id=checkpoint.workflow_id, checkpoint_id=checkpoint.checkpoint_id, digest=checkpoint.digest
    )
    await _refuse_if_taken(connected, target, source)
    copied = await copy_run(connected.stores.pool, checkpoint, target)
    say(
        f"Forked '{target}' from checkpoint {checkpoint.sequence} of '{checkpoint.workflow_id}': "
        f"{copied.processed} processed and {copied.quarantined} quarantined documents are kept, "
        f"{copied.pending} are to be processed."
    )
    _say_what_differs(checkpoint, copied, say)
    options = PipelineOptions.model_validate(checkpoint.state_data.options)
    with suppress(WorkflowAlreadyRunning):  # an earlier request of the same fork has started the run
        await start_workflow(
            connected,
            target,
            PipelineInput(
                sources=checkpoint.state_data.sources,
                options=options.model_copy(update={"open": False}),
                forked_from=source,
            ),
        )
    return Fork(target, checkpoint, copied)


async def find_checkpoint(stores: Stores, checkpoint_id: str, workflow_id: str | None = None) -> WorkflowCheckpoint:
    """Return a checkpoint by its id, from the first store that has it.

    Args:
        stores: the open stores.
        checkpoint_id: id of the checkpoint.
        workflow_id: workflow id of the run that the checkpoint must belong to; None for any run.

    Raises:
        UnknownCheckpoint: no store has the checkpoint.
        DependencyUnavailable: a store cannot be reached, and no other store has the checkpoint.
    """
    failure: DependencyUnavailable | None = None
    for store in stores.checkpoints:
        try:
            if checkpoint := await store.get(workflow_id, checkpoint_id):
                return checkpoint
        except DependencyUnavailable as error:
            failure = error
    if failure:
        raise failure
    subject = f"The run '{workflow_id}' has" if workflow_id else "There is"
    raise UnknownCheckpoint(f"{subject} no checkpoint '{checkpoint_id}'; it may have been pruned.")


async def _refuse_if_taken(connected: Connected, target: str, source: ForkOrigin) -> None:
    """Refuse an id that a run has, unless an earlier request of the same fork started that run."""
    try:
        await read_status(connected, target)
    except UnknownWorkflow:
        return
    latest = await connected.stores.latest(target)
    if latest is None:
        return  # documents were copied, and no workflow has started; `copy_run` checks their origin
    if latest.metadata.get("forked_from") != source.model_dump():
        raise RefusedCommand(f"There is a run '{target}' already, and it is not a fork of this checkpoint.")
    if latest.workflow_status in ("completed", "completed_with_failures"):
        raise RefusedCommand(f"The fork '{target}' has ended already; choose another id for another fork.")


def _say_what_differs(checkpoint: WorkflowCheckpoint, copied: Copied, say: Say) -> None:
    finished = checkpoint.processed_documents + checkpoint.state_data.documents_quarantined
    kept = copied.processed + copied.quarantined
    if kept < finished:
        say(
            f"{finished - kept} documents that were finished at that checkpoint have been processed again since. Their "
            "earlier results are gone, so the fork processes these documents again."
        )
    if kept + copied.pending < checkpoint.state_data.documents_total:
        say("The database has fewer documents than the checkpoint counts: the fork lists the sources again.")
