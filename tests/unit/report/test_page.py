"""The page is safe to open and to send: nothing from a document is markup, and nothing is loaded from anywhere."""

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
    """Every element and attribute; fails where an element is closed that is not the open one."""

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
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


RUNS = {
    "full": full_run(),
    "hostile": full_run(HOSTILE),
    "of other scripts": full_run("港 信託 עמותה مؤسسة 🦉"),
    "empty": empty_run(),
    "nothing in it at its end": empty_run("completed"),
    "a graph of one": replace(empty_run("failed"), graph=GraphPicture([Node("a", "Ada", "person", 1)])),
}


@cache
def rendered(name: str) -> str:
    return render(RUNS[name])


@pytest.fixture(params=RUNS)
def page(request: pytest.FixtureRequest) -> str:
    return rendered(request.param)


def test_page_and_drawings_are_well_formed_and_ids_are_unique(page: str) -> None:
    ids = [value for name, value in Elements(page).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for drawing in SVG.findall(page):
        root = ET.fromstring(drawing)
        assert root.attrib["viewBox"]
        assert "width" not in root.attrib  # it takes the width that there is
        title, description = root[0], root[1]
        assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], description.attrib["id"]]


def test_nothing_is_loaded_and_nothing_runs(page: str) -> None:
    found = Elements(page)
    assert not {"script", "img", "link", "iframe", "object", "image", "a", "foreignobject"} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on")
        assert name != "src"
        if name.endswith("href"):
            assert value.startswith("#")
        for target in re.findall(r"url\(([^)]*)\)", value):
            assert target.startswith("#")
    assert "@import" not in page
    assert not re.search(r"<!DOCTYPE(?! html>)|<\?xml", page)


def test_every_reference_inside_a_drawing_leads_somewhere(page: str) -> None:
    attributes = Elements(page).attributes
    ids = {value for name, value in attributes if name == "id"}
    referred = {value[1:] for name, value in attributes if name.endswith("href")}
    referred |= {target for _, value in attributes for target in re.findall(r"url\(#([^)]*)\)", value)}
    assert referred <= ids


def test_all_colours_are_those_of_the_page(page: str) -> None:
    style, _, body = page.partition("</style>")
    assert not re.search(r"#[0-9a-f]{6}", "".join(SVG.findall(body)))
    for name in set(re.findall(r"var\(--([\w-]+)\)", body)):
        light, dark = style.split("prefers-color-scheme: dark")
        assert f"--{name}:" in light
        assert f"--{name}:" in dark
    assert set(COLOURS) <= set(re.findall(r"--([\w-]+):", style))


def test_a_page_is_the_same_each_time() -> None:
    assert render(full_run(HOSTILE)) == rendered("hostile")


def test_hostile_texts_are_shown_as_the_texts_they_are() -> None:
    found = Elements(rendered("hostile"))
    assert "<script>alert('x')</script>" in found.text
    assert "$x_2$" in found.text
    assert "{{ 7*7 }}" in found.text
    assert not set("\x07\u202e") & set(found.text)


def test_the_first_sentence_says_how_it_went() -> None:
    page = rendered("full")
    assert (
        "Completed with failures: 10 of 12 documents processed, 2 quarantined with a reason, in 1\xa0min\xa040\xa0s; "
        "it survived 1 crash and 1 loss of stored data and was resumed once." in page
    )
    assert "Still in progress: 0 of 0 documents processed, so far in" in rendered("empty")
    assert "The run is still in progress" in rendered("empty")
    assert "The run is still in progress" not in page


def test_what_is_left_out_is_counted() -> None:
    text = Elements(rendered("full")).text
    assert "and 6 more" in text
    assert "10 of 900 drawn" in text


def test_history_takes_the_place_of_guesses_as_far_back_as_it_reaches() -> None:
    guesses = [Interruption(after(at), "retry", "guessed") for at in (10, 60)]
    run = replace(full_run(), interruptions=[*guesses, Interruption(after(70), "resumption", "known")])
    told = [
        Interruption(after(55), "crash", "told"),
        Interruption(after(71), "worker", "comes with the resumption"),
        Interruption(after(1000), "crash", "of a later run"),
    ]
    merged = run.with_history(told, after(50)).interruptions
    assert [(one.time, one.note) for one in merged] == [
        (after(10), "guessed"),
        (after(55), "told"),
        (after(70), "known"),
    ]
    assert run.with_history([], None) == run


def test_a_large_run_makes_a_small_page() -> None:
    counts = Counts(total=10**6, processed=10**6, quality=0.5)
    assert len(render(replace(full_run("x" * 500), counts=counts)).encode()) < 1_000_000
    assert MARKER in rendered("empty")[:1000]
