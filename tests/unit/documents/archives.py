"""ZIP and TAR archives for tests."""

import io
import tarfile
import zipfile
from pathlib import Path


def make_zip(path: Path, *members: tuple[str, bytes]) -> Path:
    """Write a ZIP archive of these names and contents, and return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def make_tar(path: Path, mode: str, *members: tuple[str, bytes]) -> Path:
    """Write a TAR archive of these names and contents in a mode of `tarfile.open`, and return its path."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is a variable
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
