"""Every error that Perdure raises on purpose, drawn as a tree.

The two great branches decide what happens to the work:

* `DocumentError`: the document's own fault. The document is quarantined with the reason; the run goes on.
* `DependencyUnavailable`: the world's fault. The work waits and is tried again for as long as it takes;
  nothing is ever quarantined for it.

The others are neither: `RefusedWrite` protects what is already stored, `RefusedCommand` answers a person.

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
    """The root of all; its message is one sentence that a person understands."""


class DocumentError(PerdureError):
    """The document's own fault: `str(error)` is the reason shown with the quarantined document."""


class EmptyDocument(DocumentError):
    """The file holds no bytes."""


class NoTextExtracted(DocumentError):
    """The file is not empty, but no text came out of it."""


class ImageOnlyDocument(NoTextExtracted):
    """Its pages are pictures: a scan, which only OCR reads."""


class UnsupportedFormat(DocumentError):
    """The content is of no format that can be read here."""


class EncryptedDocument(DocumentError):
    """The content is protected by a password."""


class DamagedDocument(DocumentError):
    """The content claims a format but breaks its rules beyond repair."""


class UnreadableDocument(DocumentError):
    """The file exists but this process may not read it, or it is no regular file."""


class VanishedDocument(DocumentError):
    """The file was there at discovery and is gone, while its source is still there."""


class DocumentTooLarge(DocumentError):
    """The file, or what it unpacks to, is larger than the limit."""


class UnstorableDocument(DocumentError):
    """The database refuses for good what was found in the document."""


class ParserFailure(DocumentError):
    """The isolated process that read the document did not come back; tried a bounded number of times.

    Attributes:
        attempts: how often it was tried.
    """

    attempts: int = 1


class ParserCrashed(ParserFailure):
    """The parser's process died."""


class ParserKilled(ParserCrashed):
    """The parser's process was killed from outside, which says little about the document."""


class ParserTimedOut(ParserFailure):
    """The parser used up its time limit and was killed."""


class ParserOutOfMemory(ParserFailure):
    """The parser asked for more memory than its limit."""


class DependencyUnavailable(PerdureError):
    """Something outside, a database, a service, a disk, cannot be used now.

    Attributes:
        dependency: its name for people, such as "Postgres".
        why: what it answered, one line.
    """

    def __init__(self, dependency: str, why: str) -> None:
        super().__init__(f"{dependency} is unavailable: {why}")
        self.dependency = dependency
        self.why = why

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.dependency, self.why)


class RefusedWrite(PerdureError):
    """A write that would contradict what is already stored; the store has changed nothing."""


class StaleWriter(RefusedWrite):
    """The writer was replaced: another run, dispatch or attempt has taken over its work."""


class AlreadyCommitted(RefusedWrite):
    """The document has its result already; a second one is never stored."""


class CheckpointConflict(RefusedWrite):
    """A checkpoint of this id exists with other content."""


class CheckpointGap(RefusedWrite):
    """The checkpoint is not the one that follows the latest stored, by sequence or by digest."""


class StoreSetBack(RefusedWrite):
    """The store knows less than the writer left in it: it was restored from a backup, or lost."""


class RefusedCommand(PerdureError):
    """A command that cannot be carried out as asked; shown as one sentence, exit code 2."""


class SourceNotFound(RefusedCommand):
    """A source names nothing that exists."""


class InvalidSource(RefusedCommand):
    """A source exists but cannot be read, or holds no documents."""


class InvalidWorkflowId(RefusedCommand):
    """A workflow id that is empty, too long, or holds control characters."""


class UnknownWorkflow(RefusedCommand):
    """No run of this workflow id is known to Temporal, to Postgres or to the checkpoint files."""


class UnknownCheckpoint(RefusedCommand):
    """No checkpoint of this id is stored for the workflow."""


class WorkflowAlreadyRunning(RefusedCommand):
    """A run of this workflow id is open already."""


class WorkflowNotRunning(RefusedCommand):
    """The command needs an open run, and this one is closed."""


class ServerUnreachable(RefusedCommand):
    """The Temporal server or the database at the configured address does not answer."""


class InvalidConfiguration(RefusedCommand):
    """An environment variable or option holds a value that cannot be used."""


class PortInUse(RefusedCommand):
    """The port asked for is taken by another process."""


class EmbeddedServersNotRunning(RefusedCommand):
    """The embedded servers of this data folder are not running."""
