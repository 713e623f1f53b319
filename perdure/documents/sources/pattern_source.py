"""A source with patterns that choose some of its documents: `file:///a/b#include=%2A.pdf`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from perdure.documents.addresses import shown
from perdure.documents.document import DiscoveredDocument
from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.file import FileSource
from perdure.documents.sources.patterns import split_patterns
from perdure.documents.sources.source import Source
from perdure.errors import InvalidSource


class PatternSource(FileSource):
    """The documents of another source that its patterns let through; implements `Source`.

    Args:
        containers: the kinds of files that are taken apart.
        find_source: returns the kind of the source without its patterns.
    """

    def __init__(self, containers: Sequence[ContainerSource], find_source: Callable[[str], Source]) -> None:
        super().__init__(containers)
        self._find_source = find_source

    def matches(self, address: str) -> bool:
        """Return whether an address ends with patterns."""
        return bool(split_patterns(address)[1])

    def normalise(self, address: str) -> str:
        """Return the normalised source with its patterns; see `Source.normalise`."""
        base, patterns = split_patterns(address)
        return f"{self._find_source(base).normalise(base)}{patterns}"

    def root(self, address: str) -> Path:
        """Return the root of the source without its patterns; see `Source.root`."""
        base, _ = split_patterns(address)
        return self._find_source(base).root(base)

    def check(self, address: str) -> None:
        """Check the source, and that the patterns let a document through; see `Source.check`."""
        base, _ = split_patterns(address)
        self._find_source(base).check(base)
        if next(self.discover(address), None) is None:
            raise InvalidSource(f"The patterns let no document of '{shown(base)}' through: change the patterns.")

    def discover(self, address: str) -> Iterator[DiscoveredDocument]:
        """Yield the documents that the patterns let through; see `Source.discover`."""
        base, patterns = split_patterns(address)
        source = self.normalise(address)
        for document in self._find_source(base).discover(base):
            if patterns.allow(document.name):
                yield replace(document, source=source)
