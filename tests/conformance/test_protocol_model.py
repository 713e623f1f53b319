"""Compares the stores with a model of the commit protocol, on Postgres with cut connections.

An operation may lose its connection after any of its statements: the client closes the socket, or the server ends the
backend. A repeated operation must leave the same state as an undisturbed operation. An operation that is not repeated,
for example because its worker died, must have happened whole or not at all. The variable PERDURE_TEST_SEED repeats a
search, and PERDURE_MODEL_EXAMPLES makes a search longer.

The file is longer than 300 lines because Hypothesis needs all rules of a machine in one class.
"""

import asyncio
import copy
import json
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from perdure.checkpoint import WorkflowCheckpoint
from perdure.documents.document import DiscoveredDocument
from perdure.errors import (
    AlreadyCommitted,
    CheckpointGap,
    DamagedDocument,
    DependencyUnavailable,
    RefusedWrite,
)
from perdure.manifest import Lease, ManifestTotals
from perdure.stores.files.json_file import PersistentCheckpointStore
from perdure.stores.postgres import PostgresCheckpointStore
from perdure.stores.postgres.manifest import PostgresManifestStore
from tests.conformance.chains import following, make_checkpoint, new_workflow_id
from tests.conformance.cut_pool import CutPool
from tests.conformance.protocol_model import FINISHED, Protocol
from tests.integration.made_documents import processed

EXAMPLES = 45
STEPS = 35
NAMES = [f"{letter}.txt" for letter in "abcdefgh"]


@dataclass(frozen=True)
class Cut:
    """The number of statements before a cut, and whether the operation is repeated."""

    after: int
    by_server: bool
    repeated: bool


cuts = st.none() | st.builds(Cut, st.integers(0, 9), st.sampled_from([False, False, True]), st.booleans())
picks = st.integers(0, 10**6)


@dataclass(frozen=True)
class Held:
    """A lease and its positions; the worker that got it may use it at any later time."""

    lease: Lease
    positions: tuple[int, ...]


class ProtocolMachine(RuleBasedStateMachine):
    """Runs every operation on the model and on the stores, and compares them."""

    runner: asyncio.Runner
    pool: CutPool
    directory: Path
    struck: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.workflow_id = new_workflow_id()
        self.manifest = PostgresManifestStore(self.pool)
        self.mirror = PostgresCheckpointStore(self.pool)
        self.files = PersistentCheckpointStore(self.directory)
        self.model = Protocol()
        self.held: list[Held] = []
        self.dispatched = 0
        self.paused = False

    # One operation on the model and on the stores.

    def run_both(
        self,
        modelled: Callable[[Protocol], Any],
        real: Callable[[], Awaitable[Any]],
        cut: Cut | None,
        *,
        already: tuple[object, ...] = (),
    ) -> Any:
        """Run an operation on the model and on the stores, and compare the answers.

        Args:
            modelled: the operation on the model.
            real: the operation on the stores.
            cut: the statement after which the stores lose their connection; None for no cut.
            already: the answers that a repeated operation may give if the operation had happened before the cut.

        Returns:
            The answer; None if the operation was refused or given up.
        """
        before = copy.deepcopy(self.model)
        expected = _try(lambda: modelled(self.model))
        fuse = self.pool.fuse
        if cut:
            fuse.light(cut.after, by_server=cut.by_server)
        try:
            actual = self.runner.run(_try_real(real))
        finally:
            fuse.put_out()
        struck = bool(cut and fuse.struck)
        if struck:
            self.struck["cut"] += 1
        if struck and actual is DependencyUnavailable:
            assert cut
            if not cut.repeated:
                self.struck["given up"] += 1
                self.adopt(before)
                return None
            self.struck["repeated"] += 1
            for _ in range(3):  # the cut may have ended other connections of the pool
                actual = self.runner.run(_try_real(real))
                if actual is not DependencyUnavailable:
                    break
            if actual in already and not isinstance(expected, type):
                return expected  # the invariants check that the operation has happened
        assert actual == expected, f"{actual} instead of {expected}"
        if isinstance(expected, type):
            self.struck[expected.__name__] += 1
            return None
        self.struck["done"] += 1
        return expected

    def adopt(self, before: Protocol) -> None:
        """Give the model the state that the stores show.

        It must be the state before or the state after the operation.
        """
        shown = self.read_stores()
        if shown == self.model.snapshot():
            return
        assert shown == before.snapshot(), "an operation has happened in part"
        self.model = before

    def read_stores(self) -> dict[str, Any]:
        """Return everything that the stores show of this run."""
        return self.runner.run(_read_stores(self.pool, self.files, self.workflow_id))

    # The operations of runs, workers and users.

    @property
    def epochs(self) -> list[int]:
        """Return the epochs that a writer may use: all epochs given out, and an unknown one."""
        return [*[self.model.epoch] * 6, *self.model.claims.values(), self.model.epoch + 1]

    @initialize(queued=st.sampled_from([True, True, True, False]), cut=st.sampled_from([None, Cut(4, False, True)]))
    def begin(self, queued: bool, cut: Cut | None) -> None:
        """Begin with a queue in most searches, because most operations need a queue."""
        if queued:
            self.claim(0, 1, False, None)
            self.record(set(NAMES[:6]), 1, 0, None)
            self.enqueue_unfinished(False, True, 0, cut)

    @rule(run=st.integers(0, 3), at_least=st.integers(1, 3), replaces=st.booleans(), cut=cuts)
    def claim(self, run: int, at_least: int, replaces: bool, cut: Cut | None) -> None:
        """Claim as a new run, as a repeated attempt of `discover`, or as a run that was reset."""
        run_id = f"run-{run}"
        # There is no epoch to replace before the first claim.
        replaced = self.model.epoch if replaces and self.model.epoch else None
        self.run_both(
            lambda model: model.claim(run_id, at_least, replaced),
            lambda: self.manifest.claim(self.workflow_id, run_id, at_least=at_least, replaces=replaced),
            cut,
        )

    @precondition(lambda self: len(self.model.claims) > 1)
    @rule(pick=picks, cut=cuts)
    def claim_in_place_of_a_replaced_epoch(self, pick: int, cut: Cut | None) -> None:
        """Recover a run that another run has replaced: the claim is refused."""
        replaces = sorted(self.model.claims.values())[:-1][pick % (len(self.model.claims) - 1)]
        self.run_both(
            lambda model: model.claim(f"recovery-{replaces}", 1, replaces),
            lambda: self.manifest.claim(self.workflow_id, f"recovery-{replaces}", at_least=1, replaces=replaces),
            cut,
        )

    @precondition(lambda self: self.model.epoch)
    @rule(names=st.sets(st.sampled_from(NAMES), min_size=1), version=st.integers(1, 2), pick=picks, cut=cuts)
    def record(self, names: set[str], version: int, pick: int, cut: Cut | None) -> None:
        """Record a page of discovered documents."""
        epoch = self.epochs[pick % len(self.epochs)]
        versions = {f"file:///papers/{name}": f"v{version}" for name in sorted(names)}
        page = [DiscoveredDocument(uri, uri[-5:], "file:///papers", 10, version) for uri, version in versions.items()]
        self.run_both(
            lambda model: model.record(epoch, versions),
            lambda: self.manifest.record(self.workflow_id, epoch, page),
            cut,
        )

    @precondition(lambda self: self.model.epoch)
    @rule(quarantined=st.booleans(), unfinished=st.sampled_from([True, True, False]), pick=picks, cut=cuts)
    def enqueue_unfinished(self, quarantined: bool, unfinished: bool, pick: int, cut: Cut | None) -> None:
        """Queue the documents that have no result."""
        epoch = self.epochs[pick % len(self.epochs)]

        async def real() -> dict[str, int]:
            return _select_counts(
                await self.manifest.enqueue_unfinished(
                    self.workflow_id, epoch, quarantined=quarantined, unfinished=unfinished
                )
            )

        self.run_both(lambda model: model.enqueue_unfinished(epoch, quarantined, unfinished), real, cut)

    @precondition(lambda self: any(row.version != row.read_version for row in self.model.rows))
    @rule(changed=st.booleans(), pick=picks, cut=cuts)
    def settle(self, changed: bool, pick: int, cut: Cut | None) -> None:
        """Settle one candidate that looks changed."""
        epoch = self.epochs[pick % len(self.epochs)]

        async def list_candidates() -> list[int]:
            rows = await self.manifest.changed_candidates(self.workflow_id, epoch, -1, 100)
            return [position for position, _, _ in rows]

        positions = self.run_both(lambda model: model.candidates(epoch), list_candidates, None)
        if positions:
            position = positions[pick % len(positions)]
            self.run_both(
                lambda model: model.settle(epoch, position, changed),
                lambda: self.manifest.settle_candidate(self.workflow_id, epoch, position, changed=changed),
                cut,
            )

    @precondition(lambda self: self.model.rows)
    @rule(
        older=st.sampled_from([0, 0, 0, 1, 2]),
        attempt=st.integers(1, 3),
        first=st.integers(0, 3),
        size=st.integers(1, 3),
        pick=picks,
        cut=cuts,
    )
    def lease(self, older: int, attempt: int, first: int, size: int, pick: int, cut: Cut | None) -> None:
        """Lease a batch with a new dispatch, or with an older dispatch like a run that was reset."""
        epoch = self.epochs[pick % len(self.epochs)]
        queued = self.model.queued(epoch)
        first = first % queued if queued and pick % 5 else first
        end = min(first + size, queued) if pick % 5 else first + size
        if not older:
            self.dispatched += 1
        lease = Lease(epoch, max(1, self.dispatched - older), attempt)

        async def real() -> list[tuple[int, str]]:
            entries = await self.manifest.lease_batch(self.workflow_id, lease, first, end)
            return [(entry.position, entry.status) for entry in entries]

        entries = self.run_both(lambda model: model.lease(lease, first, end), real, cut)
        if entries:
            self.held.append(Held(lease, tuple(position for position, status in entries if status == "pending")))

    def _finish(self, held: Held, pick: int, bad: bool, cut: Cut | None) -> None:
        if not held.positions:
            return
        lease = held.lease
        position = held.positions[pick % len(held.positions)]
        text = f"{position} by {lease.epoch}/{lease.dispatch}/{lease.attempt}"
        if bad:
            fault = DamagedDocument(text)
            self.run_both(
                lambda model: model.quarantine(lease, position, text),
                lambda: self.manifest.quarantine(self.workflow_id, lease, position, fault, attempts=1),
                cut,
                already=(AlreadyCommitted,),
            )
            return
        self.struck["commit"] += 1
        self.run_both(
            lambda model: model.commit(lease, position, text),
            lambda: self.manifest.commit(self.workflow_id, lease, position, processed(text), attempts=1),
            cut,
            already=(AlreadyCommitted,),
        )

    @precondition(lambda self: self.held)
    @rule(pick=picks, bad=st.sampled_from([False, False, True]), cut=cuts)
    def finish(self, pick: int, bad: bool, cut: Cut | None) -> None:
        """Give a document of the latest lease its result."""
        self._finish(self.held[-1], pick, bad, cut)

    @precondition(lambda self: self.model.queued(self.model.epoch))
    @rule(attempt=st.integers(1, 2), first=st.integers(0, 5), bad=st.sampled_from([False, False, True]), cut=cuts)
    def work(self, attempt: int, first: int, bad: bool, cut: Cut | None) -> None:
        """Lease a batch of two documents and give each its result."""
        self.lease(0, attempt, first, 2, 1, None)
        if self.held:
            for number, _ in enumerate(self.held[-1].positions):
                self._finish(self.held[-1], number, bad and not number, cut)

    @precondition(lambda self: len(self.held) > 1)
    @rule(pick=picks, bad=st.booleans(), cut=cuts)
    def finish_late(self, pick: int, bad: bool, cut: Cut | None) -> None:
        """Commit as a stopped worker that continues late, under an older epoch, dispatch or attempt."""
        self._finish(self.held[pick % len(self.held)], pick // 7, bad, cut)

    @precondition(lambda self: self.model.epoch)
    @rule(status=st.sampled_from(["completed", "cancelled", "failed"]), is_checked=st.booleans(), pick=picks, cut=cuts)
    def close_run(self, status: str, is_checked: bool, pick: int, cut: Cut | None) -> None:
        """Record the final status of the run."""
        epoch = self.epochs[pick % len(self.epochs)]
        expected = len(self.model.rows) + pick % 2 if is_checked else None

        async def real() -> dict[str, int]:
            return _select_counts(
                await self.manifest.close_run(self.workflow_id, epoch, status, expected_finished=expected)
            )

        self.run_both(lambda model: model.close_run(epoch, status, expected), real, cut)

    # Checkpoints, in both stores.

    @rule(pick=picks, cut=cuts, torn=st.booleans())
    def checkpoint(self, pick: int, cut: Cut | None, torn: bool) -> None:
        """Append the next checkpoint of the chain, which also records whether the run is paused."""
        self.paused ^= pick % 5 == 0
        self._mirror(self._make_next(max(1, self.model.epoch)), cut, torn=torn)

    def _make_next(self, epoch: int, **changes: Any) -> WorkflowCheckpoint:
        status = "paused" if self.paused else "in_progress"
        if not self.model.chain:
            return make_checkpoint(self.workflow_id, epoch=epoch, status=status)
        return following(self.model.chain[-1], epoch=epoch, status=status, **changes)

    def _mirror(self, checkpoint: WorkflowCheckpoint, cut: Cut | None, *, torn: bool = False) -> None:
        """Append like the activity: to Postgres, then all missing checkpoints to the file."""
        if (
            self.run_both(
                lambda model: model.append(checkpoint), lambda: self.mirror.append(checkpoint), cut, already=(False,)
            )
            is None
        ):
            return
        if torn:
            self._tear(checkpoint)
        if cut and not cut.repeated:
            return  # the worker died between the two stores
        for stored in [*self.model.chain]:
            if stored.sequence > (self.model.file[-1].sequence if self.model.file else 0):
                self._append_to_file(stored)

    def _append_to_file(self, checkpoint: WorkflowCheckpoint) -> None:
        self.run_both(lambda model: model.append_to_file(checkpoint), lambda: self.files.append(checkpoint), None)

    def _tear(self, checkpoint: WorkflowCheckpoint) -> None:
        """Append to the file on a disk that takes half of the bytes."""
        pwrite = os.pwrite

        def write_half(descriptor: int, content: bytes, offset: int) -> int:
            pwrite(descriptor, content[: len(content) // 2], offset)
            raise OSError(5, "input/output error")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.pwrite", write_half)
            outcome = self.runner.run(_try_real(lambda: self.files.append(checkpoint)))
        if outcome is True:  # the first checkpoint is not appended: a new file is renamed into place
            self.model.append_to_file(checkpoint)
            return
        assert outcome in (DependencyUnavailable, CheckpointGap, False), outcome
        self.struck["torn"] += 1

    @precondition(lambda self: self.model.chain)
    @rule(pick=picks, cut=cuts)
    def repeat_a_checkpoint(self, pick: int, cut: Cut | None) -> None:
        """Append a checkpoint that is stored already."""
        self._mirror(self.model.chain[pick % len(self.model.chain)], cut)

    @precondition(lambda self: self.model.chain)
    @rule(pick=picks, kind=st.sampled_from(["conflict", "gap", "other past", "stale"]), cut=cuts)
    def append_out_of_order(self, pick: int, kind: str, cut: Cut | None) -> None:
        """Append checkpoints of a stale writer; both stores refuse them with the same error."""
        last = self.model.chain[-1]
        epoch = max(1, self.model.epoch)
        refused = {
            "conflict": self.model.chain[pick % len(self.model.chain)].model_copy(update={"processed_documents": 999}),
            "gap": self._make_next(epoch, sequence=last.sequence + 2 + pick % 3),
            "other past": self._make_next(epoch, previous_digest="0" * 64),
            "stale": self._make_next(last.epoch - 1 - pick % 2),
        }[kind]
        self.run_both(lambda model: model.append(refused), lambda: self.mirror.append(refused), cut)
        if self.model.file == self.model.chain:
            self._append_to_file(refused)

    @rule()
    def pause(self) -> None:
        """Pause or continue the workflow; the next checkpoint records the change."""
        self.paused = not self.paused

    @rule()
    def restart_the_process(self) -> None:
        """Continue with new store objects, as a new process does."""
        self.manifest = PostgresManifestStore(self.pool)
        self.mirror = PostgresCheckpointStore(self.pool)
        self.files = PersistentCheckpointStore(self.directory)

    # The invariants after every step.

    @invariant()
    def stores_show_what_the_model_shows(self) -> None:
        """Compare the stores with the model, and each result with the lease in its row."""
        shown = self.read_stores()
        assert shown == self.model.snapshot()
        for row in shown["rows"]:
            assert (row["text"] is not None) == (row["status"] == "processed")
            assert (row["reason"] is not None) == (row["status"] == "quarantined")
            result = row["text"] or row["reason"]
            if row["status"] in FINISHED and row["epoch"]:
                assert result.endswith(f" by {row['epoch']}/{row['lease'][0]}/{row['lease'][1]}"), (
                    "the result is from another lease"
                )

    @invariant()
    def totals_equal_those_of_the_model(self) -> None:
        """Compare the counts that the store reports."""
        totals = self.runner.run(_wait_for(self.manifest.totals(self.workflow_id)))
        assert (totals is None) == (self.model.epoch == 0)
        if totals:
            assert _select_counts(totals) == self.model.totals()


def _try(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except RefusedWrite as error:
        return type(error)


async def _try_real(act: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await act()
    except (RefusedWrite, DependencyUnavailable) as error:
        return type(error)


async def _wait_for(answer: Awaitable[Any]) -> Any:
    return await answer


def _select_counts(totals: ManifestTotals) -> dict[str, int]:
    return {name: getattr(totals, name) for name in ("total", *FINISHED, "cancelled", "pending", "queued")}


async def _read_stores(pool: CutPool, files: PersistentCheckpointStore, workflow_id: str) -> dict[str, Any]:
    """Return the same as `Protocol.snapshot`, read with separate SQL.

    The function also checks conditions over several rows.
    """
    async with pool.connection() as conn:
        run = await conn.fetchrow("SELECT epoch, status FROM runs WHERE workflow_id = $1", workflow_id)
        claims = await conn.fetch("SELECT first_run_id, epoch FROM run_epochs WHERE workflow_id = $1", workflow_id)
        rows = await conn.fetch(
            """SELECT d.*, t.text,
                      (SELECT count(*) FROM chunks c WHERE (c.workflow_id, c.position) = (d.workflow_id, d.position))
                      + (SELECT count(*) FROM mentions m
                         WHERE (m.workflow_id, m.position) = (d.workflow_id, d.position)) AS parts
               FROM documents d LEFT JOIN document_texts t USING (workflow_id, position)
               WHERE d.workflow_id = $1 ORDER BY position""",
            workflow_id,
        )
        chain = await conn.fetch(
            "SELECT digest FROM workflow_checkpoints WHERE workflow_id = $1 ORDER BY sequence", workflow_id
        )
        broken = await conn.fetchval(
            "SELECT count(*) FROM broken_checkpoint_chains WHERE workflow_id = $1", workflow_id
        )
    assert broken == 0
    assert [row["position"] for row in rows] == list(range(len(rows)))
    assert all(row["parts"] == (2 if row["text"] is not None else 0) for row in rows), (
        "a document has a part of its outputs"
    )
    assert all((row["committed_at"] is not None) == (row["status"] in FINISHED) for row in rows)
    names = ("uri", "version", "status", "epoch", "ordinal", "read_version", "text", "reason")
    return {
        "epoch": run["epoch"] if run else 0,
        "status": run["status"] if run else None,
        "claims": {row["first_run_id"]: row["epoch"] for row in claims},
        "rows": [{**{name: row[name] for name in names}, "lease": (row["dispatch"], row["attempt"])} for row in rows],
        "chain": [row["digest"] for row in chain],
        "file": [checkpoint.digest for checkpoint in await files.list(workflow_id)],
    }


@pytest.mark.timeout(0)
def test_stores_follow_the_model_of_the_commit_protocol(database_url: str, tmp_path: Path) -> None:
    number = int(os.environ.get("PERDURE_TEST_SEED") or random.randrange(2**32))
    examples = int(os.environ.get("PERDURE_MODEL_EXAMPLES") or EXAMPLES)
    print(f"PERDURE_TEST_SEED={number}")
    struck: Counter[str] = Counter()
    with asyncio.Runner() as runner:
        pool = CutPool(database_url, max_size=2)
        parts = {"runner": runner, "pool": pool, "directory": tmp_path / "checkpoints", "struck": struck}
        machine = seed(number)(type("Machine", (ProtocolMachine,), parts))
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    print_blob=True,
                    phases=[Phase.generate, Phase.shrink],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(pool.close())
    print(json.dumps(struck))
    # A search without cuts, refusals and abandoned operations would prove nothing.
    assert min(struck[name] for name in ("cut", "given up", "repeated", "StaleWriter", "StoreSetBack")) > 0, struck
    assert struck["AlreadyCommitted"] + struck["CheckpointConflict"] + struck["CheckpointGap"] > 0, struck
