"""Codecs that show how a child encodes and how the pool decodes.

The children import this module.
"""

import resource
import threading

from perdure.sandbox.limits import MEGABYTE
from tests.unit.sandbox.jobs import TextCodec


class ProcessorLimitCodec(TextCodec):
    """Answers with the limit of CPU time that holds while the child encodes."""

    def encode(self, answer: str) -> bytes:
        return str(resource.getrlimit(resource.RLIMIT_CPU)[0]).encode()


class OverflowingCodec(TextCodec):
    """Needs more memory for the answer than the child has."""

    def encode(self, answer: str) -> bytes:
        raise MemoryError(answer)


class LargeCodec(TextCodec):
    """Answers with the id of the thread that decodes two megabytes."""

    def encode(self, answer: str) -> bytes:
        return bytes(2 * MEGABYTE)

    def decode(self, content: bytes | bytearray) -> str:
        return str(threading.get_ident())
