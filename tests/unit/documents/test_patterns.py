"""Patterns choose documents of a source, and stand behind its URI."""

import zipfile
from pathlib import Path

import pytest

from perdure.documents.addresses import uri_of
from perdure.documents.discovery import check_source, discover, normalise_source
from perdure.documents.sources.patterns import MAX_PATTERN_CHARACTERS, Patterns, split_patterns, with_patterns
from perdure.errors import InvalidSource
from tests.unit.documents.opening import read_document


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of documents, one of them in an archive."""
    for name in ("a.pdf", "b.txt", "drafts/c.pdf", "drafts/old/d.txt", "e#include=x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("g.pdf", "g")
    return tmp_path


@pytest.mark.parametrize(
    ("include", "ignore", "names"),
    [
        (["*.pdf"], [], ["a.pdf", "drafts/c.pdf", "f.zip/g.pdf"]),
        (["*.pdf"], ["drafts"], ["a.pdf", "f.zip/g.pdf"]),
        ([], ["*.pdf", "old"], ["b.txt", "e#include=x.txt"]),
        (["drafts/*"], ["*/old/*"], ["drafts/c.pdf"]),
        (["a.pdf", "b.*"], [], ["a.pdf", "b.txt"]),
        (["&", "#", "%2A"], [], []),
    ],
)
def test_patterns_choose_the_documents_of_a_source(
    folder: Path, include: list[str], ignore: list[str], names: list[str]
) -> None:
    patterns = Patterns(tuple(include), tuple(ignore))
    source = with_patterns(normalise_source(str(folder)), patterns)
    assert normalise_source(source) == source
    assert split_patterns(source) == (uri_of(folder), patterns)
    listed = list(discover([source]))
    assert [document.name for document in listed] == names
    assert {document.source for document in listed} <= {source}
    for document in listed:
        assert read_document(document.uri, document.source, 1000)
    if not names:
        with pytest.raises(InvalidSource, match="let no document of"):
            check_source(source)


def test_file_whose_name_looks_like_a_pattern_is_found(folder: Path) -> None:
    (listed,) = discover([normalise_source(str(folder / "e#include=x.txt"))])
    assert listed.name == "e#include=x.txt"


@pytest.mark.parametrize("pattern", ["", " ", "a\nb", "x" * (MAX_PATTERN_CHARACTERS + 1)])
def test_empty_or_unprintable_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidSource):
        with_patterns("file:///a", Patterns(include=(pattern,)))
