"""The tree of all errors that Perdure raises on purpose.

Two branches decide what happens to the work:

* `DocumentError`: the document's own fault. The document is quarantined with the reason, and the run continues.
* `DependencyUnavailable`: an outage. The work waits and is repeated for as long as the outage lasts. An outage
  quarantines no document.

The other branches: `RefusedWrite` protects stored data, and `RefusedCommand` answers the user of a command.

    PerdureError
    ├── DocumentError
    │   ├── EmptyDocument, NoTextExtracted (ImageOnlyDocument), UnsupportedFormat
    │   ├── EncryptedDocument, DamagedDocument, UnreadableDocument, VanishedDocument
    │   ├── DocumentTooLarge, UnstorableDocument
    │   └── ParserFailure
    │       └── ParserCrashed (ParserKilled), ParserTimedOut, ParserOutOfMemory
    ├── DependencyUnavailable
    ├── RefusedWrite
    │   └── StaleWriter, AlreadyCommitted, CheckpointConflict, CheckpointGap, StoreSetBack
    └── RefusedCommand
        └── SourceNotFound, InvalidSource, InvalidWorkflowId, UnknownWorkflow, UnknownCheckpoint,
            WorkflowAlreadyRunning, WorkflowNotRunning, ServerUnreachable, InvalidConfiguration,
            PortInUse, EmbeddedServersNotRunning
"""


class PerdureError(Exception):
    """The base class; the message of each error is one sentence for the user."""


class DocumentError(PerdureError):
    """The document cannot be processed. `str(error)` is the reason for its quarantine."""


class EmptyDocument(DocumentError):
    """The file holds no bytes."""


class NoTextExtracted(DocumentError):
    """The file is not empty, and extraction found no text in it."""


class ImageOnlyDocument(NoTextExtracted):
    """The pages are pictures, such as a scan; only OCR can read them."""


class UnsupportedFormat(DocumentError):
    """The content has no format that Perdure reads."""


class EncryptedDocument(DocumentError):
    """A password protects the content."""


class DamagedDocument(DocumentError):
    """The content violates the rules of its format, and repair failed."""


class UnreadableDocument(DocumentError):
    """The file exists, but the worker has no permission to read it, or it is not a regular file."""


class VanishedDocument(DocumentError):
    """The file existed at discovery and is gone, and its source still exists."""


class DocumentTooLarge(DocumentError):
    """The file, or its unpacked content, is larger than the limit."""


class UnstorableDocument(DocumentError):
    """The database refuses the outputs of the document, and no retry can succeed."""


class ParserFailure(DocumentError):
    """The child that processed the document did not complete, in a bounded number of attempts.

    Attributes:
        attempts: number of children that processed the document.
    """

    attempts: int = 1


class ParserCrashed(ParserFailure):
    """The child crashed."""


class ParserKilled(ParserCrashed):
    """Another process killed the child, so the document is probably not the cause."""


class ParserTimedOut(ParserFailure):
    """The child reached its time limit and was killed."""


class ParserOutOfMemory(ParserFailure):
    """The child asked for more memory than its limit."""


class DependencyUnavailable(PerdureError):
    """A database, a service, a disk or another dependency cannot be used at present.

    Attributes:
        dependency: display name, such as "Postgres".
        why: the dependency's answer, one line.
    """

    def __init__(self, dependency: str, why: str) -> None:
        """Compose the message from the name and the answer."""
        super().__init__(f"{dependency} is unavailable: {why}")
        self.dependency = dependency
        self.why = why

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Return the arguments that rebuild the error in another process."""
        return type(self), (self.dependency, self.why)


class RefusedWrite(PerdureError):
    """The write contradicts stored data; the store has changed nothing."""


class StaleWriter(RefusedWrite):
    """The writer was replaced: another run, dispatch or attempt has taken its work over."""


class AlreadyCommitted(RefusedWrite):
    """The document already has a result; the store never keeps a second one."""


class CheckpointConflict(RefusedWrite):
    """A checkpoint with this id exists, and its content differs."""


class CheckpointGap(RefusedWrite):
    """The checkpoint does not follow the latest stored one, by sequence or by digest."""


class StoreSetBack(RefusedWrite):
    """The store holds less than the writer left in it: it was restored from a backup, or lost."""


class RefusedCommand(PerdureError):
    """The command cannot be carried out; the user sees one sentence and exit code 2."""


class SourceNotFound(RefusedCommand):
    """The source does not exist."""


class InvalidSource(RefusedCommand):
    """The source exists, but cannot be read or holds no documents."""


class InvalidWorkflowId(RefusedCommand):
    """The workflow id is empty or too long, or holds control characters."""


class UnknownWorkflow(RefusedCommand):
    """Neither Temporal nor a checkpoint store holds a run with this workflow id."""


class UnknownCheckpoint(RefusedCommand):
    """No store holds a checkpoint with this id for the workflow."""


class WorkflowAlreadyRunning(RefusedCommand):
    """A run with this workflow id is open."""


class WorkflowNotRunning(RefusedCommand):
    """The command needs an open run, and the run is closed."""


class ServerUnreachable(RefusedCommand):
    """The Temporal server or the database at the configured address does not answer."""


class InvalidConfiguration(RefusedCommand):
    """An environment variable or option has a value that cannot be used."""


class PortInUse(RefusedCommand):
    """Another process uses the requested port."""


class EmbeddedServersNotRunning(RefusedCommand):
    """The embedded servers of this data folder are not running."""
