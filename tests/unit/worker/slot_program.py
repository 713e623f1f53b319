"""Takes the place of the worker's program; the variable TEST_WORKER says what it does.

* `refuse`: ends at once.
* `late`: takes its slot when the file `go` is in the data folder; ends at SIGTERM.
* `stubborn`: takes its slot and ignores SIGTERM.
"""

import os
import signal
import sys
import time
from pathlib import Path

from orchestration.worker.slot import take_slot

if __name__ == "__main__":
    kind = os.environ["TEST_WORKER"]
    folder = Path(os.environ["PERDURE_DATA_DIR"])
    (folder / "arguments").write_text(" ".join(sys.argv[1:]))
    if kind == "refuse":
        sys.exit(2)
    if kind == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while kind == "late" and not (folder / "go").exists():
        time.sleep(0.01)
    slot = take_slot(folder)
    while True:
        time.sleep(1)
