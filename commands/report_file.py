"""Writes a report whole or not at all, and never over a file that is no report."""

import io
import os
import sys
import tempfile
from pathlib import Path

from perdure.errors import RefusedCommand
from perdure.report.page import MARKER
from perdure.report.wording import shortened
from perdure.stores.files.json_file import file_stem

SUFFIX = "_report.html"
_HEAD_BYTES = 2048


def standard_path(workflow_id: str) -> Path:
    """Return the default name of a run's report.

    The name begins like the name of the run's checkpoint file.
    """
    return Path(f"{file_stem(workflow_id)}{SUFFIX}")


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a path at which a report cannot be written, before the report is made.

    Args:
        path: path of the file.
        force: whether a file that is no report may be replaced.

    Raises:
        RefusedCommand: the path is a folder, its folder does not exist, or it is a file that is no report and `force`
            is off.
    """
    try:
        if path.is_dir():
            raise RefusedCommand(f"'{path}' is a folder: name a file for the report.")
        if not path.absolute().parent.is_dir():
            raise RefusedCommand(f"There is no folder '{path.parent}' to write the report to.")
        if path.exists() and not force and not _is_report(path):
            raise RefusedCommand(f"'{path}' exists and is no report; --force replaces it.")
    except OSError as error:
        raise _not_written(path, error) from error


def write_page(path: Path, page: str, *, force: bool) -> None:
    """Write the page in one step; a regular file at the path is replaced.

    Args:
        path: path of the file; a device or a pipe is written to directly.
        page: the HTML.
        force: whether a file that is no report may be replaced.

    Raises:
        RefusedCommand: as for `check_target`, or the page cannot be written.
    """
    check_target(path, force=force)
    try:
        if path.exists() and not path.is_file():
            path.write_text(page, encoding="utf-8")
            return
        target = path.resolve()
        descriptor, name = tempfile.mkstemp(prefix=".report-", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(page)
            temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _not_written(path, error) from error


def write_to_stdout(page: str) -> None:
    """Write the page to stdout as UTF-8, in any terminal.

    The page declares this encoding in its header.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    sys.stdout.write(page)
    sys.stdout.flush()


def _not_written(path: Path, error: OSError) -> RefusedCommand:
    return RefusedCommand(f"The report cannot be written to '{shortened(str(path), 200)}': {error.strerror or error}.")


def _is_report(path: Path) -> bool:
    if not path.is_file():
        return True
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return not head or f'content="{MARKER}"'.encode() in head


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
