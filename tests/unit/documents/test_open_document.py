"""OpenDocument files give every visible word and no deleted one; each slide is a page."""

import pytest

from perdure.documents.citation import locate
from perdure.documents.extraction import Extracted, extract
from perdure.documents.sniffing import sniff
from perdure.errors import DamagedDocument
from tests.unit.documents import made_documents as made
from tests.unit.documents.samples_of_formats import make_presentation

BODY = """<?xml version="1.0"?>
<office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b" xmlns:draw="d"><office:body><office:text>
<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>
<text:section><text:h text:outline-level="2">Rents<text:s text:c="2"/>rise</text:h></text:section>
<text:p>one<text:line-break/>two<text:tab/>three<text:note><text:note-citation>1</text:note-citation>
<text:note-body><text:p>noted</text:p></text:note-body></text:note> four</text:p>
<text:list><text:list-item><text:p>first</text:p></text:list-item>
<text:list-item><text:p>second</text:p></text:list-item>
</text:list><table:table><table:table-row><table:table-cell><text:p>a</text:p><text:p>b</text:p></table:table-cell>
<table:table-cell table:number-columns-repeated="2"><text:p>c</text:p></table:table-cell></table:table-row>
</table:table><table:table><table:table-row><table:table-cell><table:table><table:table-row><table:table-cell><text:p>in</text:p>
</table:table-cell><table:table-cell><text:p>ner</text:p></table:table-cell></table:table-row></table:table>
</table:table-cell></table:table-row></table:table></office:text></office:body></office:document-content>"""


def read(content: bytes) -> Extracted:
    """Return what the extractor finds."""
    return extract(content, sniff(content, "x"))


def test_text_has_notes_lists_nested_tables_and_no_deleted_words() -> None:
    extracted = read(made.change_member(made.make_open_document(), "content.xml", lambda _: BODY.encode()))
    assert extracted.text.split("\n\n") == [
        "Rents rise",
        "one\ntwo three 1 noted four",
        "first",
        "second",
        "a b\tc",
        "in\tner",
    ]
    assert [(section.offset, section.level, section.heading) for section in extracted.sections] == [
        (0, 2, "Rents rise")
    ]
    assert [table.rows for table in extracted.tables] == [(("a b", "c", "c"),), (("in", "ner"),)]
    assert [extracted.text[table.start : table.end] for table in extracted.tables] == ["a b\tc", "in\tner"]


def test_slides_are_pages() -> None:
    content = make_presentation("Rents of the harbour", "Berths of the harbour")
    assert sniff(content, "x") == "application/vnd.oasis.opendocument.presentation"
    extracted = read(content)
    assert [locate(extracted.text.find(word), extracted.page_offsets, ()).page for word in ("Rents", "Berths")] == [
        1,
        2,
    ]


@pytest.mark.parametrize("content", [b"", b"<a>", b"not xml", BODY.encode()[:600]])
def test_broken_content_is_damage(content: bytes) -> None:
    with pytest.raises(DamagedDocument):
        read(made.change_member(made.make_open_document(), "content.xml", lambda _: content))


def test_deep_nesting_takes_little_time() -> None:
    deep = b"<text:section>" * 20_000 + b"<text:p>deep</text:p>" + b"</text:section>" * 20_000
    body = BODY.encode().replace(b"<text:tracked-changes>", deep + b"<text:tracked-changes>")
    assert read(made.change_member(made.make_open_document(), "content.xml", lambda _: body)).text.startswith("deep")
