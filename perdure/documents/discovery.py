"""Checks the sources of a run, brings them into one form, and lists their documents.

A document is named by its URI, which encodes any file name, also one that is no valid UTF-8.
"""

from collections.abc import Iterator, Sequence

from perdure.documents.addresses import path_of, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import version_of
from perdure.documents.sources.registry import discover_all, source_of

__all__ = ["check_source", "discover", "normalise_source", "path_of", "uri_of", "version_of"]


def normalise_source(source: str) -> str:
    """Return the absolute URI of a source; the same URI for each way to write it.

    Args:
        source: a path or a URI, with or without patterns.

    Raises:
        InvalidSource: the source is empty, of another scheme or machine, or holds a NUL.
    """
    return source_of(source).normalise(source)


def check_source(source: str) -> None:
    """Check, before a run starts, that a source holds a document.

    Args:
        source: a path or a URI, with or without patterns.

    Raises:
        SourceNotFound: the source does not exist.
        InvalidSource: the source is neither file nor folder, cannot be read, or holds no document.
    """
    source_of(source).check(source)


def discover(sources: Sequence[str]) -> Iterator[DiscoveredDocument]:
    """Yield every document of the sources in a stable order.

    The sources come in the order of the argument.

    Args:
        sources: paths or URIs, with or without patterns.

    Raises:
        DependencyUnavailable: a source was there when the run started, and is not there now.
    """
    return discover_all(sources)
