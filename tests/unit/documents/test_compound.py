"""The reader of a damaged or hostile compound file always comes to an end."""

import struct

import pytest

from perdure.documents.recognition.compound import MAGIC, CompoundFile

SECTOR = 512
FREE = 0xFFFFFFFF
END = 0xFFFFFFFE


def make_entry(name: str, kind: int, left: int = FREE, child: int = FREE) -> bytes:
    raw = name.encode("utf-16-le") + b"\0\0"
    links = struct.pack("<III", left, FREE, child)
    return (
        raw.ljust(64, b"\0") + struct.pack("<HBB", len(raw), kind, 1) + links + bytes(36) + struct.pack("<III", 0, 0, 0)
    )


def make_file(entries: list[bytes], chain: int = END) -> bytes:
    """Return a file with its allocation table in sector 0 and its directory in sector 1.

    The sector after the directory's sector in its chain is `chain`.
    """
    header = MAGIC + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<9I", 0, 1, 1, 0, 4096, END, 0, END, 0) + struct.pack("<I", 0)
    header = header.ljust(SECTOR, b"\xff")
    table = struct.pack("<II", 0xFFFFFFFD, chain).ljust(SECTOR, b"\xff")
    return header + table + b"".join(entries).ljust(SECTOR, b"\0")


def test_streams_of_the_top_level_are_listed() -> None:
    content = make_file([make_entry("Root Entry", 5, child=1), make_entry("B", 2, left=2), make_entry("A", 2)])
    assert sorted(CompoundFile(content).streams()) == ["a", "b"]


@pytest.mark.timeout(30)
def test_circle_in_the_directory_ends() -> None:
    content = make_file([make_entry("Root Entry", 5, child=1), make_entry("B", 2, left=2), make_entry("A", 2, left=1)])
    assert sorted(CompoundFile(content).streams()) == ["a", "b"]


def test_circle_of_sectors_gives_no_more_than_the_file_holds() -> None:
    content = make_file([make_entry("Root Entry", 5, child=1), make_entry("A", 2)], chain=1)
    file = CompoundFile(content)
    assert sorted(file.streams()) == ["a"]
    assert len(file._entries) * 128 <= len(content)
