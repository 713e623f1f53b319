"""Go on from any checkpoint as a run of its own, with outputs as they were at that moment.

Copying is one transaction and starting is one call, and either can be repeated: a fork that was killed in between goes
on when it is asked for again under the same id.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from orchestration.client.run_client import RunClient
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
    """A run that has been started from a checkpoint of another."""

    workflow_id: str
    checkpoint: WorkflowCheckpoint
    copied: Copied


async def fork(
    client: RunClient,
    checkpoint_id: str,
    workflow_id: str | None = None,
    *,
    origin: str | None = None,
    say: Say = lambda _: None,
) -> Fork:
    """Start a run under a new id from this checkpoint.

    Args:
        client: open.
        checkpoint_id: of any run.
        workflow_id: of the new run, generated if not given.
        origin: the run that it must be a checkpoint of, if given.
        say: told what was found, one sentence at a time.

    Raises:
        UnknownCheckpoint: no store has it.
        RefusedCommand: the id is taken by another run, or the database does not have the documents.
    """
    checkpoint = await find_checkpoint(client.stores, checkpoint_id, origin)
    target = f"{checkpoint.workflow_id[:150]}-fork-{uuid4().hex[:6]}" if workflow_id is None else workflow_id
    checked_workflow_id(target)
    source = ForkOrigin(
        workflow_id=checkpoint.workflow_id, checkpoint_id=checkpoint.checkpoint_id, digest=checkpoint.digest
    )
    await _refuse_if_taken(client, target, source)
    copied = await copy_run(client.stores.pool, checkpoint, target)
    say(
        f"Forked '{target}' from checkpoint {checkpoint.sequence} of '{checkpoint.workflow_id}': "
        f"{copied.processed} processed and {copied.quarantined} quarantined documents are kept, "
        f"{copied.pending} are to be processed."
    )
    _say_what_is_not_as_it_was(checkpoint, copied, say)
    options = PipelineOptions.model_validate(checkpoint.state_data.options)
    with suppress(WorkflowAlreadyRunning):  # the same command was here a moment ago
        await client.start_workflow(
            target,
            PipelineInput(
                sources=checkpoint.state_data.sources,
                options=options.model_copy(update={"open": False}),
                forked_from=source,
            ),
        )
    return Fork(target, checkpoint, copied)


async def find_checkpoint(stores: Stores, checkpoint_id: str, workflow_id: str | None = None) -> WorkflowCheckpoint:
    """Look for a checkpoint by its id alone, in every store.

    Raises:
        UnknownCheckpoint: no store has it.
        DependencyUnavailable: none that can be asked has it, and one cannot be asked.
    """
    failure: DependencyUnavailable | None = None
    for store in stores.checkpoints:
        try:
            if found := await store.get(workflow_id, checkpoint_id):
                return found
        except DependencyUnavailable as error:
            failure = error
    if failure:
        raise failure
    whose = f"The run '{workflow_id}' has" if workflow_id else "There is"
    raise UnknownCheckpoint(f"{whose} no checkpoint '{checkpoint_id}'; it may have been pruned.")


async def _refuse_if_taken(client: RunClient, target: str, source: ForkOrigin) -> None:
    """An id is free if nobody has heard of it, or if it is this very fork, begun before."""
    try:
        await client.status(target)
    except UnknownWorkflow:
        return
    latest = await client.get_latest_checkpoint(target)
    if latest is None:
        return  # only copied so far, which the database knows by its own mark
    if latest.metadata.get("forked_from") != source.model_dump():
        raise RefusedCommand(f"There is a run '{target}' already, and it is not a fork of this checkpoint.")
    if latest.workflow_status in ("completed", "completed_with_failures"):
        raise RefusedCommand(f"The fork '{target}' has ended already; choose another id to fork once more.")


def _say_what_is_not_as_it_was(checkpoint: WorkflowCheckpoint, copied: Copied, say: Say) -> None:
    then = checkpoint.processed_documents + checkpoint.state_data.documents_quarantined
    now = copied.processed + copied.quarantined
    if now < then:
        say(
            f"{then - now} documents that were done at that checkpoint have been processed again since, so what they "
            "gave then is gone: they are processed anew."
        )
    if copied.processed + copied.quarantined + copied.pending < checkpoint.state_data.documents_total:
        say("The database has fewer documents than the checkpoint counts: the sources are looked at again.")
