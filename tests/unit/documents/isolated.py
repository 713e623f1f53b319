"""Functions for the pool's children: each misbehaves in one way when its document is called so."""

import ctypes
import os
import signal
import sys
import time

from perdure.documents.document import ProcessedDocument
from perdure.documents.processing import process_document
from perdure.errors import EncryptedDocument
from perdure.sandbox.limits import AllowCpu, Limits


def misbehave(  # noqa: C901 - one case a misdeed
    uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu
) -> ProcessedDocument:
    """Do what the document's name says; otherwise process it."""
    allow_cpu(limits.extraction_cpu_seconds)
    match name:
        case "segfault":
            ctypes.string_at(0)
        case "loop":
            while True:
                pass
        case "hang":
            time.sleep(1000)
        case "bloat":
            hoard = [bytes(50 * 2**20) for _ in range(10_000)]
            del hoard
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sys.exit":
            sys.exit(1)
        case "encrypted":
            raise EncryptedDocument("It is protected by a password.")
        case "slow":
            time.sleep(0.5)
    return process_document(uri, "a.txt", descriptor, limits, allow_cpu)
