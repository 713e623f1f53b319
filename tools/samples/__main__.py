"""Write every sample document: `python -m tools.samples [FOLDER]`.

The default folder is `samples/`.
"""

import sys
from pathlib import Path

from tools.samples.catalogue import DOCUMENTS


def main(folder: Path) -> None:
    """Write every sample document below the folder, and print each path to standard error."""
    for name, make in DOCUMENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
        sys.stderr.write(f"{path}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "samples")
