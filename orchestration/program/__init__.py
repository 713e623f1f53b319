"""The worker as a program, which runs until it is asked to stop.

The room puts together everything that one worker needs.

The room may import every other room of `orchestration`; only `commands` and `worker.py` import it.
Start reading at `launch.main`, then `run.run_worker`.
"""
