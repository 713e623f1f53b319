"""A folder: every document below it, in one stable order, and never a file outside of it."""

import os
from collections.abc import Iterator
from pathlib import Path

from perdure.documents.addresses import path_of, shown
from perdure.documents.document import DiscoveredDocument
from perdure.documents.reading import reason_of
from perdure.documents.sources.file import FileSource
from perdure.documents.sources.listing import file_documents
from perdure.documents.sources.path_checks import check_path, faults_as_refusals
from perdure.errors import DependencyUnavailable, InvalidSource

_Entry = tuple[Path, os.stat_result]


class FolderSource(FileSource):
    """A folder, named by its path or its `file://` URI; implements `Source`."""

    def matches(self, address: str) -> bool:
        """Return whether the address names a folder that exists now."""
        try:
            return os.path.isdir(path_of(address))  # noqa: PTH112 - `Path.is_dir` raises for a folder that may not be read
        except InvalidSource:
            return False

    def check(self, address: str) -> None:
        """Check that the folder can be read and holds a document; see `Source.check`."""
        root = path_of(address)
        check_path(root)
        with faults_as_refusals(root):
            is_empty = next(self.discover(address), None) is None
        if is_empty:
            raise InvalidSource(f"The folder '{shown(root)}' holds no documents.")

    def discover(self, address: str) -> Iterator[DiscoveredDocument]:
        """Yield the documents below the folder: depth first, sorted by the bytes of their names.

        Hidden entries are left out, and so are entries that are neither file nor folder. A link counts only if it leads
        to a file in the same folder that has no other visible name; each such file counts once. A folder that may not
        be read is yielded itself, so that it ends quarantined and is not lost unnoticed. The memory holds the entries
        of the folders above the present document, and no others.

        Raises:
            DependencyUnavailable: see `Source.discover`.
        """
        root = path_of(address)
        try:
            for path, status in _walk(root):
                yield from file_documents(root, path, status, self._containers)
        except OSError as error:
            raise DependencyUnavailable(f"the source {shown(root)}", reason_of(error)) from error


def _walk(root: Path) -> Iterator[_Entry]:
    linked: set[tuple[int, int]] = set()
    # A stack instead of recursion: folders may be nested deeper than Python's calls may be.
    stack = [iter(_sort_entries(root))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif entry.is_dir(follow_symlinks=False):
            try:
                stack.append(iter(_sort_entries(entry.path)))
            except FileNotFoundError:
                continue  # Another process has removed the folder since the listing.
            except OSError:
                yield Path(entry.path), entry.stat(follow_symlinks=False)
        elif file := _check_regular_file(root, entry, linked):
            yield file


def _sort_entries(folder: str | Path) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(visible, key=lambda entry: os.fsencode(entry.name))


def _check_regular_file(root: Path, entry: "os.DirEntry[str]", linked: set[tuple[int, int]]) -> _Entry | None:
    """Return the entry if it is a regular file that counts, None if not.

    Args:
        root: the folder that the user named.
        entry: an entry below the root.
        linked: device and inode of each file that a link has led to; the function adds to it.
    """
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
        return None  # The file is removed, or the link is circular, or it leads outside.
    except OSError:
        if entry.is_symlink():
            return None  # The link leads to a file that cannot be read.
        raise
    return path, status
