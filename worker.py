"""Run one worker until SIGTERM or Ctrl-C: `python worker.py`.

The composition root of everything a worker needs. Configuration is by environment; see docs/configuration.md.
"""

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

from activities.batches import BatchActivities
from activities.checkpoints import CheckpointActivities
from activities.manifest import ManifestActivities
from activities.services import ServiceActivities
from orchestration.connection import connect
from orchestration.process_exit import run_main
from orchestration.reclaim import reclaim
from orchestration.services import Services, build_services
from orchestration.settings import Settings
from orchestration.stores import Stores, open_stores
from orchestration.worker_slot import take_slot
from perdure import __version__
from perdure.documents.discovery import content_hash, discover
from perdure.documents.isolation import IsolatedPool
from perdure.errors import DependencyUnavailable
from perdure.stores.postgres.migrations import apply_migrations
from workflows.document_pipeline import DocumentPipeline

GRACE = timedelta(seconds=20)
"""How long activities may go on after SIGTERM before they are cancelled."""
STICKY = timedelta(seconds=2)
"""How long the server waits for this worker to take a cached run's next task before it offers it to all."""
HEARTBEAT_THROTTLE = timedelta(seconds=2)
PARENT_CHECK_SECONDS = 0.5
MIGRATE_AGAIN_SECONDS = 2.0

log = logging.getLogger("perdure.worker")


def build_worker(
    client: Client,
    settings: Settings,
    stores: Stores,
    services: Services,
    pool: IsolatedPool,
    interceptors: Sequence[Interceptor] = (),
) -> Worker:
    """The worker with all its activities wired to the stores, the services and the pool."""
    manifest = ManifestActivities(stores.manifest, discover, content_hash)
    batches = BatchActivities(stores.manifest, pool)
    checkpoints = CheckpointActivities(stores.checkpoints)
    asked = ServiceActivities(services.identity, services.analytics, services.capture)
    return Worker(
        client,
        task_queue=settings.task_queue,
        build_id=f"perdure-{__version__}",  # otherwise the SDK hashes every loaded module: 0.2 s
        workflows=[DocumentPipeline],
        activities=[
            *(manifest.discover, manifest.add_documents, manifest.name_documents, manifest.close_run),
            batches.process_batch,
            checkpoints.mirror_checkpoint,
            *(asked.capture_service_states, asked.resolve_identities, asked.build_analytics),
        ],
        # The sandbox costs a fifth of a short run's time; tests and replays run these workflows inside it
        # (docs/decisions/0006-sandbox-in-tests.md).
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=interceptors,
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
    )


async def run_worker(
    settings: Settings, *, interceptors: Sequence[Interceptor] = (), exit_with_parent: bool = False
) -> None:
    """Work until SIGTERM or SIGINT, then finish or hand back what is in flight."""
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    slot = take_slot(settings.data_dir)
    stores = open_stores(settings)
    pool = IsolatedPool(settings.pool_workers, settings.limits)
    pool.start()
    try:
        client = await connect(settings, identity=slot.identity)
        worker = build_worker(client, settings, stores, build_services(settings, stores.pool), pool, interceptors)
        # Before the first poll: afterwards, what this identity holds may be our own.
        await _reclaim(client, slot.identity, settings.task_queue)
        async with worker:
            log.info("worker %s polls the task queue %s", slot.identity, settings.task_queue)
            background = [asyncio.create_task(_migrate(settings))]
            if exit_with_parent:
                background.append(asyncio.create_task(_stop_with_parent(stop)))
            await stop.wait()
            log.info("worker %s stops", slot.identity)
            for task in background:
                task.cancel()
    finally:
        await pool.aclose()
        await stores.close()
        slot.release()


async def _migrate(settings: Settings) -> None:
    """Bring the database to the present schema; while it is away, try again and again."""
    told = False
    while True:
        try:
            applied = await apply_migrations(settings.database_url)
        except DependencyUnavailable as error:
            if not told:
                log.warning("%s; the worker waits for it", error)
            told = True
            await asyncio.sleep(MIGRATE_AGAIN_SECONDS)
        else:
            if applied:
                log.info("applied the migrations %s", ", ".join(applied))
            return


async def _reclaim(client: Client, identity: str, task_queue: str) -> None:
    try:
        taken = await reclaim(client, identity, task_queue)
    except RPCError as error:
        log.warning("could not look for work of this worker's earlier life: %s", error)
        return
    if taken.activities:
        log.info("took back %d activities that this worker's earlier life had started", taken.activities)


async def _stop_with_parent(stop: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the death of a parent sets no event
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    stop.set()


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Run one Perdure worker until SIGTERM or Ctrl-C.")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the process that started it is gone")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run_main(lambda: run_worker(Settings.from_environment(), exit_with_parent=arguments.exit_with_parent))


if __name__ == "__main__":
    main()
