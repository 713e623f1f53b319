"""Discovery of very many documents: how fast they are listed, and that memory does not grow with their number.

    python benchmarks/discovery.py [--entries 1000000] [--files 100000] [--messages 100000] [--json FILE]

Each kind of source is listed twice, once with a hundredth of the documents, in a process of its own each time. Of the
files that a manifest names only a thousand are there.
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

FILES_A_FOLDER, EXISTING = 1000, 1000


def manifest(folder: Path, count: int) -> str:
    """A list of so many paths."""
    for number in range(min(count, EXISTING)):
        (folder / f"{number}.txt").write_text("x")
    with (folder / "list.jsonl").open("w") as file:
        file.writelines(f'{{"uri": "{number}.txt"}}\n' for number in range(count))
    return f"manifest:{folder / 'list.jsonl'}"


def files(folder: Path, count: int) -> str:
    """So many files, a thousand a folder."""
    for number in range(count):
        below = folder / str(number // FILES_A_FOLDER)
        if number % FILES_A_FOLDER == 0:
            below.mkdir()
        (below / f"{number}.txt").touch()
    return str(folder)


def mailbox(folder: Path, count: int) -> str:
    """So many messages in one file."""
    with (folder / "all.mbox").open("wb") as file:
        file.writelines(b"From a\nSubject: %d\n\nText.\n\n" % number for number in range(count))
    return str(folder / "all.mbox")


KINDS: dict[str, Callable[[Path, int], str]] = {"manifest": manifest, "files": files, "mailbox": mailbox}


def measure(source: str) -> dict[str, float]:
    """In this process: documents, seconds, and megabytes of memory at the peak."""
    began, count = time.monotonic(), 0
    for _ in discover([source]):
        count += 1
    seconds = time.monotonic() - began
    return {
        "documents": count,
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    """Print a table."""
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
            found = {"kind": kind, **json.loads(done.stdout)}
            results.append(found)
            sys.stdout.write(
                f"{kind:10} {found['documents']:>9,} documents  {found['seconds']:7.2f} s  "
                f"{found['documents'] / found['seconds']:9,.0f} a second  {found['peak_mb']:6.1f} MB\n"
            )
            sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
