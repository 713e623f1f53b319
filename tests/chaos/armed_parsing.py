"""The functions that the children of an armed worker run instead of the parser.

Each child imports this module, so the module imports little.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure.documents.document import ProcessedDocument
from perdure.documents.processing import process_document
from perdure.documents.warm_up import warm_up
from perdure.sandbox import child
from tests.chaos.gate import Gate

WARM_UP = f"{__name__}:warm_up_unconfined"


@dataclass(frozen=True)
class Armed:
    """The fail-point of a child."""

    worker: int
    """Process id of the worker."""
    marker: Path
    """The file that the child writes before it strikes."""
    nth: int
    """The document at which the child strikes, counted from 1."""


def warm_up_unconfined() -> None:
    """Warm up the zygote, and leave its children unconfined.

    A confined child may neither send signals nor write the marker.
    """
    child.confine = lambda: None  # type: ignore[attr-defined]  # `child` imports the name without exporting it
    warm_up()


def kill_the_worker(armed: Armed, uri: str, *args: Any) -> ProcessedDocument:
    """Process a document; at the nth document, kill the worker and sleep."""
    if _reach_nth(armed, uri, armed.worker):
        os.kill(armed.worker, signal.SIGKILL)
        time.sleep(600)
    return process_document(uri, *args)


def kill_this_child(armed: Armed, uri: str, *args: Any) -> ProcessedDocument:
    """Process a document; at the nth document, this child kills itself."""
    if _reach_nth(armed, uri, os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return process_document(uri, *args)


def parse_when_admitted(armed: Armed, uri: str, *args: Any) -> ProcessedDocument:
    """Process a document when the gate beside the marker admits it."""
    Gate(armed.marker.parent).wait(uri)
    return process_document(uri, *args)


def _reach_nth(armed: Armed, uri: str, victim: int) -> bool:
    """Return whether this document is the nth of all children, and write the marker if so."""
    with armed.marker.with_suffix(".read").open("a+") as file:  # a short append is atomic
        file.write(f"{uri}\n")
        file.flush()
        file.seek(0)
        count = len(file.readlines())
    if count != armed.nth:
        return False
    armed.marker.write_text(str(victim))
    return True
