"""Answers that a hostile parser might send instead of a processed document."""

import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

from perdure.documents.document import ProcessedDocument
from perdure.documents.extraction.ocr import Ocr
from perdure.errors import EncryptedDocument
from tests.session_reaper import MARK as SESSION

MARKER = str(Path(tempfile.gettempdir()) / f"perdure-taken-over-{os.environ.get(SESSION, '')}")


class Exploit:
    """Runs a command in the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {MARKER}",)


ANSWERS = {
    "exploit": pickle.dumps(Exploit()),
    "exploit within a list": pickle.dumps([1, Exploit()]),
    "function": pickle.dumps(os.getpid),
    "class itself": pickle.dumps(ProcessedDocument),
    "text": pickle.dumps("a document"),
    "class of another module": pickle.dumps(Ocr("eng", "/data")),
    "error": pickle.dumps(EncryptedDocument("A reason.")),
    "exception": pickle.dumps(KeyboardInterrupt()),
    "attribute of a class": b"\x80\x04\x8c\x1aperdure.documents.document\x8c\x1aProcessedDocument.__init__\x93.",
    "nonsense": b"nothing",
    "nothing": b"",
}
