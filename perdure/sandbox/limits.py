"""How much a single document may take; see docs/configuration.md for the variables."""

from collections.abc import Callable
from dataclasses import dataclass

MEGABYTE = 1024 * 1024

AllowCpu = Callable[[float], None]
"""Told, at the beginning of each stage, how many seconds of CPU time that stage may take."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on one document in its isolated process.

    Time is measured in CPU seconds, so that a busy machine never makes a document look guilty; sleeping
    is limited by itself. The wall-clock limit is a generous last resort.
    """

    memory_bytes: int = 1024 * 1024 * 1024
    """On top of what the process takes before it has seen a document."""
    extraction_cpu_seconds: float = 60.0
    analysis_cpu_seconds: float = 30.0
    """For chunks, mentions and embeddings, besides what the amount of text allows."""
    analysis_characters_per_second: float = 5_000.0
    """An eighth of the speed measured, so that a slow machine is no reason."""
    idle_seconds: float = 60.0
    """For how long the process may sleep without using any CPU time; waiting for a disk or a CPU does not count."""
    wall_seconds: float = 1_800.0
    attempts: int = 2
    """For a parser that crashed, hung or ran out of memory."""
    max_file_bytes: int = 256 * 1024 * 1024

    def analysis_seconds(self, characters: int) -> float:
        """CPU time for the analysis of a text of this length."""
        return self.analysis_cpu_seconds + characters / self.analysis_characters_per_second
