"""Hashes the content of a document that arrives in pieces."""

import hashlib
from collections.abc import Iterable

from perdure.errors import DocumentError


def hash_pieces(pieces: Iterable[bytes]) -> str | None:
    """Return the SHA-256 of the pieces in hexadecimal; None if they raise a `DocumentError`."""
    digest = hashlib.sha256()
    try:
        for piece in pieces:
            digest.update(piece)
    except DocumentError:
        return None
    return digest.hexdigest()
