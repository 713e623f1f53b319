"""Where a report is written: whole or not at all, and never over a file that is none."""

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
    """In the current folder, named as the run's checkpoint file is."""
    return Path(f"{file_stem(workflow_id)}{SUFFIX}")


def check_target(path: Path, *, force: bool) -> None:
    """See, before there is any work done, that a report may be written there.

    Raises:
        RefusedCommand: it is a folder or in none, or what is there is no report and `force` is not set.
    """
    try:
        if path.is_dir():
            raise RefusedCommand(f"'{path}' is a folder: name a file for the report.")
        if not path.absolute().parent.is_dir():
            raise RefusedCommand(f"There is no folder '{path.parent}' to write the report to.")
        if path.exists() and not force and not _is_report(path):
            raise RefusedCommand(f"'{path}' is there and is no report; --force replaces it all the same.")
    except OSError as error:
        raise _not_written(path, error) from error


def write_page(path: Path, page: str, *, force: bool) -> None:
    """Put the page there in one step.

    Raises:
        RefusedCommand: as `check_target`, or it cannot be written to.
    """
    check_target(path, force=force)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe takes what is written to it
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
    """The page as UTF-8, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(page.encode())
    sys.stdout.buffer.flush()


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
