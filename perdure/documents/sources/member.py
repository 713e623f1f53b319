"""What a container says of one document inside it."""

from dataclasses import dataclass

BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """`key` names it within its container, percent-encoded; `version` changes when its content does."""

    key: str
    name: str
    size_bytes: int
    version: str
