"""Opens documents for the tests of processing."""

from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.opened import content_of
from perdure.documents.processing import process_document
from perdure.documents.sources import open_document


def processed_here(uri: str, name: str, source: str) -> ProcessedDocument:
    """Return the document, processed in this process."""
    opened = open_document(uri, source, Limits().max_file_bytes)
    try:
        return process_document(uri, name, opened.descriptor)
    finally:
        opened.close()


def read_document(uri: str, source: str, max_bytes: int) -> bytes:
    """Return all bytes of a document."""
    opened = open_document(uri, source, max_bytes)
    try:
        return content_of(opened.descriptor, max_bytes)
    finally:
        opened.close()
