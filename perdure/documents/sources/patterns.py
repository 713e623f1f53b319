"""The patterns that choose documents of a source; they stand behind the source's URI.

`file:///a/b#include=%2A.pdf&ignore=drafts` names the PDF files of a folder, without those below `drafts`. A pattern
without a slash is compared with each part of a document's name below its source. A pattern with a slash is compared
with the whole name. `*` stands for any characters, slashes included. A document that matches an `ignore` is left out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import quote, unquote

from perdure.errors import InvalidSource

MAX_PATTERN_CHARACTERS = 1000
_PATTERNS = re.compile(r"#((?:include|ignore)=[^&#]*(?:&(?:include|ignore)=[^&#]*)*)\Z")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns for the names of documents."""

    include: tuple[str, ...] = ()
    """A document must match one of these patterns, if there are any."""
    ignore: tuple[str, ...] = ()
    """A document must match none of these patterns."""

    def allow(self, name: str) -> bool:
        """Return whether the patterns let a document through.

        Args:
            name: name of the document below its source.
        """
        if any(_matches(name, pattern) for pattern in self.ignore):
            return False
        return not self.include or any(_matches(name, pattern) for pattern in self.include)

    def __bool__(self) -> bool:
        """Return whether there is a pattern."""
        return bool(self.include or self.ignore)

    def __str__(self) -> str:
        """Return the patterns as they stand behind a URI."""
        pairs = [("include", pattern) for pattern in self.include] + [("ignore", pattern) for pattern in self.ignore]
        return "#" + "&".join(f"{kind}={quote(pattern, safe='')}" for kind, pattern in pairs) if pairs else ""


def with_patterns(source: str, patterns: Patterns) -> str:
    """Return a source with patterns behind it.

    Args:
        source: the normalised source.
        patterns: the patterns to add.

    Raises:
        InvalidSource: a pattern is empty or too long, or the source has patterns already.
    """
    for pattern in (*patterns.include, *patterns.ignore):
        if not pattern.strip() or len(pattern) > MAX_PATTERN_CHARACTERS:
            raise InvalidSource(f"A pattern has from 1 to {MAX_PATTERN_CHARACTERS:,} characters, such as '*.pdf'.")
        if not pattern.isprintable():
            raise InvalidSource("A pattern cannot hold a character that is not printable.")
    if patterns and split_patterns(source)[1]:
        raise InvalidSource("The source has patterns already: leave out --include and --ignore.")
    return f"{source}{patterns}"


def split_patterns(source: str) -> tuple[str, Patterns]:
    """Return a source without its patterns, and the patterns; only a URI can have patterns."""
    match = _PATTERNS.search(source) if ":" in source else None
    if match is None:
        return source, Patterns()
    pairs = [pair.split("=", 1) for pair in match[1].split("&")]
    return source[: match.start()], Patterns(_select_values(pairs, "include"), _select_values(pairs, "ignore"))


def _select_values(pairs: Sequence[Sequence[str]], kind: str) -> tuple[str, ...]:
    return tuple(unquote(value) for name, value in pairs if name == kind)


def _matches(name: str, pattern: str) -> bool:
    parts: Iterable[str] = [name] if "/" in pattern else name.split("/")
    return any(fnmatchcase(part, pattern) for part in parts)
