"""Extracts HTML: the text that a browser would show, in its order."""

import html
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from perdure.documents.document import Section, Table
from perdure.documents.extraction.charset import decode_text
from perdure.documents.extraction.extracted import Extracted, ExtractionInput
from perdure.documents.extraction.flow import Flow
from perdure.documents.extraction.open_table import OpenTable

MAX_DEPTH = 2_000
"""Parsers take quadratic time for deeper nesting, which no real page needs."""

_INVISIBLE = ["script", "style", "template", "noscript", "head", "svg", "iframe", "object"]
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br caption dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 "
        "h5 h6 header hr li main nav ol option p pre section select summary table tbody tfoot thead title tr ul",
    )
)
_CELLS = frozenset(("td", "th"))
_SEPARATE_LINES = frozenset(("tr", "li", "dt", "dd", "option"))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_METAS = {
    "author": "author", "dc.creator": "author", "dcterms.creator": "author", "citation_author": "author",
    "article:published_time": "created", "date": "created", "dc.date": "created", "dcterms.created": "created",
    "citation_publication_date": "created", "pubdate": "created",
    "article:modified_time": "modified", "last-modified": "modified", "dcterms.modified": "modified",
    "content-language": "language", "dc.language": "language", "og:locale": "language",
    "description": "description", "keywords": "keywords", "generator": "generator",
}  # fmt: skip
_MAX_METAS = 1_000
# These elements have no end tag, or end where the next element of their kind begins, so they do not nest.
_FLAT = frozenset(
    re.findall(r"\w+", "area base br col embed hr img input link meta source track wbr p li td th tr dt dd option a")
)
# Each pattern stops at the next bracket: brackets that are never closed would take quadratic time otherwise.
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)[^<>]*?(/?)>")
_ANY_TAG = re.compile(r"<[!/?a-zA-Z][^<>]*>")
_CODE = re.compile(r"<(script|style)\b[^<>]*>")
_DECLARED = re.compile(rb"<meta[^<>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_DECLARED_WITHIN = 4096
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r" ?\n[ \n]*\n ?")


def extract_html(document: ExtractionInput) -> Extracted:
    """Return the visible text, title, headings, tables and properties of a page.

    Raises:
        UnsupportedFormat: the file is no text.
    """
    declared = _DECLARED.search(document.content[:_DECLARED_WITHIN])
    return read_markup(decode_text(document.content, declared.group(1).decode("ascii") if declared else None))


def read_markup(markup: str) -> Extracted:
    """Return the same as `extract_html` for markup that is decoded already.

    Where the tags are nested more than `MAX_DEPTH` deep, the result is the text between them, with a warning.
    """
    if _measure_depth(markup) > MAX_DEPTH:
        warning = f"The HTML's tags are nested more than {MAX_DEPTH} deep; only the text between them was read."
        return Extracted(_tidy(_extract_between_tags(markup)), warnings=(warning,))
    tree = LexborHTMLParser(markup)
    title = tree.css_first("title")
    page_title = _tidy(title.text()) if title else None
    properties = _read_properties(tree)
    tree.strip_tags(_INVISIBLE, recursive=True)
    reading = _Reading()
    if body := tree.body or tree.root:
        reading.walk(body)
    main = next((section.heading for section in reading.sections if section.level == 1), None)
    return Extracted(
        reading.flow.text(),
        page_title or main,
        properties=properties,
        sections=tuple(reading.sections),
        tables=tuple(reading.tables),
    )


def _read_properties(tree: LexborHTMLParser) -> dict[str, str]:
    root = tree.css_first("html")
    properties = {"language": (root.attributes.get("lang") or root.attributes.get("xml:lang") or "") if root else ""}
    for meta in tree.css("meta[content]")[:_MAX_METAS]:
        attributes = meta.attributes
        key = (attributes.get("name") or attributes.get("property") or attributes.get("http-equiv") or "").lower()
        name = _METAS.get(key)
        content = (attributes.get("content") or "").strip()
        if name and content and not properties.get(name):
            properties[name] = content
    return {key: value for key, value in properties.items() if value}


class _Reading:
    """Collects the text of elements, with the offsets of headings and tables in it."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.sections: list[Section] = []
        self.tables: list[Table] = []
        self._open: list[OpenTable] = []
        self._cells: list[int] = []
        self._heading: tuple[LexborNode, int, int] | None = None
        self._preformatted = 0

    def walk(self, root: LexborNode) -> None:
        """Add the text of an element and of all elements below it.

        The method does not call itself, because pages decide how deep elements are nested.
        """
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, entered = stack.pop()
            if entered:
                self._leave(node, str(node.tag))
            elif node.tag == "-text":
                (self.flow.write_lines if self._preformatted else self.flow.write)(node.text_content or "")
            else:
                self._enter(node, str(node.tag))
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(list(node.iter(include_text=True))))

    def _enter(self, node: LexborNode, tag: str) -> None:
        self._separate(tag)
        if tag == "img" and node.attributes.get("alt"):
            self.flow.write(f" {node.attributes['alt']} ")
        elif tag == "pre":
            self._preformatted += 1
        elif tag in _HEADINGS and self._heading is None:
            self._heading = node, self.flow.next, self.flow.mark()
        elif tag == "table":
            if self._open:
                self._open[-1].nested = True
            self._open.append(OpenTable(self.flow.next))
        elif tag == "tr" and self._open:
            self._open[-1].begin_row()
        elif tag in _CELLS:
            self._cells.append(self.flow.mark())

    def _leave(self, node: LexborNode, tag: str) -> None:
        if tag == "pre":
            self._preformatted -= 1
        elif self._heading and node == self._heading[0]:
            _, offset, mark = self._heading
            self._heading = None
            if heading := self.flow.since(mark):
                self.sections.append(Section(offset, int(tag[1]), heading))
        elif tag == "table" and self._open:
            table = self._open.pop()
            if table.is_data():
                rows = tuple(map(tuple, table.rows))
                self.tables.append(Table(table.start, self.flow.end, rows, cut=table.cut))
        elif tag == "tr" and self._open:
            self._open[-1].end_row()
        elif tag in _CELLS and self._cells:
            mark = self._cells.pop()
            if self._open and not self._open[-1].nested:
                spans = node.attributes
                self._open[-1].add(self.flow.since(mark), spans.get("colspan"), spans.get("rowspan"))
        if tag != "br":
            self._separate(tag)

    def _separate(self, tag: str) -> None:
        """Ask for the gap that an element of this kind has before and after it."""
        if tag == "br":
            self.flow.break_line()
        elif tag in _BLOCKS:
            self.flow.separate("\n" if tag in _SEPARATE_LINES else "\n\n")
        elif tag in _CELLS:
            self.flow.separate("\t")


def _tidy(text: str) -> str:
    text = _BLANKS.sub(" ", text)
    return _LINES.sub("\n\n", re.sub(r" ?\n ?", "\n", text)).strip()


def _measure_depth(markup: str) -> int:
    deepest = depth = 0
    for closing, name, empty in _TAG.findall(markup):
        if empty or name.lower() in _FLAT:
            continue
        depth = max(0, depth - 1) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _extract_between_tags(markup: str) -> str:
    pieces = []
    position = 0
    while code := _CODE.search(markup, position):
        pieces.append(markup[position : code.start()])
        end = markup.find(f"</{code.group(1)}", code.end())
        position = len(markup) if end < 0 else end
    pieces.append(markup[position:])
    return html.unescape(_ANY_TAG.sub("\n", "".join(pieces)))
