"""The TCP ports of the embedded servers."""

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from perdure.errors import InvalidConfiguration, PortInUse

HOST = "127.0.0.1"
_FIRST = 20_000
_COUNT = 12_000
"""Number of ports to choose from. All are below the ports that systems give to outgoing connections, so that a
restarted server finds its port free."""
_LAST = 65_535
_TRIES = 200


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not block the port
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_free(port: int, purpose: str) -> int:
    """Return the port itself if a server could listen on it.

    Args:
        port: number of the port.
        purpose: what the port is for; part of the message of a refusal.

    Raises:
        PortInUse: another process has the port.
        InvalidConfiguration: the number is no port number, or this user may not use the port.
    """
    if not 0 < port <= _LAST:
        raise InvalidConfiguration(f"{port}, asked for {purpose}, is no port; ports go from 1 to {_LAST}.")
    if not _is_permitted(port):
        raise InvalidConfiguration(f"Port {port}, asked for {purpose}, needs rights that this user does not have.")
    if not is_free(port):
        raise PortInUse(f"Port {port}, asked for {purpose}, is taken by another process.")
    return port


def _is_permitted(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return False
        except OSError:
            pass  # the port is taken, which `is_free` reports
    return True


def choose(
    preferred: list[int | None], purpose: str, data_dir: Path, *, taken: set[int], say: Callable[[str], None]
) -> int:
    """Return the first free preferred port, else a port derived from the data folder.

    The function adds the port to `taken`.

    Args:
        preferred: ports to try first; entries that are None are ignored.
        purpose: what the port is for; part of messages and of the derivation.
        data_dir: data folder of the server.
        taken: ports of the other servers of the folder.
        say: called with a sentence if a preferred port is taken.

    Raises:
        PortInUse: no port was free in `_TRIES` tries.
    """
    known = [port for port in preferred if port is not None]
    for port in (*known, *_of_folder(data_dir, purpose)):
        if port not in taken and is_free(port):
            if known and port not in known:
                say(f"Port {known[0]} is taken; {purpose} uses {port}.")
            taken.add(port)
            return port
    raise PortInUse(f"No free port was found for {purpose} in {_TRIES} tries.")


def _of_folder(data_dir: Path, purpose: str) -> Iterator[int]:
    """Yield ports that depend only on the data folder and the purpose."""
    seed = hashlib.sha256(os.fsencode(data_dir) + purpose.encode()).digest()
    start = int.from_bytes(seed[:4])
    for offset in range(_TRIES):
        yield _FIRST + (start + offset) % _COUNT
