"""The worker's activities, wired to the stores, the services and the pool of parsers."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from temporalio.client import Client
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

from activities.batches import BatchActivities
from activities.checkpoints import CheckpointActivities
from activities.manifest import ManifestActivities
from activities.recovery import RecoveryActivities
from activities.services import ServiceActivities
from orchestration.client.history import read_history
from orchestration.services import Services
from orchestration.settings import Settings
from orchestration.stores import Stores
from perdure import __version__
from perdure.documents.discovery import discover
from perdure.documents.document import ProcessedDocument
from perdure.documents.sources import content_hash
from perdure.sandbox.pool import IsolatedPool
from workflows.document_pipeline import DocumentPipeline

GRACE = timedelta(seconds=20)
"""Time for activities to finish after SIGTERM. Then the worker cancels them."""
STICKY = timedelta(seconds=1)
"""Time for which the server keeps the next task of a cached run for this worker. Then every worker can get the task."""
HEARTBEAT_THROTTLE = timedelta(seconds=2)
"""Shortest time between two heartbeats of an activity that the SDK sends."""


def build_worker(
    client: Client,
    settings: Settings,
    stores: Stores,
    services: Services,
    pool: IsolatedPool[ProcessedDocument],
    interceptors: Sequence[Interceptor] = (),
) -> Worker:
    """Return the worker with all its activities wired; it does not poll yet.

    Args:
        client: a client with the identity of the worker's slot.
        settings: give the task queue.
        stores: the open stores.
        services: the services whose health the checkpoints record.
        pool: the started pool, which processes the documents.
        interceptors: interceptors of every activity and workflow.
    """
    manifest = ManifestActivities(stores.manifest, discover, content_hash)
    batches = BatchActivities(stores.manifest, pool)
    checkpoints = CheckpointActivities(stores.checkpoints)
    recovery = RecoveryActivities(manifest, stores.checkpoints, partial(read_history, client))
    service = ServiceActivities(services.identity, services.analytics, services.capture)
    return Worker(
        client,
        task_queue=settings.task_queue,
        build_id=f"perdure-{__version__}",  # without a build id the SDK hashes every loaded module, which takes 0.2 s
        workflows=[DocumentPipeline],
        activities=[
            manifest.discover,
            manifest.add_documents,
            manifest.name_documents,
            manifest.close_run,
            batches.process_batch,
            checkpoints.mirror_checkpoint,
            recovery.recover,
            service.capture_service_states,
            service.resolve_identities,
            service.build_analytics,
        ],
        # The SDK's sandbox costs a fifth of a short run's time. Tests and replays run the workflows inside the sandbox
        # (docs/decisions/0006-sandbox-in-tests.md).
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=interceptors,
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
    )
