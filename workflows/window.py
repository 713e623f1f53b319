"""The window: keeps up to `concurrency` batches in flight until the queue is handed out."""

import asyncio

from temporalio import workflow

from activities.batches import BatchActivities, BatchRequest
from activities.manifest import NAMES_PAGE_SIZE, ManifestActivities, NamesRequest
from workflows.run import Run
from workflows.state import SMALL_RUN_DOCUMENTS, Range


class BatchWindow:
    """Hands out batches and counts their results; batches may complete in any order."""

    def __init__(self, run: Run) -> None:
        """Start with no batch in flight."""
        self._run = run
        # Keyed by first ordinal: a set of tasks is iterated in an order that replay cannot repeat.
        self._in_flight: dict[int, asyncio.Task[None]] = {}

    async def work(self) -> None:
        """Hand out batches; return when the queue is exhausted or the run must continue as new.

        No batch is in flight when this method returns.

        Raises:
            BaseException: the error in `run.broken`: a batch or a checkpoint failed, and no retry can succeed.
        """
        while True:
            await workflow.wait_condition(lambda: self._may_launch() or self._is_settled())
            if self._is_settled():
                break
            await self._fetch_names()
            self._run.raise_if_cancelled()
            while self._may_launch() and not self._lacks_names():
                self._launch(self._run.state.next_batch(self._run.options.batch_size))
        if self._run.broken:
            raise self._run.broken

    async def settle(self) -> None:
        """Wait until no batch is in flight; errors are already recorded in `run.broken`."""
        await workflow.wait_condition(lambda: not self._in_flight)

    async def abort(self) -> None:
        """Cancel every batch in flight and wait until each has ended.

        No document is left half committed.
        """
        # The workflow evaluates conditions after all other tasks: results that have arrived are counted first.
        await workflow.wait_condition(lambda: True)
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _may_launch(self) -> bool:
        run = self._run
        state = self._run.state
        return (
            not (run.broken or run.halted or run.must_continue_as_new)
            and state.next_ordinal < state.queued
            and len(self._in_flight) < state.concurrency
        )

    def _is_settled(self) -> bool:
        run = self._run
        finished = run.exhausted and not run.halted  # a paused run does not finish
        return not self._in_flight and bool(run.broken or finished or (run.must_continue_as_new and not run.adding))

    def _launch(self, batch: Range) -> None:
        task = asyncio.create_task(self._process(batch))
        self._in_flight[batch[0]] = task
        task.add_done_callback(lambda done: self._record_end(batch, done))

    def _record_end(self, batch: Range, task: asyncio.Task[None]) -> None:
        del self._in_flight[batch[0]]
        if not task.cancelled() and (error := task.exception()):
            self._run.broken = self._run.broken or error

    async def _process(self, batch: Range) -> None:
        run = self._run
        result = await run.call(
            BatchActivities.process_batch,
            lambda: BatchRequest(
                workflow_id=run.workflow_id,
                epoch=run.state.epoch,
                dispatch=run.state.next_dispatch(),
                first=batch[0],
                end=batch[1],
            ),
            summary=self._describe_batch(batch),
            long=True,
        )
        run.state.finish(batch, result)
        run.announce()

    def _describe_batch(self, batch: Range) -> str:
        state = self._run.state
        finished_earlier = state.total - state.queued
        first = finished_earlier + batch[0] + 1
        last = finished_earlier + batch[1]
        names = [self._run.names.pop(ordinal, "document") for ordinal in range(*batch)]
        if len(names) == 1:
            return f"{names[0]}, {first} of {state.total}"
        return f"documents {first} to {last} of {state.total}"

    def _lacks_names(self) -> bool:
        run = self._run
        single = run.options.batch_size == 1 or (
            run.options.batch_size == 0 and run.state.queued <= SMALL_RUN_DOCUMENTS
        )
        return single and run.state.next_ordinal not in run.names

    async def _fetch_names(self) -> None:
        """Fetch the next page of names if each batch is a single document.

        The Web UI shows each such document by name.
        """
        if not self._lacks_names():
            return
        run = self._run
        first = self._run.state.next_ordinal
        end = min(run.state.queued, first + NAMES_PAGE_SIZE)
        names = await run.call(
            ManifestActivities.name_documents,
            lambda: NamesRequest(workflow_id=run.workflow_id, epoch=run.state.epoch, first=first, end=end),
            summary=f"names of documents {first + 1} to {end}",
        )
        run.learn_names(first, names)
