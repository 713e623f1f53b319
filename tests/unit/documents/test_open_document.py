"""OpenDocument: every word that a reader sees, none that was deleted, slides as pages."""

import io

import pytest
from odf.draw import Frame, Page, TextBox
from odf.opendocument import OpenDocumentPresentation
from odf.style import MasterPage, PageLayout
from odf.text import P

from perdure.documents.citation import locate
from perdure.documents.extraction import Extracted, extract
from perdure.documents.sniffing import ODP, sniff
from perdure.errors import DamagedDocument
from tests.unit.documents import made_documents as made

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
    return extract(content, sniff(content, "x"))


def test_a_reader_sees_notes_lists_and_nested_tables_and_no_deleted_words() -> None:
    found = read(made.changed(made.open_document(), "content.xml", lambda _: BODY.encode()))
    assert found.text.split("\n\n") == [
        *("Rents rise", "one\ntwo three 1 noted four", "first", "second", "a b\tc", "in\tner")
    ]
    assert [(one.offset, one.level, one.heading) for one in found.sections] == [(0, 2, "Rents rise")]
    assert [table.rows for table in found.tables] == [(("a b", "c", "c"),), (("in", "ner"),)]
    assert [found.text[table.start : table.end] for table in found.tables] == ["a b\tc", "in\tner"]


def test_slides_are_pages() -> None:
    deck, out = OpenDocumentPresentation(), io.BytesIO()
    layout = PageLayout(name="L")
    deck.automaticstyles.addElement(layout)
    master = MasterPage(name="M", pagelayoutname=layout)
    deck.masterstyles.addElement(master)
    for words in ("Rents", "Berths"):
        page = Page(masterpagename=master)
        frame, box = Frame(width="5cm", height="1cm"), TextBox()
        box.addElement(P(text=f"{words} of the harbour"))
        frame.addElement(box)
        page.addElement(frame)
        deck.presentation.addElement(page)
    deck.save(out)
    assert sniff(out.getvalue(), "x") == ODP
    found = read(out.getvalue())
    assert [locate(found.text.find(word), found.page_offsets, ()).page for word in ("Rents", "Berths")] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"<a>", b"not xml", BODY.encode()[:600]])
def test_a_broken_content_is_damage(content: bytes) -> None:
    with pytest.raises(DamagedDocument):
        read(made.changed(made.open_document(), "content.xml", lambda _: content))


def test_nesting_beyond_sense_takes_little_time() -> None:
    deep = b"<text:section>" * 20_000 + b"<text:p>deep</text:p>" + b"</text:section>" * 20_000
    body = BODY.encode().replace(b"<text:tracked-changes>", deep + b"<text:tracked-changes>")
    assert read(made.changed(made.open_document(), "content.xml", lambda _: body)).text.startswith("deep")
