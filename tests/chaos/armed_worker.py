"""A worker that kills itself at a fail-point: `armed_worker.py POINT MARKER [--nth N]`.

The worker sends SIGKILL to itself at the Nth call of the fail-point.

With `--stop` the worker stops itself by SIGSTOP instead, and continues from that point after SIGCONT. The continued
worker writes a second file when the activities that were in flight have ended.

This script runs the code of `worker.py`, and wraps functions of the product to add the fail-point. The product has no
code for fail-points. Before the signal the worker writes its process id to the file MARKER, so that a test can assert
that the fail-point was reached.
"""

import argparse
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.worker import Interceptor

from orchestration.embedded.configured import read_settings
from orchestration.process_exit import run_main
from orchestration.program import run as program
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.pool import document_job
from perdure.sandbox.pool import IsolatedPool
from perdure.stores.files import array_file
from perdure.stores.postgres import checkpoints, connection, identities, manifest
from tests.chaos import armed_parsing
from tests.chaos.fail_point import ArmedActivities, ArmedWorkflow, Continuation, FailPoint, Strike

STOPPED_SECONDS = 6.0
"""Postgres ends a transaction of a stopped worker after this time, which is shorter than in the product."""


def arm_before_transaction(strike: Strike) -> None:
    """K3: strike when the outputs are computed and before the transaction begins."""
    commit = manifest.PostgresManifestStore.commit

    async def armed(*args: Any, **named: Any) -> None:
        strike()
        await commit(*args, **named)

    manifest.PostgresManifestStore.commit = armed  # the fail-point


def arm_in_transaction(strike: Strike) -> None:
    """K4: strike when every row is written and before COMMIT is sent."""
    write_outputs = manifest.write_outputs

    async def armed(*args: Any) -> None:
        await write_outputs(*args)
        strike()

    manifest.write_outputs = armed  # the fail-point


def arm_in_quarantine(strike: Strike) -> None:
    """K11: strike when the row is quarantined and before COMMIT is sent."""
    quarantine = manifest.PostgresManifestStore.quarantine
    raise_if_lost = manifest._raise_if_lost
    inside = ContextVar("inside", default=False)

    async def armed(*args: Any, **named: Any) -> None:
        inside.set(True)
        try:
            await quarantine(*args, **named)
        finally:
            inside.set(False)

    async def armed_inside(*args: Any) -> None:
        await raise_if_lost(*args)
        if inside.get():
            strike()

    manifest.PostgresManifestStore.quarantine = armed  # the fail-point
    manifest._raise_if_lost = armed_inside


def arm_after_quarantine(strike: Strike) -> None:
    """K11: strike when the quarantine is committed and before the workflow gets the result."""
    quarantine = manifest.PostgresManifestStore.quarantine

    async def armed(*args: Any, **named: Any) -> None:
        await quarantine(*args, **named)
        strike()

    manifest.PostgresManifestStore.quarantine = armed  # the fail-point


def arm_in_resolution(strike: Strike) -> None:
    """Strike while the transaction that resolves identities holds the lock on the run."""
    lock_whole_run = identities.lock_whole_run

    async def armed(*args: Any) -> None:
        await lock_whole_run(*args)
        strike()

    identities.lock_whole_run = armed


def arm_in_mirror_transaction(strike: Strike) -> None:
    """K6: strike inside the transaction that appends a checkpoint.

    The product appends in a single statement, which this function wraps in a transaction to strike before COMMIT.
    """
    append = checkpoints.append_checkpoint

    async def armed(conn: Any, checkpoint: Any) -> bool:
        async with conn.transaction():
            added = await append(conn, checkpoint)
            strike()
        return added

    checkpoints.append_checkpoint = armed


def arm_in_file_append(strike: Strike) -> None:
    """K8: strike when half of the bytes to append are in the checkpoint file."""
    pwrite = os.pwrite

    def armed(descriptor: int, content: bytes, offset: int) -> int:
        pwrite(descriptor, content[: len(content) // 2], offset)
        strike()
        return pwrite(descriptor, content, offset)

    os.pwrite = armed


def keep_stops_outside_file_locks(strike: FailPoint) -> None:
    """Let the fail-point wait while a thread of this process holds a checkpoint file's lock."""
    hold_lock = array_file.ArrayFile._hold_lock

    @contextmanager
    def held(file: array_file.ArrayFile) -> Iterator[None]:
        with strike.outside_file_locks, hold_lock(file):
            yield

    array_file.ArrayFile._hold_lock = held


def make_arming_of_parser(process: Any) -> Callable[[FailPoint], None]:
    """K2: give the children a function that strikes while it parses."""

    def arm(strike: FailPoint) -> None:
        armed = armed_parsing.Armed(os.getpid(), strike.marker, strike.nth)

        def open_armed_pool(workers: int, limits: Limits, **_: object) -> IsolatedPool[ProcessedDocument]:
            job = replace(document_job(limits, partial(process, armed)), warm_up=armed_parsing.WARM_UP)
            return IsolatedPool(workers, limits, job)

        program.open_document_pool = open_armed_pool  # the fail-point

    return arm


ARMINGS: dict[str, Callable[[FailPoint], None]] = {
    "K2": make_arming_of_parser(armed_parsing.kill_the_worker),
    "K2-child": make_arming_of_parser(armed_parsing.kill_this_child),
    "gate": make_arming_of_parser(armed_parsing.parse_when_admitted),
    "K3": arm_before_transaction,
    "K4": arm_in_transaction,
    "K6": arm_in_mirror_transaction,
    "K8": arm_in_file_append,
    "K11": arm_in_quarantine,
    "K11-after": arm_after_quarantine,
    "resolving": arm_in_resolution,
}
INTERCEPTORS: dict[str, Callable[[Strike], Interceptor]] = {
    "K1": lambda strike: ArmedActivities("process_batch", strike, before=True),
    "K5": lambda strike: ArmedActivities("process_batch", strike, before=False),
    "K7": lambda strike: ArmedActivities("mirror_checkpoint", strike, before=False),
    "K9": lambda strike: ArmedWorkflow(strike, at_continue_as_new=False),
    "K10": lambda strike: ArmedWorkflow(strike, at_continue_as_new=True),
    "discover": lambda strike: ArmedActivities("discover", strike, before=False),
    "discovering": lambda strike: ArmedActivities("discover", strike, before=True),
    "closing": lambda strike: ArmedActivities("close_run", strike, before=True),
    "identities": lambda strike: ArmedActivities("resolve_identities", strike, before=False),
    "close": lambda strike: ArmedActivities("close_run", strike, before=False),
}
POINTS = sorted(ARMINGS | INTERCEPTORS)


def main() -> None:
    """Read the arguments, arm the fail-point, and run the worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("point", choices=POINTS)
    parser.add_argument("marker", type=Path)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--stop", action="store_true")
    arguments = parser.parse_args()
    strike = FailPoint(arguments.marker, arguments.nth, signal.SIGSTOP if arguments.stop else signal.SIGKILL)
    logging.basicConfig(level=logging.INFO)  # a test waits for a line of the log
    connection.STOPPED_SECONDS = STOPPED_SECONDS
    interceptors: list[Interceptor] = [Continuation(strike)]
    if arguments.point in INTERCEPTORS:
        interceptors.append(INTERCEPTORS[arguments.point](strike))
    if arguments.stop:
        keep_stops_outside_file_locks(strike)
    if arguments.point in ARMINGS:
        ARMINGS[arguments.point](strike)

    parent = os.getppid()

    async def run() -> None:
        await program.run_worker(read_settings(), interceptors=interceptors, parent=parent)

    run_main(run)


if __name__ == "__main__":
    main()
