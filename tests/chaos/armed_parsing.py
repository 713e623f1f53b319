"""What an armed worker's children do instead of only parsing. Imported by the children, so kept light."""

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

SLOW_SECONDS = 0.4
WARM_UP = f"{__name__}:warm_up_unconfined"


@dataclass(frozen=True)
class Armed:
    """Whom to strike and when: the worker's process id, the file that says so, the number of the document."""

    worker: int
    marker: Path
    nth: int


def warm_up_unconfined() -> None:
    """Warm up the zygote; let its children keep the right to send signals and to write files."""
    child.confine = lambda: None  # type: ignore[attr-defined] # the child's import
    warm_up()


def kill_the_worker(armed: Armed, uri: str, *args: Any) -> ProcessedDocument:
    """SIGKILL to the worker while this child reads the nth document; the child itself goes on reading."""
    if _struck(armed, uri, armed.worker):
        os.kill(armed.worker, signal.SIGKILL)
        time.sleep(600)
    return process_document(uri, *args)


def kill_this_child(armed: Armed, uri: str, *args: Any) -> ProcessedDocument:
    """The child that reads the nth document dies, once."""
    if _struck(armed, uri, os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return process_document(uri, *args)


def parse_slowly(_: Armed, uri: str, *args: Any) -> ProcessedDocument:
    """So that there is a middle of a document to be killed in."""
    time.sleep(SLOW_SECONDS)
    return process_document(uri, *args)


def _struck(armed: Armed, uri: str, victim: int) -> bool:
    """Whether this is the nth document that any child reads; writes the marker if so."""
    with armed.marker.with_suffix(".read").open("a+") as file:  # one short append is atomic
        file.write(f"{uri}\n")
        file.flush()
        file.seek(0)
        count = len(file.readlines())
    if count != armed.nth:
        return False
    armed.marker.write_text(str(victim))
    return True
