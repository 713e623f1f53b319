"""`python -m tools.samples [FOLDER]`: write every sample document, into `samples/` if no folder is given."""

import sys
from pathlib import Path

from tools.samples.catalogue import DOCUMENTS


def main(folder: Path) -> None:
    for name, make in DOCUMENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
        sys.stderr.write(f"{path}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "samples")
