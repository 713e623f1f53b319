"""The function that the children of `poison_worker.py` run.

A document with the text `POISON` and the name of a misdeed makes the child misbehave. The module imports little.
"""

import ctypes
import os
import signal
import time
from dataclasses import replace

from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.processing import process_document
from perdure.sandbox.job import AllowCpu

SLOW_SECONDS = 0.2


def process(uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu) -> ProcessedDocument:
    """Do the misdeed that the document names, then process the document if the child survives."""
    words = os.pread(descriptor, 4096, 0).decode().split()
    misdeed = words[1] if words[0] == "POISON" else "none"
    allow_cpu(limits.extraction_cpu_seconds)
    match misdeed:
        case "segfault":
            ctypes.memset(0, 1, 1)
        case "loop":
            while True:
                pass
        case "bloat":
            kept = []
            while True:
                kept.append(bytearray(16 * 1024 * 1024))
        case "sleep":
            time.sleep(3600)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "slow":
            time.sleep(SLOW_SECONDS)
    document = process_document(uri, name, descriptor, limits, allow_cpu)
    return replace(document, properties={"smuggled": "a\0b"}) if misdeed == "smuggle" else document
