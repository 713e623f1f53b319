"""What runs in the children of the isolated pool: limits first, then one document after another."""

import ctypes
import math
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import AllowCpu, Limits
from perdure.errors import DependencyUnavailable, DocumentError, ParserCrashed, ParserOutOfMemory

ProcessFunction = Callable[[str, str, int, Limits, AllowCpu], ProcessedDocument]
"""Of URI, name, descriptor of the content, limits, and whom to ask for processor time."""

LENGTH = struct.Struct("!Q")
"""Goes before every message between the pool and a child: how many bytes of pickle follow."""

_PR_SET_PDEATHSIG = 1
_PAGE_BYTES = resource.getpagesize()
_OOM_SCORE = b"500"
_MAX_WRITTEN_BYTES = 256 * 1024 * 1024


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as the thread that started it is gone; Linux only.

    Elsewhere a child ends when it next reads from its closed socket.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)


def leave_signals_to_parent() -> None:
    """Ctrl-C and a supervisor's SIGTERM reach the whole group of processes, but the worker decides what they mean."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def serve(connection: socket.socket) -> None:
    """Answer requests `(process, uri, name, limits)` with `(succeeded, document or error)` until the end.

    With each request comes a descriptor of the document's bytes.
    """
    bounded = False
    while (received := _receive(connection)) is not None:
        request, descriptor = received
        process, uri, name, limits = pickle.loads(request)  # noqa: S301 - from the pool's owner
        if not bounded:
            _bound(limits)
            bounded = True
        answer = _pickled(_answer(process, uri, name, descriptor, limits))
        os.close(descriptor)
        connection.sendall(LENGTH.pack(len(answer)) + answer)


def _bound(limits: Limits) -> None:
    """No core dumps, no endless files, and no more memory than allowed on top of what the models take."""
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "wb") as score:  # noqa: PTH123 - as light as it can be
            score.write(_OOM_SCORE)  # the machine's memory runs out: this process before the worker
        _lower(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, _MAX_WRITTEN_BYTES)


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
