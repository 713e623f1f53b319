"""Finds documents and opens them for the worker: one class a kind of source, in a registry.

Imports `perdure.documents` (addresses, document, opened, reading) and `perdure.errors`; never `extraction`.
Start reading in `source.py`, the protocol of all classes; then `registry.py` and `file.py`, the simplest class.
"""

from perdure.documents.sources.registry import content_hash, open_document

__all__ = ["content_hash", "open_document"]
