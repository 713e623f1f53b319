"""HTML: the text that a reader would see, in the order in which it stands."""

import html
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from perdure.documents.document import Section, Table
from perdure.documents.extraction.charset import decoded
from perdure.documents.extraction.extracted import Extracted
from perdure.documents.extraction.flow import Flow
from perdure.documents.extraction.open_table import OpenTable

MAX_DEPTH = 2_000
"""Deeper nesting has no meaning to a reader and takes parsers quadratic time."""

_INVISIBLE = ["script", "style", "template", "noscript", "head", "svg", "iframe", "object"]
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br caption dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 "
        "h5 h6 header hr li main nav ol option p pre section select summary table tbody tfoot thead title tr ul",
    )
)
_CELLS = frozenset(("td", "th"))
_LINES_OF_THEIR_OWN = frozenset(("tr", "li", "dt", "dd", "option"))
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
# Elements without an end, and those that the next of their kind ends: they do not nest.
_FLAT = frozenset(
    re.findall(r"\w+", "area base br col embed hr img input link meta source track wbr p li td th tr dt dd option a")
)
# None of these looks beyond the next bracket, so none takes quadratic time on brackets that are never closed.
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)[^<>]*?(/?)>")
_ANY_TAG = re.compile(r"<[!/?a-zA-Z][^<>]*>")
_CODE = re.compile(r"<(script|style)\b[^<>]*>")
_DECLARED = re.compile(rb"<meta[^<>]+charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_DECLARED_WITHIN = 4096
_BLANKS, _LINES = re.compile(r"[ \t\r\f\v\u00a0]+"), re.compile(r" ?\n[ \n]*\n ?")


def extract_html(content: bytes, media_type: str) -> Extracted:  # noqa: ARG001 - the shape of every extractor
    """Visible text, title and the usual properties; of tags nested beyond any sense, the text between them.

    Raises:
        UnsupportedFormat: it is no text.
    """
    declared = _DECLARED.search(content[:_DECLARED_WITHIN])
    return html_text(decoded(content, declared.group(1).decode("ascii") if declared else None))


def html_text(markup: str) -> Extracted:
    """The same, of markup that is decoded already."""
    if _depth(markup) > MAX_DEPTH:
        warning = f"The HTML's tags are nested more than {MAX_DEPTH} deep; only the text between them was read."
        return Extracted(_tidy(_between_tags(markup)), warnings=(warning,))
    tree = LexborHTMLParser(markup)
    title = tree.css_first("title")
    named = _tidy(title.text()) if title else None
    properties = _properties(tree)
    tree.strip_tags(_INVISIBLE, recursive=True)
    reading = _Reading()
    if body := tree.body or tree.root:
        reading.walk(body)
    main = next((section.heading for section in reading.sections if section.level == 1), None)
    return Extracted(
        reading.flow.text(),
        named or main,
        properties=properties,
        sections=tuple(reading.sections),
        tables=tuple(reading.tables),
    )


def _properties(tree: LexborHTMLParser) -> dict[str, str]:
    root = tree.css_first("html")
    found = {"language": (root.attributes.get("lang") or root.attributes.get("xml:lang") or "") if root else ""}
    for meta in tree.css("meta[content]")[:_MAX_METAS]:
        attributes = meta.attributes
        key = (attributes.get("name") or attributes.get("property") or attributes.get("http-equiv") or "").lower()
        name, content = _METAS.get(key), (attributes.get("content") or "").strip()
        if name and content and not found.get(name):
            found[name] = content
    return {key: value for key, value in found.items() if value}


class _Reading:
    """Walks through the elements, and notes where headings and tables come to stand."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.sections: list[Section] = []
        self.tables: list[Table] = []
        self._open: list[OpenTable] = []
        self._cells: list[int] = []
        self._heading: tuple[LexborNode, int, int] | None = None
        self._preformatted = 0

    def walk(self, root: LexborNode) -> None:
        """Without recursion, since pages decide on the depth."""
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
        self._part(tag)
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
            self._part(tag)

    def _part(self, tag: str) -> None:
        """What stands before and after an element of this kind stands apart."""
        if tag == "br":
            self.flow.break_line()
        elif tag in _BLOCKS:
            self.flow.separate("\n" if tag in _LINES_OF_THEIR_OWN else "\n\n")
        elif tag in _CELLS:
            self.flow.separate("\t")


def _tidy(text: str) -> str:
    text = _BLANKS.sub(" ", text)
    return _LINES.sub("\n\n", re.sub(r" ?\n ?", "\n", text)).strip()


def _depth(markup: str) -> int:
    deepest = depth = 0
    for closing, name, empty in _TAG.findall(markup):
        if empty or name.lower() in _FLAT:
            continue
        depth = max(0, depth - 1) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _between_tags(markup: str) -> str:
    pieces, position = [], 0
    while code := _CODE.search(markup, position):
        pieces.append(markup[position : code.start()])
        end = markup.find(f"</{code.group(1)}", code.end())
        position = len(markup) if end < 0 else end
    pieces.append(markup[position:])
    return html.unescape(_ANY_TAG.sub("\n", "".join(pieces)))
