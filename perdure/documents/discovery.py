"""Find the documents under files and folders: streaming, in one stable order, never outside the folder that was named.

A document is named by its `file://` URI, which encodes any file name, also one that is no valid UTF-8.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from perdure.documents.addresses import path_of, shown, uri_of
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import fault, version_of
from perdure.documents.sources import manifest_file
from perdure.documents.sources.containers import member_uri, root_of, taken_apart
from perdure.documents.sources.listing import file_documents, find_member, listed_member
from perdure.documents.sources.manifest_file import PREFIX, Nonsense, check_manifest, is_manifest, manifest_path
from perdure.documents.sources.patterns import split_patterns
from perdure.documents.sources.remote import (
    check_remote,
    discover_remote,
    is_remote,
    normalise_remote,
    remote_document,
)
from perdure.errors import DependencyUnavailable, DocumentError, InvalidSource, SourceNotFound, VanishedDocument

__all__ = ["check_source", "discover", "normalise_source", "path_of", "uri_of", "version_of"]

Entry = tuple[Path, os.stat_result]


def normalise_source(source: str) -> str:
    """A path or `file://` URI as an absolute `file://` URI; that of a document inside a file or on a server stays.

    Raises:
        InvalidSource: it is empty, of another scheme or machine, or holds a NUL.
    """
    source, patterns = split_patterns(source)
    return f"{_normalised(source)}{patterns}"


def _normalised(source: str) -> str:
    if is_remote(source):
        return normalise_remote(source)
    if is_manifest(source):
        return f"{PREFIX}{uri_of(manifest_path(source))}"
    if inside := taken_apart(source):
        return member_uri(*inside)
    return uri_of(path_of(source))


def check_source(source: str) -> None:
    """See that there is something to process, before a run is started for it.

    Raises:
        SourceNotFound: nothing is there.
        InvalidSource: it is neither file nor folder, cannot be read, or holds no document.
    """
    base, patterns = split_patterns(source)
    if is_remote(base):
        check_remote(base)
    elif is_manifest(base):
        check_manifest(base)
    else:
        _check_file(base)
    if patterns and next(discover([source]), None) is None:
        raise InvalidSource(f"The patterns leave nothing of '{shown(base)}'.")


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
            find_member(*inside)
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
        base, patterns = split_patterns(source)
        for document in _discovered(base):
            if not patterns:
                yield document
            elif patterns.allow(document.name):
                yield replace(document, source=normalise_source(source))


def _discovered(source: str) -> Iterator[DiscoveredDocument]:
    if is_remote(source):
        yield from discover_remote(source)
        return
    if is_manifest(source):
        yield from _listed_by(source)
        return
    root = root_of(source)
    try:
        if inside := taken_apart(source):
            yield listed_member(*inside)
            return
        entries = _walk(root) if root.is_dir() else iter([(root, root.stat())])
        for path, status in entries:
            yield from file_documents(root, path, status)
    except OSError as error:
        raise DependencyUnavailable(f"the source {shown(root)}", _why(error)) from error


def _listed_by(manifest: str) -> Iterator[DiscoveredDocument]:
    path, source = manifest_path(manifest), normalise_source(manifest)
    try:
        for number, line, entry in manifest_file.entries(path):
            try:
                if isinstance(entry, Nonsense):
                    raise entry
                for document in _entry(path, entry):
                    yield replace(document, source=source)
            except Nonsense as nonsense:
                yield manifest_file.line_document(source, path, number, line, nonsense)
    except (OSError, DocumentError) as error:
        why = _why(error) if isinstance(error, OSError) else str(error)
        raise DependencyUnavailable(f"the manifest {shown(path)}", why) from error


def _entry(manifest: Path, entry: str) -> Iterator[DiscoveredDocument]:
    """What one line names; a document that is not there is listed all the same, to be quarantined."""
    try:
        if is_remote(entry):
            yield remote_document(entry)
            return
        inside = taken_apart(entry)
        path = inside[1] if inside else path_of(entry) if "://" in entry else _below(manifest.parent, entry)
    except (InvalidSource, ValueError) as error:  # the latter: half a character
        raise Nonsense("no-address") from error
    try:
        if inside:
            yield listed_member(*inside)
            return
        status = path.stat()
    except OSError as error:
        if isinstance(fault(error, path, manifest), DependencyUnavailable):
            raise
        uri = member_uri(*inside) if inside else uri_of(path)
        yield DiscoveredDocument(uri=uri, name=shown(path.name), source=uri, size_bytes=0, version="not found")
        return
    if stat.S_ISDIR(status.st_mode):
        raise Nonsense("folder")
    yield from file_documents(path, path, status)


def _below(folder: Path, name: str) -> Path:
    """Without a look at the disk for every part of the path, as `path_of` takes."""
    if b"\0" in os.fsencode(name):
        raise InvalidSource("A source cannot hold a NUL character.")
    return Path(os.path.normpath(folder / name))


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


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
