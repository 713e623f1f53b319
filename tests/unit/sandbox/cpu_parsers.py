"""A parser that measures the CPU time that it may use; children import this module."""

import resource
import time

from perdure.sandbox.job import AllowCpu

ALLOWED_SECONDS = 60.0


def measure_allowance(_uri: str, _name: str, _descriptor: int, allow_cpu: AllowCpu) -> str:
    """Use some CPU time, allow more, and return the seconds that are left."""
    while (used := time.process_time()) < 0.05:
        pass
    allow_cpu(ALLOWED_SECONDS)
    return str(resource.getrlimit(resource.RLIMIT_CPU)[0] - used)
