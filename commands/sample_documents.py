"""Finds the sample documents, in the checkout or inside the installed package."""

import shutil
from pathlib import Path

from perdure.errors import RefusedCommand

_HERE = Path(__file__).resolve().parent


def samples_folder() -> Path:
    """Return the folder of the sample documents.

    Raises:
        RefusedCommand: the installation has no sample documents.
    """
    for folder in (_HERE.parent / "samples", _HERE / "samples"):
        if folder.is_dir():
            return folder
    raise RefusedCommand("This installation has no sample documents. Name documents of your own instead.")


def write_samples(folder: Path, copies: int) -> int:
    """Copy the sample documents to a new or empty folder; returns the number of files.

    Args:
        folder: the folder; created if it does not exist.
        copies: number of copies. With more than one, each copy goes to its own folder, `copy-001` and so on.

    Raises:
        RefusedCommand: the folder is not empty, or cannot be written.
    """
    source = samples_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RefusedCommand(f"The folder '{folder}' is not empty. Name a new folder.")
        targets = [folder / f"copy-{number:03}" for number in range(1, copies + 1)] if copies > 1 else [folder]
        for target in targets:
            shutil.copytree(source, target, dirs_exist_ok=True)
        return sum(1 for path in folder.rglob("*") if path.is_file())
    except OSError as error:
        raise RefusedCommand(f"The samples cannot be written to '{folder}': {error.strerror or error}.") from error
