"""Fixtures: recorded releases, each restored into a new data folder for the test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.upgrade.programs import Programs
from tests.upgrade.release import RELEASES, Release
from tests.upgrade.rows import adopt_files

Restore = Callable[..., AbstractContextManager[Programs]]
"""Restores a data folder, optionally changes it, and starts its servers."""


@pytest.fixture(scope="session", params=sorted(path.stem.removesuffix(".tar") for path in RELEASES.glob("*.tar.xz")))
def release(request: pytest.FixtureRequest) -> Iterator[Release]:
    """A recorded release, with its documents at their recorded path."""
    recorded = Release(request.param)
    with recorded.present_documents():
        yield recorded


@pytest.fixture(scope="session")
def restore(release: Release, session_dir: Path) -> Restore:
    """A context manager that restores the data folder and runs its servers during the block."""

    @contextmanager
    def restored(name: str, change: Callable[[Path], None] = lambda _: None) -> Iterator[Programs]:
        data_dir = session_dir / f"{release.name}-{name}"
        release.restore(data_dir)
        change(data_dir)
        programs = Programs(data_dir)
        with programs.up():
            adopt_files(programs, release.documents)
            yield programs

    return restored
