"""Which documents of a source are meant: patterns that travel with the source, behind its URI.

`file:///a/b#include=%2A.pdf&ignore=drafts` names the PDF files of a folder but none below `drafts`. A pattern without a
slash is compared with each part of a document's name below its source, one with a slash with the whole name; `*` stands
for anything, slashes too. What matches an `ignore` is left out, whatever it matches besides.
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
    """Lets through what matches any of `include`, or everything if there is none, and none of `ignore`."""

    include: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def allow(self, name: str) -> bool:
        """Whether the document of this name below its source is meant."""
        if any(_matches(name, one) for one in self.ignore):
            return False
        return not self.include or any(_matches(name, one) for one in self.include)

    def __bool__(self) -> bool:
        return bool(self.include or self.ignore)

    def __str__(self) -> str:
        """In the form in which they stand behind a URI."""
        pairs = [("include", one) for one in self.include] + [("ignore", one) for one in self.ignore]
        return "#" + "&".join(f"{kind}={quote(one, safe='')}" for kind, one in pairs) if pairs else ""


def with_patterns(source: str, patterns: Patterns) -> str:
    """The normalised source with patterns of its own.

    Raises:
        InvalidSource: a pattern is empty or too long, or the source has some already.
    """
    for one in (*patterns.include, *patterns.ignore):
        if not one.strip() or len(one) > MAX_PATTERN_CHARACTERS:
            raise InvalidSource(f"A pattern has from 1 to {MAX_PATTERN_CHARACTERS:,} characters, such as '*.pdf'.")
        if not one.isprintable():
            raise InvalidSource("A pattern cannot hold a character that is not printable.")
    if patterns and split_patterns(source)[1]:
        raise InvalidSource("The source has patterns of its own: leave out --include and --ignore.")
    return f"{source}{patterns}"


def split_patterns(source: str) -> tuple[str, Patterns]:
    """A source without its patterns, and those; only a URI can have some."""
    found = _PATTERNS.search(source) if ":" in source else None
    if found is None:
        return source, Patterns()
    pairs = [one.split("=", 1) for one in found[1].split("&")]
    return source[: found.start()], Patterns(_of(pairs, "include"), _of(pairs, "ignore"))


def _of(pairs: Sequence[Sequence[str]], kind: str) -> tuple[str, ...]:
    return tuple(unquote(one) for name, one in pairs if name == kind)


def _matches(name: str, pattern: str) -> bool:
    parts: Iterable[str] = [name] if "/" in pattern else name.split("/")
    return any(fnmatchcase(part, pattern) for part in parts)
