"""The job that a pool runs in its children, and the outcome of the job.

The composition root provides the whole job, since this package knows no format.

A *document* is a named sequence of untrusted bytes. A *parser* is the function that reads a document.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

AllowCpu = Callable[[float], None]
"""Takes the seconds of CPU time that the parser may use from this call on. A parser calls it at each stage."""

Answer = TypeVar("Answer")

Parser = Callable[[str, str, int, AllowCpu], Answer]
"""Takes URI, name, descriptor of the content and `AllowCpu`. It is pickled by reference, and children import it."""


class OpenedDocument(Protocol):
    """A document that the pool's process has opened for a child, which can open nothing."""

    @property
    def descriptor(self) -> int:
        """Return a seekable descriptor of the bytes, open for reading."""
        ...

    @property
    def version(self) -> str:
        """Return the version of the bytes that were opened; opaque to the pool."""
        ...

    def close(self) -> None:
        """Close the descriptor."""
        ...


Opener = Callable[[str, str, int], OpenedDocument]
"""Takes URI, source and the largest size allowed in bytes. Raises `DocumentError` or `DependencyUnavailable`."""


class AnswerCodec(Protocol[Answer]):
    """Encodes a parser's answer in the child, and decodes it in the pool's process.

    Each request carries the pool's codec, pickled by reference, and the child imports the codec's class.
    """

    def encode(self, answer: Answer) -> bytes:
        """Return the bytes of an answer."""
        ...

    def decode(self, content: bytes | bytearray) -> Answer:
        """Return the answer that these bytes hold.

        A hostile document may have taken over the child, so `content` can hold any bytes. The decoder must run no code
        that these bytes name.

        Raises:
            Exception: any error, when the bytes hold no answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Job(Generic[Answer]):
    """The four parts that make a pool read documents of some kind."""

    parser: Parser[Answer]
    codec: AnswerCodec[Answer]
    opener: Opener
    """Called in a thread of the pool's process."""
    warm_up: str
    """`module:function`: called once in the zygote, to load what every child needs."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Answer]):
    """The result of one document."""

    document: Answer
    """The parser's answer."""
    attempts: int
    """Number of children that read the document."""
    version: str = ""
    """Version of the bytes that were opened, as the opener gave it."""
