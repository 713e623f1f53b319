"""The members of a container, and the protocols of containers and of their indexes."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote_from_bytes

from perdure.errors import DamagedDocument

BLOCK_BYTES = 64 * 1024
MAX_NAME_BYTES = 4096
"""The longest path that a file can have."""


@dataclass(frozen=True, slots=True)
class Member:
    """One document inside a container, as the container's directory describes it."""

    key: str
    """Names the member within its container, percent-encoded."""
    name: str
    """The name, as the container writes it."""
    size_bytes: int
    """The size that the container claims."""
    version: str
    """Changes when the content changes."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one member."""

    pieces: Iterator[bytes]
    version: Callable[[], str]
    """Returns the member's version; to be called after the last piece."""


class Index(Protocol):
    """The offsets of one container's members, so that a member can be read without the others."""

    def content(self, file: BinaryIO, key: str) -> Content:
        """Return the content of one member.

        Args:
            file: the container, opened again.
            key: key of the member.

        Raises:
            DocumentError: there is no such member.
        """
        ...


class Container(Protocol):
    """One kind of file that holds documents, as the listing of documents uses it."""

    def claims(self, path: Path) -> bool:
        """Return whether a file has the name of a container of this kind."""
        ...

    def member_uri(self, path: Path, key: str) -> str:
        """Return the URI of a document inside a file."""
        ...

    def members(self, path: Path) -> Iterator[Member]:
        """Yield the members in the order of the file.

        Damage raises `DocumentError` after the members before the damage.
        """
        ...

    def content(self, path: Path, key: str) -> AbstractContextManager[Content]:
        """Open a file and give the content of one member; raise `DocumentError` if it is missing."""
        ...


class Keys:
    """Gives each member of a container its key; the second member of the same name gets `…#2`."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def key(self, name: str) -> str:
        """Return the key of the next member with this name.

        Raises:
            DamagedDocument: the name is longer than that of any file can be.
        """
        raw = name.encode(errors="surrogateescape")
        if len(raw) > MAX_NAME_BYTES:
            raise DamagedDocument(f"The name of a member is longer than {MAX_NAME_BYTES:,} bytes.")
        digest = digest_of(name)
        self._seen[digest] += 1
        key = quote_from_bytes(raw, safe="/-_.~")
        count = self._seen[digest]
        return key if count == 1 else f"{key}#{count}"


def digest_of(key: str) -> bytes:
    """Return 16 bytes that stand for a key in memory: keys may be long."""
    return hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16).digest()
