"""A Temporal server of the tests' own whose histories are short, and which may be killed."""

import os
import signal
from pathlib import Path

import pytest

from orchestration.embedded.stack import EmbeddedStack
from orchestration.embedded.temporal import DYNAMIC_CONFIG
from orchestration.settings.temporal import TemporalSettings

SUGGEST_AT_EVENTS = 60


class ShortHistories:
    """One server in a folder of its own; it suggests continue-as-new after a few events."""

    def __init__(self, folder: Path) -> None:
        self._stack = EmbeddedStack(folder, postgres=False, default_ports=False)

    async def up(self) -> TemporalSettings:
        """Start it, or start it again on the same data and the same port."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(DYNAMIC_CONFIG, "limit.historyCount.suggestContinueAsNew", SUGGEST_AT_EVENTS)
            record = (await self._stack.up()).temporal
        assert record
        return TemporalSettings(record.address, web_ui=record.web_ui)

    async def forget(self) -> None:
        """Lose everything: stopped, and its data deleted."""
        await self._stack.down()
        for file in self._stack.data_dir.glob("temporal.db*"):
            file.unlink()

    async def down(self) -> None:
        await self._stack.down()

    def kill(self) -> None:
        """SIGKILL."""
        record = self._stack.status().temporal
        assert record
        assert record.process
        os.kill(record.process.pid, signal.SIGKILL)
