"""Limits on the process that reads a document.

docs/configuration.md lists the variables that set the limits.
"""

from dataclasses import dataclass

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits on one document in its confined process.

    Time is measured in CPU seconds, so that a busy machine does not fail documents. A separate limit bounds sleep.
    """

    memory_bytes: int = 1024 * MEGABYTE
    """Address space that the process may map in addition to what the libraries take."""
    idle_seconds: float = 60.0
    """Seconds that the process may sleep without CPU time. A wait for a disk or a CPU does not count as sleep."""
    wall_seconds: float = 1_800.0
    """Wall-clock time of one attempt. This limit ends a child that no other limit ends."""
    attempts: int = 2
    """Attempts at a document whose parser crashed, hung or ran out of memory."""
    max_file_bytes: int = 256 * MEGABYTE
    """Largest size of a document."""
