"""Where an export is written: whole or not at all, and over nothing that was there, unless asked to."""

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

_OWN = {f"{table.name}.{form}" for table in PARQUET_TABLES for form in (ExportFormat.PARQUET, ExportFormat.CSV)}
_ENDINGS = {ExportFormat.GRAPHML: ".graphml", ExportFormat.JSON: "_graph.json"}


def standard_path(workflow_id: str, form: ExportFormat) -> Path:
    """In the current folder: `ID.graphml` or `ID_graph.json`, or the folder `ID_parquet` or `ID_csv`."""
    return Path(f"{file_stem(workflow_id)}{_ENDINGS.get(form, f'_{form}')}")


def check_target(path: Path, form: ExportFormat, *, force: bool) -> None:
    """See, before there is any work done, that an export may be written there.

    Raises:
        RefusedCommand: what is there is not to be replaced, or there is no folder to put it in.
    """
    try:
        if not path.absolute().parent.is_dir():
            raise RefusedCommand(f"There is no folder '{path.parent}' to write the export to.")
        if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
            raise RefusedCommand(f"Nothing may be written to the folder '{path.absolute().parent}'.")
        if form.is_graph:
            _check_file(path, force=force)
        else:
            _check_folder(path, force=force)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error


def _check_file(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise RefusedCommand(f"'{path}' is a folder: name a file for the graph.")
    if not _exists(path):
        return
    if not force:
        raise RefusedCommand(f"'{path}' is there already; --force replaces it.")
    if not path.is_file():
        raise RefusedCommand(f"'{path}' is no regular file, and is not replaced.")


def _check_folder(path: Path, *, force: bool) -> None:
    if not _exists(path):
        return
    if not path.is_dir():
        raise RefusedCommand(f"'{path}' is no folder: the tables are a file each, in a folder of their own.")
    found = {one.name for one in path.iterdir()}
    if found and not force:
        raise RefusedCommand(f"The folder '{path}' is not empty; --force replaces an earlier export.")
    if strange := sorted(found - _OWN):
        raise RefusedCommand(f"The folder '{path}' holds '{strange[0]}', which is no export, and is not replaced.")


def _exists(path: Path) -> bool:
    """A link that leads nowhere is there too."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def staged(path: Path, form: ExportFormat, *, force: bool) -> Iterator[Path]:
    """A file to write, or an empty folder to fill, which takes its name when the block ends, and is gone if it raises.

    Raises:
        RefusedCommand: as `check_target`, or it cannot be written.
    """
    check_target(path, form, force=force)
    try:
        target = path.resolve()
        holder = Path(tempfile.mkdtemp(prefix=".export-", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        new = holder / "new"
        if not form.is_graph:
            new.mkdir()
        yield new
        check_target(path, form, force=force)
        _settle(new)
        if form.is_graph:
            _put_file(new, target, force=force)
        else:
            _put_folder(new, target, holder / "old")
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _put_file(new: Path, target: Path, *, force: bool) -> None:
    if force:
        new.replace(target)
        return
    try:
        os.link(new, target)  # unlike a renaming, it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        new.rename(target)


def _put_folder(new: Path, target: Path, old: Path) -> None:
    if target.exists() and any(target.iterdir()):
        target.rename(old)
    try:
        new.rename(target)  # over an empty folder, or none
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def _settle(new: Path) -> None:
    """Have it on the disk before its name says that it is whole."""
    for one in [*(new.iterdir() if new.is_dir() else ()), new]:
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _not_written(path: Path, error: OSError | ValueError) -> RefusedCommand:
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return RefusedCommand(f"The export cannot be written to '{path}': {why}.")
