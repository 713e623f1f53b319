"""Measure the speed and peak memory of discovery over very many documents.

    python benchmarks/discovery.py [--entries 1000000] [--files 100000] [--messages 100000] [--json FILE]

Each kind of source is listed twice, first with a hundredth of the documents and then with all, each time in a new
process. Equal peaks show that memory does not grow with the number of documents. The manifest names files of which only
the first 1,000 exist.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perdure.documents.discovery import discover, normalise_source

FILES_A_FOLDER = 1000
EXISTING_FILES = 1000


def write_manifest(folder: Path, count: int) -> str:
    """Write a list of `count` paths, and return its source."""
    for number in range(min(count, EXISTING_FILES)):
        (folder / f"{number}.txt").write_text("x")
    with (folder / "list.jsonl").open("w") as file:
        file.writelines(f'{{"uri": "{number}.txt"}}\n' for number in range(count))
    return f"manifest:{folder / 'list.jsonl'}"


def write_files(folder: Path, count: int) -> str:
    """Write `count` empty files, 1,000 to a folder, and return their source."""
    for number in range(count):
        below = folder / str(number // FILES_A_FOLDER)
        if number % FILES_A_FOLDER == 0:
            below.mkdir()
        (below / f"{number}.txt").touch()
    return str(folder)


def write_mailbox(folder: Path, count: int) -> str:
    """Write a mailbox with `count` messages, and return its source."""
    with (folder / "all.mbox").open("wb") as file:
        file.writelines(b"From a\nSubject: %d\n\nText.\n\n" % number for number in range(count))
    return str(folder / "all.mbox")


KINDS: dict[str, Callable[[Path, int], str]] = {
    "manifest": write_manifest,
    "files": write_files,
    "mailbox": write_mailbox,
}


def measure(source: str) -> dict[str, float]:
    """Discover a source in this process; return documents, seconds and peak memory in MiB."""
    began = time.monotonic()
    count = 0
    for _ in discover([source]):
        count += 1
    seconds = time.monotonic() - began
    return {
        "documents": count,
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    """Measure every kind, print a line for each, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        sys.stdout.write(json.dumps(measure(arguments.measure)))
        return 0
    results = []
    counts = {"manifest": arguments.entries, "files": arguments.files, "mailbox": arguments.messages}
    for kind, most in counts.items():
        for count in (most // 100, most):
            with tempfile.TemporaryDirectory(prefix="perdure-discovery-") as folder:
                source = normalise_source(KINDS[kind](Path(folder), count))
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", source], check=True, capture_output=True, text=True
                )
            result = {"kind": kind, **json.loads(done.stdout)}
            results.append(result)
            sys.stdout.write(
                f"{kind:10} {result['documents']:>9,} documents  {result['seconds']:7.2f} s  "
                f"{result['documents'] / result['seconds']:9,.0f} a second  {result['peak_mb']:6.1f} MB\n"
            )
            sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
