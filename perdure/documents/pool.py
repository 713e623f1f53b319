"""The pool that reads documents.

The pool combines `perdure.sandbox` with the processing, the sources and the codec of the answers.
"""

from functools import partial

from perdure.documents.answers import ProcessedDocumentCodec
from perdure.documents.document import ProcessedDocument
from perdure.documents.limits import Limits
from perdure.documents.processing import ProcessFunction, process_document, process_within
from perdure.documents.sources import open_document
from perdure.documents.warm_up import WARM_UP
from perdure.sandbox.fork_server import ForkServer
from perdure.sandbox.job import Job
from perdure.sandbox.pool import IsolatedPool


def open_document_pool(
    workers: int,
    limits: Limits,
    process: ProcessFunction = process_document,
    server: ForkServer | None = None,
) -> IsolatedPool[ProcessedDocument]:
    """Return a pool that processes documents.

    `start`, or the first document, starts its processes.

    Args:
        workers: documents that are processed at the same time.
        limits: limits on each document.
        process: the function that a child runs on a document, such as `process_document` with OCR.
        server: a fork server that was started or lent before.
    """
    return IsolatedPool(workers, limits, document_job(limits, process), server)


def document_job(limits: Limits, process: ProcessFunction = process_document) -> Job[ProcessedDocument]:
    """Return the job of the children of a document pool; see `open_document_pool`."""
    # Every child imports the modules of the parser and of the codec, so the zygote must have loaded both. It has not
    # loaded this module: the sources take 34 ms of CPU time to load.
    parser = partial(process_within, process, limits)
    return Job(parser, ProcessedDocumentCodec(), open_document, WARM_UP)
