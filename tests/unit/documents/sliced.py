"""Processes in many small slices and sends each at once, so that a short document behaves as a long one does."""

from perdure.analysis import mentions
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.processing import process_document
from perdure.sandbox import parts
from perdure.sandbox.job import AllowCpu


def process_in_slices(uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu) -> ProcessedDocument:
    """Process a document. Only for the children of a pool, since it changes settings of its process."""
    parts.SEND_EVERY_SECONDS = 0.0
    mentions.SLICE_PIECES = 1
    return process_document(uri, name, descriptor, limits, allow_cpu)
