"""A `resume_workflow.py` that kills itself between reading the state and starting a run."""

import os
import signal
from typing import Any

from commands.resumption import main
from orchestration.client import resume


async def kill_this_process(*_: Any) -> None:
    """Kill this process by SIGKILL; replaces `resume.start_workflow`."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    resume.start_workflow = kill_this_process  # type: ignore[assignment,attr-defined]  # the fail-point
    main()
