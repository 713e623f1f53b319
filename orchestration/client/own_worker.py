"""`OwnWorker`: the worker that a client starts when no worker of its data folder is alive."""

from orchestration.settings import Settings
from orchestration.worker.process import WorkerProcess
from orchestration.worker.slot import live_workers


class OwnWorker:
    """Starts at most one worker process, which stops with the client.

    Args:
        settings: the settings of the worker.
        allowed: whether the client may start a worker.
    """

    def __init__(self, settings: Settings, *, allowed: bool) -> None:
        self.process: WorkerProcess | None = None
        self._settings = settings
        self._allowed = allowed

    async def ensure(self) -> bool:
        """Start a worker if this data folder has no live worker; return whether one was started.

        Raises:
            RefusedCommand: the worker ended at once; its log gives the reason.
        """
        if not self._allowed or live_workers(self._settings.data_dir) or (self.process and self.process.alive):
            return False
        self.process = await WorkerProcess.start(self._settings)
        return True

    async def stop(self) -> None:
        """Stop the worker if this client has started a worker."""
        if self.process:
            await self.process.stop()
