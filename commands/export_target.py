"""Writes an export whole or not at all, and replaces an earlier one only with `--force`."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perdure.errors import RefusedCommand
from perdure.services.analytics.export import ExportFormat
from perdure.services.analytics.export.tables import PARQUET_TABLES
from perdure.stores.files.json_file import file_stem

EXPORTS = "exports"
"""Folder of the data folder for exports and reports for which the user names no path."""
_OWN = {f"{table.name}.{form}" for table in PARQUET_TABLES for form in (ExportFormat.PARQUET, ExportFormat.CSV)}
_ENDINGS = {ExportFormat.GRAPHML: ".graphml", ExportFormat.JSON: "_graph.json"}


def make_export_folder(data_dir: Path) -> Path:
    """Return the folder of exports and reports in a data folder; creates the folder if needed.

    Raises:
        RefusedCommand: the folder cannot be created.
    """
    folder = data_dir / EXPORTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedCommand(f"The folder '{folder}' cannot be created: {error.strerror or error}.") from error
    return folder


def standard_path(workflow_id: str, form: ExportFormat) -> Path:
    """Return the default name of an export.

    The name is `ID.graphml` or `ID_graph.json` for a graph, and the folder `ID_parquet` or `ID_csv` for tables.
    """
    return Path(f"{file_stem(workflow_id)}{_ENDINGS.get(form, f'_{form}')}")


def check_target(path: Path, form: ExportFormat, *, force: bool) -> None:
    """Refuse a path at which an export cannot be written, before the export begins.

    Args:
        path: path of the file, or of the folder for tables.
        form: form of the export.
        force: whether an earlier export may be replaced.

    Raises:
        RefusedCommand: a file or folder at the path must not be replaced, or its parent folder cannot be written.
    """
    try:
        parent = path.absolute().parent
        if not parent.is_dir():
            raise RefusedCommand(f"There is no folder '{path.parent}' to write the export to.")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise RefusedCommand(f"The folder '{parent}' cannot be written.")
        if form.is_graph:
            _check_file(path, force=force)
        else:
            _check_folder(path, force=force)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error


@contextmanager
def staged(path: Path, form: ExportFormat, *, force: bool) -> Iterator[Path]:
    """Yield the path of a temporary file to write, or of an empty folder to fill.

    The file or folder gets its final name when the block ends without an error.

    Args:
        path: the final path.
        form: form of the export.
        force: whether an earlier export may be replaced.

    Raises:
        RefusedCommand: as for `check_target`, or the export cannot be written.
    """
    check_target(path, form, force=force)
    try:
        target = path.resolve()
        holder = Path(tempfile.mkdtemp(prefix=".export-", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        unfinished = holder / "new"
        if not form.is_graph:
            unfinished.mkdir()
        yield unfinished
        check_target(path, form, force=force)
        _sync(unfinished)
        if form.is_graph:
            _put_file(unfinished, target, force=force)
        else:
            _put_folder(unfinished, target, holder / "old")
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _check_file(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise RefusedCommand(f"'{path}' is a folder: name a file for the graph.")
    if not _exists(path):
        return
    if not force:
        raise RefusedCommand(f"'{path}' exists already; --force replaces it.")
    if not path.is_file():
        raise RefusedCommand(f"'{path}' is no regular file, and is not replaced.")


def _check_folder(path: Path, *, force: bool) -> None:
    if not _exists(path):
        return
    if not path.is_dir():
        raise RefusedCommand(f"'{path}' is no folder: name a folder for the tables, each of which is one file.")
    names = {entry.name for entry in path.iterdir()}
    if names and not force:
        raise RefusedCommand(f"The folder '{path}' is not empty; --force replaces an earlier export.")
    if foreign := sorted(names - _OWN):
        raise RefusedCommand(f"The folder '{path}' holds '{foreign[0]}', which is no export, and is not replaced.")


def _exists(path: Path) -> bool:
    """Return whether the name exists, also as a link to a missing file."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _put_file(unfinished: Path, target: Path, *, force: bool) -> None:
    if force:
        unfinished.replace(target)
        return
    try:
        os.link(unfinished, target)  # a rename would replace a file that another process wrote in the meantime
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        unfinished.rename(target)


def _put_folder(unfinished: Path, target: Path, old: Path) -> None:
    if target.exists() and any(target.iterdir()):
        target.rename(old)
    try:
        unfinished.rename(target)  # replaces an empty folder
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def _sync(path: Path) -> None:
    """Write a file, or a folder and its files, to the disk.

    Without this step, a power cut could leave half an export under the final name.
    """
    for entry in [*(path.iterdir() if path.is_dir() else ()), path]:
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _not_written(path: Path, error: OSError | ValueError) -> RefusedCommand:
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return RefusedCommand(f"The export cannot be written to '{path}': {why}.")
