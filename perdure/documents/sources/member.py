"""What a container says of one document inside it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol
from urllib.parse import quote_from_bytes

from perdure.errors import DamagedDocument

BLOCK_BYTES = 64 * 1024
MAX_NAME_BYTES = 4096
"""As long as the path of a file can be."""


@dataclass(frozen=True, slots=True)
class Member:
    """`key` names it within its container, percent-encoded; `version` changes when its content does."""

    key: str
    name: str
    size_bytes: int
    version: str


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one member, piece by piece; `version` is known once the last piece was taken."""

    pieces: Iterator[bytes]
    version: Callable[[], str]


class Index(Protocol):
    """Knows where each member of one container begins, so that opening one needs no other to be read."""

    def content(self, file: BinaryIO, key: str) -> Content:
        """One member, out of the container's file, opened anew; raises `DocumentError` if there is none."""
        ...


class Keys:
    """Gives each name within one container its key; the second of the same name is `…#2`."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def key(self, name: str) -> str:
        """Raises `DamagedDocument` for a name longer than any file can have."""
        raw = name.encode(errors="surrogateescape")
        if len(raw) > MAX_NAME_BYTES:
            raise DamagedDocument(f"The name of a member is longer than {MAX_NAME_BYTES:,} bytes.")
        digest = digest_of(name)
        self._seen[digest] += 1
        key, times = quote_from_bytes(raw, safe="/-_.~"), self._seen[digest]
        return key if times == 1 else f"{key}#{times}"


def digest_of(key: str) -> bytes:
    """Stands for a key in memory, however long that is."""
    return hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16).digest()
