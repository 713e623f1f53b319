"""Files that hold documents: which they are, what is in them, and how one document comes out of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from perdure.documents.addresses import path_of, uri_of
from perdure.documents.opened import OpenedDocument, spooled
from perdure.documents.reading import fault
from perdure.documents.sources.archive import tar_content, tar_members, zip_content, zip_members
from perdure.documents.sources.mailbox import mbox_content, mbox_members
from perdure.documents.sources.member import Member
from perdure.errors import EmptyDocument, VanishedDocument


@dataclass(frozen=True, slots=True)
class Container:
    """One kind; told by the ends of file names, so that office files, which are ZIPs too, stay documents."""

    scheme: str
    suffixes: tuple[str, ...]
    members: Callable[[Path], Iterator[Member]]
    content: Callable[[Path, str], Iterator[bytes]]


KINDS = (
    Container("zip+", (".zip",), zip_members, zip_content),
    Container("tar+", (".tar", ".tar.gz", ".tgz", ".tar.bz2"), tar_members, tar_content),
    Container("mbox+", (".mbox",), mbox_members, mbox_content),
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


def open_member(kind: Container, path: Path, key: str, source: str, max_bytes: int) -> OpenedDocument:
    """One document of a file, in a temporary file without a name.

    Raises:
        DocumentError: it is gone, empty, too large, encrypted, or cannot be unpacked.
        DependencyUnavailable: its source is gone altogether, or a disk fails.
    """
    try:
        version = next((one.version for one in kind.members(path) if one.key == key), None)
        if version is None:
            raise VanishedDocument("It was in the file at discovery and is not there now.")
        opened = spooled(kind.content(path, key), version, max_bytes)
    except OSError as error:
        raise fault(error, path, path_of(source)) from error
    if not opened.size_bytes:
        opened.close()
        raise EmptyDocument("The file is empty.")
    return opened
