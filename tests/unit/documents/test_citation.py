"""Each offset has one page and one section."""

from hypothesis import given
from hypothesis import strategies as st

from perdure.documents.citation import Location, locate
from perdure.documents.document import Section

SECTIONS = (Section(5, 1, "One"), Section(20, 2, "Within"), Section(20, 3, "At once"), Section(40, 1, "Two"))


def test_offset_has_its_page_and_the_last_heading_before_it() -> None:
    assert locate(0, (0, 10, 30), SECTIONS) == Location(1, None)
    assert locate(5, (0, 10, 30), SECTIONS) == Location(1, "One")
    assert locate(10, (0, 10, 30), SECTIONS) == Location(2, "One")
    assert locate(29, (0, 10, 30), SECTIONS) == Location(2, "At once")
    assert locate(99, (0, 10, 30), SECTIONS) == Location(3, "Two")
    assert locate(7, (), ()) == Location(None, None)


@given(st.integers(0, 100), st.lists(st.integers(0, 100), unique=True).map(sorted))
def test_pages_count_from_one(offset: int, pages: list[int]) -> None:
    page = locate(offset, pages, ()).page
    assert page == (max(1, sum(start <= offset for start in pages)) if pages else None)
