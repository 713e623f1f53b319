"""Ways to hand a document to its processing in tests."""

from perdure.documents.document import ProcessedDocument
from perdure.documents.opened import OpenedDocument, content_of, spooled
from perdure.documents.processing import process_document
from perdure.documents.sources import open_document
from perdure.sandbox.limits import Limits


def open_nothing(uri: str, source: str, max_bytes: int) -> OpenedDocument:
    """Something to send along where only the process matters."""
    return spooled([uri.encode(), source.encode()], lambda: "1", max_bytes)


def processed_here(uri: str, name: str, source: str) -> ProcessedDocument:
    """Opened and processed in this process."""
    opened = open_document(uri, source, Limits().max_file_bytes)
    try:
        return process_document(uri, name, opened.descriptor)
    finally:
        opened.close()


def read_document(uri: str, source: str, max_bytes: int) -> bytes:
    """All its bytes."""
    opened = open_document(uri, source, max_bytes)
    try:
        return content_of(opened.descriptor, max_bytes)
    finally:
        opened.close()
