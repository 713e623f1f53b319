"""Processes a short document in the way of a long one: in many slices, each sent at once."""

from perdure.analysis import mentions
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.processing import process_document
from perdure.sandbox import parts
from perdure.sandbox.job import AllowCpu


def process_in_slices(uri: str, name: str, descriptor: int, limits: Limits, allow_cpu: AllowCpu) -> ProcessedDocument:
    """Process a document in small slices.

    Only the children of a pool may call this function, because it changes settings of its process.
    """
    parts.SEND_EVERY_SECONDS = 0.0
    mentions.SLICE_PIECES = 1
    return process_document(uri, name, descriptor, limits, allow_cpu)
