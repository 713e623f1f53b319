"""Run one worker until SIGTERM or Ctrl-C: `python worker.py`; with `--supervise`, bring it back whenever it dies.

The composition root of everything a worker needs. Configuration is by environment; see docs/configuration.md.
"""

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

from perdure.sandbox.fork_server import ForkServer, Zygote

# A worker that comes back is waited for. Loading the parsers takes longest: it begins before everything else.
_ZYGOTE = Zygote() if __name__ == "__main__" else None
# Of no use here, and a supervisor must have one thread only; numpy starts them as soon as it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

from activities.batches import BatchActivities
from activities.checkpoints import CheckpointActivities
from activities.manifest import ManifestActivities
from activities.recovery import RecoveryActivities
from activities.services import ServiceActivities
from orchestration.client.history import read_history
from orchestration.client.reconcile import reconcile
from orchestration.connection import connect
from orchestration.process_exit import explain, leave, run_main
from orchestration.services import Services, build_services
from orchestration.settings import Settings
from orchestration.stores import Stores, open_stores
from orchestration.worker.announced_settings import announce_settings
from orchestration.worker.lost_activities import InHand, rescue_lost_activities
from orchestration.worker.reclaim import keep_reclaiming
from orchestration.worker.slot import take_slot
from orchestration.worker.supervisor import Supervisor
from perdure import __version__
from perdure.documents.discovery import discover
from perdure.documents.processing import process_document
from perdure.documents.sources import content_hash
from perdure.errors import DependencyUnavailable, PerdureError
from perdure.sandbox.pool import IsolatedPool
from perdure.stores.postgres.migrations import apply_migrations
from workflows.document_pipeline import DocumentPipeline

GRACE = timedelta(seconds=20)
"""How long activities may go on after SIGTERM before they are cancelled."""
STICKY = timedelta(seconds=1)
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
    recovery = RecoveryActivities(manifest, stores.checkpoints, partial(read_history, client))
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
            recovery.recover,
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
    settings: Settings,
    *,
    interceptors: Sequence[Interceptor] = (),
    fork_server: ForkServer | None = None,
    parent: int | None = None,
) -> None:
    """Work until SIGTERM or SIGINT, then finish or hand back what is in flight.

    Args:
        settings: where everything is.
        interceptors: around every activity and workflow.
        fork_server: of the parsers, started or lent before.
        parent: stop when this process, which started us, is gone.

    Raises:
        ServerUnreachable: there is no Temporal server.
    """
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    slot = take_slot(settings.data_dir)
    announce_settings(settings, slot.lock_file)
    stores = open_stores(settings)
    pool = IsolatedPool(settings.pool_workers, settings.limits, server=fork_server, **_reading(settings))
    pool.start()
    try:
        client = await connect(settings, identity=slot.identity)
        services, in_hand = build_services(settings, stores.pool), InHand()
        worker = build_worker(client, settings, stores, services, pool, [in_hand, *interceptors])
        async with worker:
            log.info("worker %s polls the task queue %s", slot.identity, settings.task_queue)
            background = [
                asyncio.create_task(keep_reclaiming(client, slot, settings.data_dir, settings.task_queue)),
                asyncio.create_task(rescue_lost_activities(client, slot.identity, in_hand)),
                asyncio.create_task(_prepare(settings, client, stores)),
            ]
            if parent is not None:
                background.append(asyncio.create_task(_stop_with_parent(parent, stop)))
            await stop.wait()
            log.info("worker %s stops", slot.identity)
            for task in background:
                task.cancel()
    finally:
        await pool.aclose()
        await stores.close()
        slot.release()


async def _prepare(settings: Settings, client: Client, stores: Stores) -> None:
    """What is due once, in the background: the database's present schema, and the ends that nobody recorded."""
    await _migrate(settings)
    try:
        for ended in await reconcile(client, stores, settings.task_queue):
            log.info("recorded that the run %s had ended: %s", ended.workflow_id, ended.workflow_status)
    except RPCError as error:
        log.warning("could not look for runs that ended unrecorded: %s", error)


async def _migrate(settings: Settings) -> None:
    """Bring the database to the present schema; while it is away, try again and again.

    Only once: an empty database that appears later may be one into which a backup is just being restored.
    """
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


def _reading(settings: Settings) -> dict[str, Any]:
    """How documents are read, where it is not as usual."""
    return {"process": partial(process_document, ocr=settings.ocr)} if settings.ocr else {}


async def _stop_with_parent(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - the death of a parent sets no event
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    stop.set()


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Run one Perdure worker until SIGTERM or Ctrl-C.")
    parser.add_argument("--supervise", action="store_true", help="bring the worker back whenever it dies")
    parser.add_argument(
        "--exit-with-parent",
        nargs="?",
        type=int,
        const=os.getppid(),
        metavar="PID",
        help="stop when the process that started it is gone",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    zygote = _ZYGOTE or Zygote()
    if arguments.supervise:
        _supervise(zygote, arguments.exit_with_parent)
    run_main(
        lambda: run_worker(
            Settings.from_environment(), fork_server=ForkServer(zygote), parent=arguments.exit_with_parent
        )
    )


def _supervise(zygote: Zygote, parent: int | None) -> NoReturn:
    supervisor = os.getpid()

    def run_child(fork_server: ForkServer | None, tell: Callable[[str], None]) -> NoReturn:
        run_main(lambda: run_worker(Settings.from_environment(), fork_server=fork_server, parent=supervisor), tell=tell)

    try:
        Settings.from_environment()  # what is nonsense now would be nonsense for every worker
    except PerdureError as error:
        leave(explain(error))
    leave(Supervisor(run_child, zygote, parent).run())


if __name__ == "__main__":
    main()
