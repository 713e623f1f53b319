"""Find the documents under files and folders: streaming, in one stable order, never outside the folder that was named.

A document is named by its `file://` URI, which encodes any file name, also one that is no valid UTF-8.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import version_of
from perdure.documents.sources.containers import Container, kind_of, member_uri, root_of, taken_apart
from perdure.documents.sources.member import Member
from perdure.documents.sources.remote import check_remote, discover_remote, is_remote, normalise_remote
from perdure.errors import DependencyUnavailable, DocumentError, InvalidSource, SourceNotFound, VanishedDocument

__all__ = ["check_source", "discover", "normalise_source", "path_of", "uri_of", "version_of"]

Entry = tuple[Path, os.stat_result]


def normalise_source(source: str) -> str:
    """A path or `file://` URI as an absolute `file://` URI; that of a document inside a file or on a server stays.

    Raises:
        InvalidSource: it is empty, of another scheme or machine, or holds a NUL.
    """
    if is_remote(source):
        return normalise_remote(source)
    if inside := taken_apart(source):
        return member_uri(*inside)
    return uri_of(path_of(source))


def check_source(source: str) -> None:
    """See that there is something to process, before a run is started for it.

    Raises:
        SourceNotFound: nothing is there.
        InvalidSource: it is neither file nor folder, cannot be read, or holds no document.
    """
    if is_remote(source):
        check_remote(source)
    else:
        _check_file(source)


def _check_file(source: str) -> None:
    path = root_of(source)
    name = shown(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(f"There is no file or folder '{name}'.") from error
    except OSError as error:
        raise InvalidSource(f"'{name}' cannot be read: {_why(error)}.") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InvalidSource(f"'{name}' is neither a file nor a folder.")
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise InvalidSource(f"'{name}' cannot be read: permission denied.")
    try:
        empty = stat.S_ISDIR(mode) and next(discover([source]), None) is None
        if inside := taken_apart(source):
            _member(*inside)
    except VanishedDocument as error:
        raise SourceNotFound(f"There is no '{shown(source.partition('!/')[2])}' in '{name}'.") from error
    except DocumentError as error:
        raise InvalidSource(f"'{name}' cannot be used: {error}") from error
    except DependencyUnavailable as error:
        raise InvalidSource(f"'{name}' cannot be read: {error.why}.") from error
    if empty:
        raise InvalidSource(f"The folder '{name}' holds no documents.")


def discover(sources: Sequence[str]) -> Iterator[DiscoveredDocument]:
    """Every document under the sources: in the order given, folders sorted by the bytes of their names, depth first.

    Hidden entries inside folders are passed over, as is what is neither file nor folder. A link counts only if it
    leads to a file inside the same source that is not found under its own name; each such file counts once. A folder
    that may not be read stands in the list itself, so that it ends quarantined instead of unnoticed. Memory is
    bounded by the folders on the way to one document.

    Raises:
        DependencyUnavailable: a source is not there now, though it was when the run was started.
    """
    for source in sources:
        if is_remote(source):
            yield from discover_remote(source)
            continue
        root = root_of(source)
        try:
            if inside := taken_apart(source):
                yield _listed_member(*inside)
                continue
            entries = _walk(root) if root.is_dir() else iter([(root, root.stat())])
            for path, status in entries:
                yield from _documents(root, path, status)
        except OSError as error:
            raise DependencyUnavailable(f"the source {shown(root)}", _why(error)) from error


def _walk(root: Path) -> Iterator[Entry]:
    linked: set[tuple[int, int]] = set()
    # Folders may be nested deeper than Python calls may.
    stack = [iter(_listed(root))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif entry.is_dir(follow_symlinks=False):
            try:
                stack.append(iter(_listed(entry.path)))
            except FileNotFoundError:
                continue  # removed meanwhile
            except OSError:
                yield Path(entry.path), entry.stat(follow_symlinks=False)
        elif found := _file(root, entry, linked):
            yield found


def _listed(folder: str | Path) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        return sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: os.fsencode(one.name))


def _file(root: Path, entry: "os.DirEntry[str]", linked: set[tuple[int, int]]) -> Entry | None:
    """The entry if it is a regular file to be counted, None if not."""
    path = Path(entry.path)
    try:
        if not entry.is_file():
            return None
        status = entry.stat()
        if entry.is_symlink():
            inside = path.resolve(strict=True).relative_to(root.resolve())
            identity = (status.st_dev, status.st_ino)
            if identity in linked or not any(part.startswith(".") for part in inside.parts):
                return None
            linked.add(identity)
    except (FileNotFoundError, RuntimeError, ValueError):
        return None  # removed meanwhile, a circle of links, or outside
    except OSError:
        if entry.is_symlink():
            return None  # it leads nowhere that can be read
        raise
    return path, status


def _documents(root: Path, path: Path, status: os.stat_result) -> Iterator[DiscoveredDocument]:
    """The file, or what is in it; one that is empty, damaged or cut off stands for itself, to be quarantined."""
    document = _document(root, path, status)
    kind = kind_of(path) if stat.S_ISREG(status.st_mode) else None
    if kind is None:
        yield document
        return
    found = whole = False
    try:
        for member in kind.members(path):
            found = True
            yield DiscoveredDocument(
                uri=member_uri(kind, path, member.key),
                name=shown(f"{document.name}/{member.name}"),
                source=document.source,
                size_bytes=member.size_bytes,
                version=member.version,
            )
        whole = True
    except DocumentError:
        whole = False
    except FileNotFoundError:
        return  # removed meanwhile
    if not (found and whole):
        yield document


def _listed_member(kind: Container, path: Path, key: str) -> DiscoveredDocument:
    """A member that is a source itself; one that is not to be found is listed all the same, to be quarantined."""
    try:
        member = _member(kind, path, key)
    except DocumentError:
        member = Member(key, shown(unquote(key)), 0, "not found")
    uri = member_uri(kind, path, key)
    name = shown(f"{path.name}/{member.name}")
    return DiscoveredDocument(uri=uri, name=name, source=uri, size_bytes=member.size_bytes, version=member.version)


def _member(kind: Container, path: Path, key: str) -> Member:
    """The member of this key.

    Raises:
        DocumentError: there is none, or the container is damaged before it.
        OSError: the container cannot be read.
    """
    found = next((one for one in kind.members(path) if one.key == key), None)
    if found is None:
        raise VanishedDocument("There is no such document in the file.")
    return found


def _document(root: Path, path: Path, status: os.stat_result) -> DiscoveredDocument:
    return DiscoveredDocument(
        uri=uri_of(path),
        name=shown(path.name if path == root else path.relative_to(root)),
        source=uri_of(root),
        size_bytes=status.st_size if stat.S_ISREG(status.st_mode) else 0,
        version=version_of(status),
    )


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
