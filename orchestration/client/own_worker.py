"""`OwnWorker`: the worker that a client starts when a run needs one and none of the data folder is alive."""

from orchestration.settings import Settings
from orchestration.worker.process import WorkerProcess
from orchestration.worker.slot import live_workers


class OwnWorker:
    """At most one worker process, which stops when the client closes or the client's process ends.

    Args:
        settings: of the worker.
        allowed: whether the client starts workers at all.
    """

    def __init__(self, settings: Settings, *, allowed: bool) -> None:
        self.process: WorkerProcess | None = None
        self._settings = settings
        self._allowed = allowed

    async def ensure(self) -> bool:
        """Start a worker if none of this data folder is alive; return whether one was started.

        Raises:
            RefusedCommand: the worker ended at once; its log says why.
        """
        if not self._allowed or live_workers(self._settings.data_dir) or (self.process and self.process.alive):
            return False
        self.process = await WorkerProcess.start(self._settings)
        return True

    async def stop(self) -> None:
        """Stop the worker that was started, if one was."""
        if self.process:
            await self.process.stop()
