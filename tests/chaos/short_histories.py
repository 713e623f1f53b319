"""A Temporal server for tests that kill it, with a low limit of events for continue-as-new."""

import os
import signal
from pathlib import Path

import pytest

from orchestration.embedded.stack import EmbeddedStack
from orchestration.embedded.temporal import DYNAMIC_CONFIG
from orchestration.settings.temporal import TemporalSettings

SUGGEST_AT_EVENTS = 60


class ShortHistories:
    """A server that suggests continue-as-new after `SUGGEST_AT_EVENTS` events."""

    def __init__(self, folder: Path) -> None:
        self._stack = EmbeddedStack(folder, postgres=False, default_ports=False)

    async def up(self) -> TemporalSettings:
        """Start the server on its earlier data and port, if there are any; returns its settings."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(DYNAMIC_CONFIG, "limit.historyCount.suggestContinueAsNew", SUGGEST_AT_EVENTS)
            record = (await self._stack.up()).temporal
        assert record
        return TemporalSettings(record.address, web_ui=record.web_ui)

    async def forget(self) -> None:
        """Stop the server and delete its data."""
        await self._stack.down()
        for file in self._stack.data_dir.glob("temporal.db*"):
            file.unlink()

    async def down(self) -> None:
        """Stop the server."""
        await self._stack.down()

    def kill(self) -> None:
        """Kill the server by SIGKILL."""
        record = self._stack.status().temporal
        assert record
        assert record.process
        os.kill(record.process.pid, signal.SIGKILL)
