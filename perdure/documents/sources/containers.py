"""Files that hold documents: which they are, what is in them, and how one document comes out of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from perdure.documents.addresses import path_of, uri_of
from perdure.documents.opened import OpenedDocument, spooled
from perdure.documents.reading import fault, open_regular
from perdure.documents.sources.index_cache import indexed
from perdure.documents.sources.mailbox import MailboxIndex, mbox_members
from perdure.documents.sources.manifest_file import PREFIX
from perdure.documents.sources.member import Content, Index, Member
from perdure.documents.sources.patterns import split_patterns
from perdure.documents.sources.tar_archive import TarIndex, tar_members
from perdure.documents.sources.zip_archive import ZipIndex, zip_members
from perdure.errors import EmptyDocument


@dataclass(frozen=True, slots=True)
class Container:
    """One kind; told by the ends of file names, so that office files, which are ZIPs too, stay documents."""

    scheme: str
    suffixes: tuple[str, ...]
    listing: Callable[[Path, BinaryIO], Iterator[Member]]
    index: Callable[[Path, BinaryIO], Index]

    def members(self, path: Path) -> Iterator[Member]:
        """In the order of the file; raises `DocumentError` for its damage, after what could be found, and `OSError`."""
        with open_regular(path) as file:
            yield from self.listing(path, file)

    @contextmanager
    def content(self, path: Path, key: str) -> Iterator[Content]:
        """One member; raises `DocumentError` if there is none or it is damaged, and `OSError`."""
        with open_regular(path) as file:
            yield indexed(self.index, path, file).content(file, key)


KINDS = (
    Container("zip+", (".zip",), zip_members, ZipIndex),
    Container("tar+", (".tar", ".tar.gz", ".tgz", ".tar.bz2"), tar_members, TarIndex),
    Container("mbox+", (".mbox",), mbox_members, MailboxIndex),
)


def kind_of(path: Path) -> Container | None:
    """Which container the file claims to be, None for a document."""
    name = path.name.lower()
    return next((one for one in KINDS if name.endswith(one.suffixes)), None)


def member_uri(kind: Container, path: Path, key: str) -> str:
    """What identifies a document inside a file."""
    return f"{kind.scheme}{uri_of(path)}!/{key}"


def taken_apart(uri: str) -> tuple[Container, Path, str] | None:
    """Kind, file and key of a document inside a file; None if the URI names none."""
    kind = next((one for one in KINDS if uri.startswith(f"{one.scheme}file://")), None)
    if kind is None:
        return None
    # A name may hold "!" only encoded, so the first one ends the file's name.
    file, _, key = uri.removeprefix(kind.scheme).partition("!/")
    return kind, path_of(file), key


def root_of(source: str) -> Path:
    """The file or folder on which a source of files stands: for a member its container, for a manifest that itself."""
    source = split_patterns(source)[0].removeprefix(PREFIX)
    inside = taken_apart(source)
    return inside[1] if inside else path_of(source)


def open_member(kind: Container, path: Path, key: str, source: str, max_bytes: int) -> OpenedDocument:
    """One document of a file, in a temporary file without a name.

    Raises:
        DocumentError: it is gone, empty, too large, encrypted, or cannot be unpacked.
        DependencyUnavailable: its source is gone altogether, or a disk fails.
    """
    try:
        with kind.content(path, key) as content:
            opened = spooled(content.pieces, content.version, max_bytes)
    except OSError as error:
        raise fault(error, path, root_of(source)) from error
    if not opened.size_bytes:
        opened.close()
        raise EmptyDocument("The file is empty.")
    return opened
