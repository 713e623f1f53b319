"""Jobs for pools in tests: the answer is a text, and the zygote loads no library."""

import os
import tempfile
import time
from dataclasses import dataclass

from perdure.sandbox import child
from perdure.sandbox.job import Job, Parser

LOAD_NOTHING = f"{__name__}:load_nothing"
LOAD_SLOWLY = f"{__name__}:load_slowly"
SKIP_CONFINEMENT = f"{__name__}:skip_confinement"
"""The warm-up for parsers that have to write files or to send signals."""
SLOW_SECONDS = 300.0


class TextCodec:
    """Answers that are texts."""

    def encode(self, answer: str) -> bytes:
        return answer.encode()

    def decode(self, content: bytes | bytearray) -> str:
        return content.decode()


@dataclass(frozen=True)
class OpenedText:
    """A document in a file without a name."""

    descriptor: int
    version: str = "1"

    def close(self) -> None:
        os.close(self.descriptor)


def open_text(uri: str, source: str, _: int) -> OpenedText:
    """Return a document that holds its own URI and source."""
    with tempfile.TemporaryFile() as file:
        file.write(f"{uri} {source}".encode())
        file.flush()
        return OpenedText(os.dup(file.fileno()))


def text_job(parser: Parser[str], warm_up: str = LOAD_NOTHING) -> Job[str]:
    return Job(parser, TextCodec(), open_text, warm_up)


def load_nothing() -> None:
    """Warm up nothing."""


def load_slowly() -> None:
    """Take so long to warm up that a test notices when a process waits for it."""
    time.sleep(SLOW_SECONDS)


def skip_confinement() -> None:
    """Let the children that are forked from this process keep their rights."""
    child.confine = lambda: None  # type: ignore[attr-defined] # the module imports the name
