"""A text with finished slices gets the mentions that it gets without finished slices."""

from typing import Any

import pytest

from perdure.analysis import mentions as mentions_module
from perdure.analysis.mentions import PIECE_CHARACTERS, SpacyRecogniser, split_into_slices
from perdure.analysis.resumable_recogniser import ResumableRecogniser
from tests.unit.analysis.texts import LETTER

TEXT = (LETTER + "\n\n") * (4 * PIECE_CHARACTERS // len(LETTER))


class KeptParts:
    """Keeps parts in a list, and notes the progress."""

    def __init__(self, finished: list[Any]) -> None:
        self.finished = finished
        self.added: list[Any] = []
        self.progress: list[str] = []

    def of(self, _: str) -> list[Any]:
        return self.finished

    def add(self, _: str, part: Any, progress: str) -> None:
        self.added.append(part)
        self.progress.append(progress)


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentions_module, "SLICE_PIECES", 1)


def test_finished_slices_are_not_recognised_again() -> None:
    expected = list(SpacyRecogniser().recognise(TEXT))
    bounds = list(split_into_slices(TEXT))
    first = KeptParts([])
    assert list(ResumableRecogniser(first, str).recognise(TEXT)) == expected
    assert first.progress == [str(end) for _, end in bounds]
    for count in (1, 3, len(bounds)):
        later = KeptParts(first.added[:count])
        assert list(ResumableRecogniser(later, str).recognise(TEXT)) == expected
        assert [part[:2] for part in later.added] == bounds[count:]
