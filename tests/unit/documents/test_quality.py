"""The quality score lies between 0 and 1, and falls with each loss."""

from hypothesis import given
from hypothesis import strategies as st

from perdure.documents.extraction import Extracted
from perdure.documents.quality import quality_score

PROSE = "The quay wall was finished in the autumn, and the lamp was lit again. " * 20


@given(st.text(max_size=3000))
def test_score_stays_between_0_and_1(text: str) -> None:
    assert 0.0 <= quality_score(Extracted(text)) <= 1.0


def test_score_is_0_without_text_and_falls_with_losses() -> None:
    broken = "".join("\ufffd" if index % 3 == 0 else character for index, character in enumerate(PROSE))
    half = Extracted(PROSE + "\n\n", page_offsets=(0, len(PROSE)))
    assert quality_score(Extracted("  ")) == 0.0
    assert quality_score(Extracted(PROSE)) > 0.9
    assert quality_score(Extracted(broken)) < 0.6
    assert quality_score(half) < quality_score(Extracted(PROSE)) - 0.2
    assert quality_score(Extracted(PROSE, warnings=("a.",))) < quality_score(Extracted(PROSE))
