"""`kill-worker`: send SIGKILL to a worker, to show how another worker takes over its work."""

import typer

from commands.options import AsJson
from commands.output import print_json, say
from orchestration.process_exit import run_main
from orchestration.settings import data_dir_from
from orchestration.worker.kill import kill_worker as send_sigkill

app = typer.Typer()


@app.command("kill-worker")
def kill_worker(*, as_json: AsJson = False) -> None:
    """Send SIGKILL to the worker of this data folder that has the lowest slot.

    The worker gets no time to clean up. Then another worker takes over its documents: a new worker of its supervisor,
    another living worker, or a worker that `run` or `resume` starts. The signal is sent only to a process that holds
    the slot's lock.
    """

    async def main() -> None:
        pid = send_sigkill(data_dir_from())
        if as_json:
            print_json({"pid": pid})
        say(f"Sent SIGKILL to the worker, process {pid}.")

    run_main(main)
