"""Runs one worker from its start to its end.

The worker takes a slot, polls the task queue, and hands back its work when it is asked to stop.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Interceptor

from orchestration.client.reconcile import reconcile
from orchestration.connection import connect
from orchestration.embedded.configured import read_settings
from orchestration.process_exit import explain, leave, run_main
from orchestration.program.wiring import build_worker
from orchestration.services import build_services
from orchestration.settings import Settings
from orchestration.stores import Stores, open_stores
from orchestration.worker.announced_settings import announce_settings
from orchestration.worker.lost_activities import InHand, rescue_lost_activities
from orchestration.worker.reclaim import keep_reclaiming
from orchestration.worker.slot import take_slot
from orchestration.worker.supervisor import Supervisor
from perdure.documents.pool import open_document_pool
from perdure.documents.processing import process_document
from perdure.errors import DependencyUnavailable, PerdureError
from perdure.sandbox.fork_server import ForkServer, Zygote
from perdure.stores.postgres.migrations import apply_migrations

PARENT_CHECK_SECONDS = 0.5
MIGRATE_AGAIN_SECONDS = 2.0

log = logging.getLogger("perdure.worker")


def run_program(zygote: Zygote, *, supervise: bool, parent: int | None) -> NoReturn:
    """Run a worker, or a supervisor of workers, and leave the process.

    Args:
        zygote: the zygote that has loaded the parsers, or is loading them.
        supervise: whether to start a new worker whenever the worker dies.
        parent: id of the parent process; the worker stops when that process has ended.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if supervise:
        _supervise(zygote, parent)
    run_main(lambda: run_worker(read_settings(), fork_server=ForkServer(zygote), parent=parent))


def _supervise(zygote: Zygote, parent: int | None) -> NoReturn:
    supervisor = os.getpid()

    def run_child(fork_server: ForkServer | None, tell: Callable[[str], None]) -> NoReturn:
        run_main(lambda: run_worker(read_settings(), fork_server=fork_server, parent=supervisor), tell=tell)

    try:
        read_settings()  # wrong settings are refused once, here, and not in each new worker
    except PerdureError as error:
        leave(explain(error))
    leave(Supervisor(run_child, zygote, parent).run())


async def run_worker(
    settings: Settings,
    *,
    interceptors: Sequence[Interceptor] = (),
    fork_server: ForkServer | None = None,
    parent: int | None = None,
) -> None:
    """Work until SIGTERM or SIGINT, then finish or hand back the activities in flight.

    Args:
        settings: addresses, folders and limits.
        interceptors: interceptors of every activity and workflow.
        fork_server: a running fork server of the parsers; None if the pool must start its own.
        parent: id of the process that started this process; the worker stops when that process has ended.

    Raises:
        ServerUnreachable: the Temporal server does not answer.
    """
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    slot = take_slot(settings.data_dir)
    announce_settings(settings, slot.lock_file)
    stores = open_stores(settings)
    pool = open_document_pool(settings.pool_workers, settings.limits, server=fork_server, **_reading(settings))
    pool.start()
    try:
        client = await connect(settings, identity=slot.identity)
        services = build_services(settings, stores.pool)
        in_hand = InHand()
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
    """Apply the migrations, then record the ends of runs that ended unrecorded."""
    await _migrate(settings)
    try:
        for ended in await reconcile(client, stores, settings.task_queue):
            log.info("recorded that the run %s had ended: %s", ended.workflow_id, ended.workflow_status)
    except RPCError as error:
        log.warning("could not look for runs that ended unrecorded: %s", error)


async def _migrate(settings: Settings) -> None:
    """Apply the migrations once; if the database is unavailable, try repeatedly.

    The worker applies no migrations after this function. If the database is empty later, an administrator may be
    restoring a backup into it, and migrations would disturb the restore.
    """
    warned = False
    while True:
        try:
            applied = await apply_migrations(settings.database_url)
        except DependencyUnavailable as error:
            if not warned:
                log.warning("%s; the worker waits for the database", error)
            warned = True
            await asyncio.sleep(MIGRATE_AGAIN_SECONDS)
        else:
            if applied:
                log.info("applied the migrations %s", ", ".join(applied))
            return


def _reading(settings: Settings) -> dict[str, Any]:
    """Return the pool's arguments for OCR; empty without OCR."""
    return {"process": partial(process_document, ocr=settings.ocr)} if settings.ocr else {}


async def _stop_with_parent(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - the death of a parent sets no event
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    stop.set()
