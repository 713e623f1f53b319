"""What an armed worker's children do instead of only parsing. Imported by the children, so kept light."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from perdure.documents.document import ProcessedDocument
from perdure.documents.processing import process_document

_WORKER, _MARKER, _NTH = "ARMED_WORKER_PID", "ARMED_MARKER", "ARMED_NTH"
SLOW_SECONDS = 0.4


def environment(pid: int, marker: Path, nth: int) -> dict[str, str]:
    """Variables by which the children learn whom to strike, and when."""
    return {_WORKER: str(pid), _MARKER: str(marker), _NTH: str(nth)}


def kill_the_worker(uri: str, *args: Any) -> ProcessedDocument:
    """SIGKILL to the worker while this child reads the nth document; the child itself goes on reading."""
    if _struck(uri, os.environ[_WORKER]):
        os.kill(int(os.environ[_WORKER]), signal.SIGKILL)
        time.sleep(600)
    return process_document(uri, *args)


def kill_this_child(uri: str, *args: Any) -> ProcessedDocument:
    """The child that reads the nth document dies, once."""
    if _struck(uri, str(os.getpid())):
        os.kill(os.getpid(), signal.SIGKILL)
    return process_document(uri, *args)


def parse_slowly(uri: str, *args: Any) -> ProcessedDocument:
    """So that there is a middle of a document to be killed in."""
    time.sleep(SLOW_SECONDS)
    return process_document(uri, *args)


def _struck(uri: str, victim: str) -> bool:
    """Whether this is the nth document that any child reads; writes the marker if so."""
    marker = Path(os.environ[_MARKER])
    read = marker.with_suffix(".read")
    with read.open("a+") as file:  # one short append is atomic
        file.write(f"{uri}\n")
        file.flush()
        file.seek(0)
        count = len(file.readlines())
    if count != int(os.environ[_NTH]):
        return False
    marker.write_text(victim)
    return True
