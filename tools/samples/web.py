"""The writers of HTML and of EPUB."""

import io
from html import escape

from ebooklib import epub

from tools.samples.archive import fixed_archive
from tools.samples.source import Block, Bullets, Heading, PageBreak, Paragraph, Source, Table


def make_html(source: Source) -> bytes:
    """Return the source as an HTML page, with navigation, a script and a footer."""
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(source.title)}</title>\n'
        f'<meta name="author" content="{escape(source.author)}">\n'
        "<style>body { font-family: Georgia, serif; max-width: 42em; margin: 2em auto } "
        "td, th { border: 1px solid #999; padding: .3em .6em }</style>\n"
        "<script>window.visits = (window.visits || 0) + 1;</script>\n</head>\n<body>\n"
        '<nav><a href="/">Home</a> <a href="/news">News</a> <a href="/visit">Visit</a></nav>\n'
        f"<main>\n<h1>{escape(source.title)}</h1>\n{body_html(source.blocks)}</main>\n"
        f"<footer>{escape(str(source.header['footer']))}</footer>\n</body>\n</html>\n"
    ).encode()


def body_html(blocks: tuple[Block, ...]) -> str:
    """Return the blocks as well-formed XHTML, which EPUB requires."""
    return "".join(_element(block) for block in blocks)


def _element(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level + 1}>{escape(text)}</h{level + 1}>\n"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>\n"
        case Bullets(items):
            return "<ul>\n" + "".join(f"<li>{escape(item)}</li>\n" for item in items) + "</ul>\n"
        case Table(rows):
            lines = []
            for number, row in enumerate(rows):
                tag = "th" if number == 0 else "td"
                lines.append("<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>\n")
            return f"<table>\n{''.join(lines)}</table>\n"
        case PageBreak():
            return "<hr />\n"


def make_epub(source: Source) -> bytes:
    """Return the source as EPUB, with a chapter for each heading of level 1."""
    book = epub.EpubBook()
    book.set_identifier(str(source.header["identifier"]))
    book.set_title(source.title)
    book.set_language("en")
    book.add_author(source.author)
    chapters = []
    for number, blocks in enumerate(_chapters(source.blocks), start=1):
        heading = blocks[0]
        assert isinstance(heading, Heading)
        chapter = epub.EpubHtml(title=heading.text, file_name=f"chapter-{number:02}.xhtml", lang="en")
        chapter.content = body_html(blocks)
        book.add_item(chapter)
        chapters.append(chapter)
    book.toc = tuple(chapters)
    book.add_item(epub.EpubNcx())
    book.add_item(epub.EpubNav())
    book.spine = ["nav", *chapters]
    result = io.BytesIO()
    epub.write_epub(result, book)
    return fixed_archive(result.getvalue())


def _chapters(blocks: tuple[Block, ...]) -> list[tuple[Block, ...]]:
    starts = [place for place, block in enumerate(blocks) if isinstance(block, Heading) and block.level == 1]
    return [blocks[start:end] for start, end in zip(starts, [*starts[1:], len(blocks)], strict=True)]
