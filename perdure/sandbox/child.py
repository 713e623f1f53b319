"""What runs in the children of the isolated pool: limits first, then one document after another."""

import math
import os
import pickle
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from perdure.documents.document import ProcessedDocument
from perdure.errors import DependencyUnavailable, DocumentError, ParserCrashed, ParserOutOfMemory
from perdure.sandbox.confinement import confine
from perdure.sandbox.limits import AllowCpu, Limits
from perdure.sandbox.parentage import die_before_parent
from perdure.sandbox.parts import Parts, kept

ProcessFunction = Callable[[str, str, int, Limits, AllowCpu], ProcessedDocument]
"""Of URI, name, descriptor of the content, limits, and whom to ask for processor time."""

LENGTH = struct.Struct("!Q")
"""Goes before every message between the pool and a child: how many bytes of pickle follow."""

_PAGE_BYTES = resource.getpagesize()
_MAX_WRITTEN_BYTES = 256 * 1024 * 1024
"""Into memory files and what it says on standard error: it may open no other file for writing."""
_MAX_OPEN_FILES = 128


def serve(connection: socket.socket) -> None:
    """Answer requests `(confined, process, uri, name, limits)` with `(succeeded, document or error)` until the end.

    Each comes with the parts of its document that were finished before, and with a descriptor of the document's bytes.
    """
    bounded = False
    while (received := _receive(connection)) is not None:
        message, descriptor = received
        earlier, request = pickle.loads(message)  # noqa: S301 - from the pool's owner
        confined, process, uri, name, limits = pickle.loads(request)  # noqa: S301 - from the pool's owner
        if not bounded:
            _bound(limits)
            if confined:
                confine()
            bounded = True
        with kept(Parts(earlier, partial(_send_parts, connection))):
            answer = _pickled(_answer(process, uri, name, descriptor, limits))
        os.close(descriptor)
        connection.sendall(LENGTH.pack(len(answer)) + answer)


def _send_parts(connection: socket.socket, said: str, parts: bytes) -> None:
    """Between request and answer: `(None, (what to say, parts))`."""
    message = pickle.dumps((None, (said, parts)), pickle.HIGHEST_PROTOCOL)
    connection.sendall(LENGTH.pack(len(message)) + message)


def _bound(limits: Limits) -> None:
    """No core dumps, no endless files, few open ones, and so much memory on top of what the models take."""
    die_before_parent()
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, _MAX_WRITTEN_BYTES)
    _lower(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)


def _lower(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (allowed, allowed))


def _answer(process: ProcessFunction, uri: str, name: str, descriptor: int, limits: Limits) -> tuple[bool, Any]:
    """The document, or the error; time is limited while it works, and SIGXCPU ends the whole child."""
    try:
        return True, process(uri, name, descriptor, limits, _allow_cpu)
    except (DocumentError, DependencyUnavailable) as error:
        return False, error
    except MemoryError:
        return False, _too_much(limits)
    except Exception as error:  # noqa: BLE001 - whatever a parser may raise, the document has its reason
        return False, ParserCrashed(f"The parser failed with an unexpected error ({type(error).__name__}).")
    finally:
        # Not while the answer is on its way: a child killed then would have worked in vain.
        _limit_cpu(resource.RLIM_INFINITY)


def _pickled(answer: tuple[bool, Any]) -> bytes:
    try:
        return pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        return pickle.dumps((False, ParserOutOfMemory("What the parser found is larger than the memory it may use.")))


def _too_much(limits: Limits) -> ParserOutOfMemory:
    return ParserOutOfMemory(f"The parser needed more than its limit of {limits.memory_bytes // 2**20} MB of memory.")


def _allow_cpu(seconds: float) -> None:
    _limit_cpu(math.ceil(time.process_time() + seconds))


def _limit_cpu(soft: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard != resource.RLIM_INFINITY:
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _receive(connection: socket.socket) -> tuple[bytes, int] | None:
    header, descriptors, *_ = socket.recv_fds(connection, LENGTH.size, 1)
    rest = _exactly(connection, LENGTH.size - len(header)) if header else None
    if rest is None or not descriptors:
        return None
    request = _exactly(connection, LENGTH.unpack(header + rest)[0])
    return None if request is None else (request, descriptors[0])


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    received = bytearray()
    while len(received) < count:
        piece = connection.recv(min(count - len(received), 1024 * 1024))
        if not piece:
            return None
        received += piece
    return bytes(received)


def _address_space_bytes() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - as light as it can be
        return int(statm.read().split()[0]) * _PAGE_BYTES
