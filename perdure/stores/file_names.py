"""Derives the names of files and objects from workflow ids."""

import hashlib
from urllib.parse import quote

MAX_STEM_BYTES = 200
"""Longest name that stands for a workflow id without its SHA-256, in bytes."""
_READABLE_BYTES = 100


def file_stem(workflow_id: str) -> str:
    """Return a file name for a workflow id.

    Distinct ids get distinct names, and no name is a path. Letters, digits and -_.~@+=, stand for themselves; every
    other character and a leading dot are percent-encoded. A name that is too long is cut, and gets the SHA-256 of the
    id.
    """
    stem = _percent_encode(workflow_id)
    return stem if len(stem) <= MAX_STEM_BYTES else hashed_stem(workflow_id)


def hashed_stem(workflow_id: str) -> str:
    """Return the name that is made of the beginning and the SHA-256 of a workflow id."""
    digest = hashlib.sha256(workflow_id.encode("utf-8", "surrogatepass")).hexdigest()
    # "%=" occurs in no percent-encoded name, so this name is not the plain name of another id.
    return f"{_percent_encode(workflow_id)[:_READABLE_BYTES]}%={digest}"


def _percent_encode(workflow_id: str) -> str:
    encoded = quote(workflow_id, safe="@+=,", errors="surrogatepass")
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded
