"""The program of the pool's children: set limits, then read one document after another."""

import math
import os
import pickle
import resource
import socket
import sys
import time
from functools import partial
from typing import Any

from perdure.errors import DependencyUnavailable, DocumentError, ParserCrashed, ParserOutOfMemory
from perdure.sandbox.child_exit import out_of_memory
from perdure.sandbox.child_lifetime import prefer_as_oom_victim
from perdure.sandbox.confinement import confine
from perdure.sandbox.job import AnswerCodec, Parser
from perdure.sandbox.limits import MEGABYTE, ProcessLimits
from perdure.sandbox.messages import ANSWER, FAILURE, HEADER, PARTS, encode_failure, encode_parts, frame
from perdure.sandbox.parts import Parts, use_parts

_PAGE_BYTES = resource.getpagesize()
_MAX_WRITTEN_BYTES = 256 * MEGABYTE
"""Size of a memory file and of standard error. A child can open no other file for writing."""
_MAX_OPEN_FILES = 128
_RECEIVED_BYTES = MEGABYTE


def serve(connection: socket.socket) -> None:
    """Read documents on request until the connection closes.

    The content of a request is `(work, URI, name, earlier parts)`. `work` is `(parser, codec, limits)`, pickled
    separately, and the same for every request of a pool. `perdure.sandbox.messages` describes the replies.
    """
    work = None
    while (received := _receive_request(connection)) is not None:
        content, descriptor = received
        pickled_work, uri, name, earlier = pickle.loads(content)  # noqa: S301 - from the pool's process
        if work is None:
            work = pickle.loads(pickled_work)  # noqa: S301 - from the pool's process
            _set_limits(work[2])
            confine()
        parser, codec, limits = work
        with use_parts(Parts(earlier, partial(_send_parts, connection))):
            kind, answer = _parse(parser, uri, name, descriptor, limits)
            reply = _encode(kind, answer, codec)
        os.close(descriptor)
        connection.sendall(reply)


def _send_parts(connection: socket.socket, progress: str, parts: bytes) -> None:
    connection.sendall(frame(PARTS, encode_parts(progress, parts)))


def _set_limits(limits: ProcessLimits) -> None:
    """Permanently limit address space, core dumps, written bytes and open files."""
    prefer_as_oom_victim()
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, _MAX_WRITTEN_BYTES)
    _lower(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)


def _lower(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (allowed, allowed))


def _parse(parser: Parser[Any], uri: str, name: str, descriptor: int, limits: ProcessLimits) -> tuple[bytes, Any]:
    """Return the kind of the reply, and the answer or the error.

    When the allowed CPU time runs out, SIGXCPU ends the process.
    """
    try:
        return ANSWER, parser(uri, name, descriptor, _allow_cpu)
    except (DocumentError, DependencyUnavailable) as error:
        return FAILURE, error
    except MemoryError:
        return FAILURE, out_of_memory(limits)
    except Exception as error:  # noqa: BLE001 - a parser can raise any exception; the document gets a reason
        return FAILURE, ParserCrashed(f"The parser failed with an unexpected error ({type(error).__name__}).")
    finally:
        # The limit must not end the child while it sends the answer: its finished work would be lost.
        _limit_cpu(resource.RLIM_INFINITY)


def _encode(kind: bytes, answer: Any, codec: AnswerCodec[Any]) -> bytes:
    try:
        return frame(kind, codec.encode(answer) if kind == ANSWER else encode_failure(answer))
    except MemoryError:
        error = ParserOutOfMemory("What the parser found is larger than the memory it may use.")
        return frame(FAILURE, encode_failure(error))


def _allow_cpu(seconds: float) -> None:
    _limit_cpu(math.ceil(time.process_time() + seconds))


def _limit_cpu(soft: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard != resource.RLIM_INFINITY:
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _receive_request(connection: socket.socket) -> tuple[bytes, int] | None:
    """Return the content and the descriptor of the next request; None when the socket is closed."""
    header, descriptors, *_ = socket.recv_fds(connection, HEADER.size, 1)
    rest = _receive(connection, HEADER.size - len(header)) if header else None
    if rest is None or not descriptors:
        return None
    content = _receive(connection, HEADER.unpack(header + rest)[1])
    return None if content is None else (content, descriptors[0])


def _receive(connection: socket.socket, count: int) -> bytes | None:
    """Return exactly `count` bytes; None when the connection is closed before."""
    received = bytearray()
    while len(received) < count:
        piece = connection.recv(min(count - len(received), _RECEIVED_BYTES))
        if not piece:
            return None
        received += piece
    return bytes(received)


def _address_space_bytes() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - pathlib costs more at every fork
        return int(statm.read().split()[0]) * _PAGE_BYTES
