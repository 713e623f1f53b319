"""Processing in many small slices, each sent at once: a short document behaves as a long one does."""

from perdure.analysis import mentions
from perdure.documents.document import ProcessedDocument
from perdure.documents.processing import process_document
from perdure.sandbox import parts
from perdure.sandbox.limits import AllowCpu, Limits


def process_in_slices(uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu) -> ProcessedDocument:
    """For the children of a pool, which are processes of their own."""
    parts.SEND_EVERY_SECONDS, mentions.SLICE_PIECES = 0.0, 1
    return process_document(uri, name, descriptor, limits, allow_cpu)
