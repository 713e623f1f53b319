"""Finished parts are returned as they were added; unreadable parts are computed again."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from perdure.sandbox import parts as parts_module
from perdure.sandbox.parts import KeptParts, Parts, current_parts, use_parts

# A part that release 0.3.0 stored: the mentions of a slice, as objects of `perdure.documents.document.Mention`.
PART_OF_0_3_0 = (
    b"\x80\x05\x95|\x00\x00\x00\x00\x00\x00\x00\x8c\thash None\x94}\x94\x8c\x08mentions\x94]\x94K\x00K\x05]\x94"
    b"\x8c\x1aperdure.documents.document\x94\x8c\x07Mention\x94\x93\x94)\x81\x94]\x94(K\x00K\x03\x8c\x06person\x94"
    b"\x8c\x03Ada\x94\x8c\x03ada\x94G?\xe8\x00\x00\x00\x00\x00\x00eba\x87\x94as\x86\x94."
)
PAGE_OF_0_3_0 = (
    b"\x80\x05\x953\x00\x00\x00\x00\x00\x00\x00\x8c\thash None\x94}\x94\x8c\x05pages\x94]\x94\x8c\x07A page.\x94"
    b"\x8c\x07written\x94\x86\x94as\x86\x94."
)


@dataclass
class Ours:
    """A class that parts may not hold."""


@pytest.fixture(autouse=True)
def _send_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "SEND_EVERY_SECONDS", 0.0)


@pytest.fixture
def kept() -> Iterator[KeptParts]:
    kept = KeptParts()
    yield kept
    kept.close()


def sent(content: str, *parts: object) -> list[bytes]:
    """The bytes of each part."""
    received: list[bytes] = []
    sender = Parts(send=lambda _, part: received.append(part))
    sender.begin(content)
    for part in parts:
        sender.add("kind", part, "progress")
    return received


def read(content: str, earlier: bytes) -> list[object]:
    reader = Parts(earlier)
    reader.begin(content)
    return reader.of("kind")


def test_parts_return_in_the_order_in_which_they_were_added() -> None:
    values: list[object] = [(1, 2.5, "text"), [None, b"bytes"], {"key": ("nested",)}]
    assert read("hash", b"".join(sent("hash", *values))) == values


def test_parts_of_other_content_are_skipped() -> None:
    assert read("hash", b"".join([*sent("other", 1), *sent("hash", 2), *sent("other", 3)])) == [2]


@pytest.mark.parametrize(
    "unreadable",
    [
        pytest.param(pickle.dumps(("hash", {"kind": [Ours()]})), id="class"),
        pytest.param(pickle.dumps(("hash", {"kind": [print]})), id="function"),
        pytest.param(pickle.dumps("text"), id="other shape"),
        pytest.param(pickle.dumps(("hash", None)), id="no mapping"),
        pytest.param(b"nonsense", id="no pickle"),
    ],
)
def test_parts_from_the_first_unreadable_one_on_are_ignored(unreadable: bytes) -> None:
    readable = b"".join(sent("hash", 1, 2))
    assert read("hash", readable + unreadable) == [1, 2]
    assert read("hash", unreadable + readable) == []


def test_parts_before_a_cut_off_one_are_read() -> None:
    (first, second) = sent("hash", 1, 2)
    assert read("hash", first + second[:-3]) == [1]


def test_parts_of_0_3_0_are_read_where_they_hold_no_class() -> None:
    reader = Parts(PAGE_OF_0_3_0 + PART_OF_0_3_0)
    reader.begin("hash None")
    assert reader.of("pages") == [("A page.", "written")]
    assert reader.of("mentions") == []


def test_parts_are_dropped_outside_of_a_pool() -> None:
    current_parts().add("kind", 1, "progress")
    with use_parts(Parts(b"earlier")) as _:
        assert current_parts()._earlier == b"earlier"
    assert current_parts()._earlier == b""


def test_kept_parts_return_as_they_were_and_are_bounded(kept: KeptParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MAX_KEPT_BYTES", 6 * 1024 * 1024)
    kept.add(b"a" * 5_000_000)
    assert kept.read_all() == b"a" * 5_000_000
    kept.add(b"b" * 5_000_000)
    kept.add(b"c")
    assert kept.read_all() == b"a" * 5_000_000 + b"c"
