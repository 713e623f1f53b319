"""HTML: the text that a reader would see, in the order in which it stands."""

import html
import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from perdure.documents.extraction.charset import decoded
from perdure.documents.extraction.extracted import Extracted

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
    author = tree.css_first("meta[name=author]")
    language = tree.css_first("html")
    found = {
        "author": author.attributes.get("content") if author else None,
        "language": language.attributes.get("lang") if language else None,
    }
    named = _tidy(title.text()) if title else None
    tree.strip_tags(_INVISIBLE, recursive=True)
    body = tree.body or tree.root
    return Extracted(
        _tidy("".join(_pieces(body))) if body else "",
        named or None,
        properties={key: value for key, value in found.items() if value},
    )


def _pieces(root: LexborNode) -> list[str]:
    pieces: list[str] = []
    for node in root.traverse(include_text=True):
        if node.tag in ("-text", "#text"):
            # Line breaks in the source are only spaces, and only block elements break lines.
            pieces.append((node.text_content or "").replace("\n", " "))
        elif node.tag in _BLOCKS:
            pieces.append("\n" if node.tag in ("br", "tr", "li") else "\n\n")
        elif node.tag in _CELLS:
            pieces.append("\t")
        if node.tag == "img" and node.attributes.get("alt"):
            pieces.append(f" {node.attributes['alt']} ")
    return pieces


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
