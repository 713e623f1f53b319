"""The worker as a program: everything that one worker needs, put together and run until it is asked to stop.

The room may import every other room of `orchestration`; only `commands` and `worker.py` import it.
Start reading at `launch.main`, then `run.run_worker`.
"""
