"""The page is safe to open: document text is never markup, and no resource is loaded."""

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from perdure.report.data import Counts, GraphPicture, Interruption, Node
from perdure.report.page import MARKER, render
from perdure.report.svg import COLOURS
from tests.unit.report.sample import HOSTILE, after, empty_run, full_run

VOID = {"meta", "br", "img", "link", "input", "hr"}
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


class Elements(HTMLParser):
    """Parses a page, and asserts that its elements are well nested."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the element, and open it unless it is void."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element without content."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Assert that this element is the one opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Append to the text of the page."""
        self.text += data


RUNS = {
    "full": full_run(),
    "hostile": full_run(HOSTILE),
    "other scripts": full_run("港 信託 עמותה مؤسسة 🦉"),
    "empty": empty_run(),
    "ended without documents": empty_run("completed"),
    "graph with a single node": replace(empty_run("failed"), graph=GraphPicture([Node("a", "Ada", "person", 1)])),
}


@cache
def rendered(name: str) -> str:
    """Return the page of a run of `RUNS`."""
    return render(RUNS[name])


@pytest.fixture(params=RUNS)
def page(request: pytest.FixtureRequest) -> str:
    """The page of each run of `RUNS`."""
    return rendered(request.param)


def test_page_and_drawings_are_well_formed_and_ids_are_unique(page: str) -> None:
    ids = [value for name, value in Elements(page).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for drawing in SVG.findall(page):
        root = ET.fromstring(drawing)
        assert root.attrib["viewBox"]
        assert "width" not in root.attrib  # a drawing adapts to the width of the page
        title, description = list(root)[:2]
        assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], description.attrib["id"]]


def test_page_loads_no_resource_and_has_no_script(page: str) -> None:
    elements = Elements(page)
    assert not {"script", "img", "link", "iframe", "object", "image", "a", "foreignobject"} & set(elements.tags)
    for name, value in elements.attributes:
        assert not name.startswith("on")
        assert name != "src"
        if name.endswith("href"):
            assert value.startswith("#")
        for target in re.findall(r"url\(([^)]*)\)", value):
            assert target.startswith("#")
    assert "@import" not in page
    assert not re.search(r"<!DOCTYPE(?! html>)|<\?xml", page)


def test_references_inside_drawings_have_targets(page: str) -> None:
    attributes = Elements(page).attributes
    ids = {value for name, value in attributes if name == "id"}
    referred = {value[1:] for name, value in attributes if name.endswith("href")}
    referred |= {target for _, value in attributes for target in re.findall(r"url\(#([^)]*)\)", value)}
    assert referred <= ids


def test_drawings_use_only_colours_of_the_page(page: str) -> None:
    style, _, body = page.partition("</style>")
    assert not re.search(r"#[0-9a-f]{6}", "".join(SVG.findall(body)))
    for name in set(re.findall(r"var\(--([\w-]+)\)", body)):
        light, dark = style.split("prefers-color-scheme: dark")
        assert f"--{name}:" in light
        assert f"--{name}:" in dark
    assert set(COLOURS) <= set(re.findall(r"--([\w-]+):", style))


def test_same_data_gives_the_same_page() -> None:
    assert render(full_run(HOSTILE)) == rendered("hostile")


def test_hostile_text_is_shown_as_text() -> None:
    text = Elements(rendered("hostile")).text
    assert "<script>alert('x')</script>" in text
    assert "$x_2$" in text
    assert "{{ 7*7 }}" in text
    assert not set("\x07\u202e") & set(text)


def test_first_sentence_summarises_the_run() -> None:
    page = rendered("full")
    assert (
        "Completed with failures: 10 of 12 documents processed, 2 quarantined with a reason, in 1\xa0min\xa040\xa0s; "
        "the run survived 1 crash and 1 loss of stored data and was resumed once." in page
    )
    assert "Still in progress: 0 of 0 documents processed, so far in" in rendered("empty")
    assert "The run is still in progress" in rendered("empty")
    assert "The run is still in progress" not in page


def test_page_counts_the_omitted_items() -> None:
    text = Elements(rendered("full")).text
    assert "and 6 more" in text
    assert "10 of 900 drawn" in text


def test_history_replaces_retries_since_its_start() -> None:
    retries = [Interruption(after(seconds), "retry", "from the database") for seconds in (10, 60)]
    run = replace(full_run(), interruptions=[*retries, Interruption(after(70), "resumption", "from the database")])
    recorded = [
        Interruption(after(55), "crash", "from history"),
        Interruption(after(71), "worker", "part of the resumption"),
        Interruption(after(1000), "crash", "of a later run"),
    ]
    merged = run.with_history(recorded, after(50)).interruptions
    assert [(event.time, event.kind, event.note) for event in merged] == [
        (after(10), "retry", "from the database"),
        (after(55), "crash", "from history"),
        (after(70), "resumption", "from the database"),
    ]
    assert run.with_history([], None) == run


def test_page_of_a_large_run_is_small() -> None:
    counts = Counts(total=10**6, processed=10**6, quality=0.5)
    assert len(render(replace(full_run("x" * 500), counts=counts)).encode()) < 1_000_000
    assert MARKER in rendered("empty")[:1000]
