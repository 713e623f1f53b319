"""Run one worker until SIGTERM or Ctrl-C: `python worker.py`.

`--supervise` starts a new worker whenever the worker dies.

Environment variables configure the worker; see docs/configuration.md.
"""

from orchestration.program.launch import main

if __name__ == "__main__":
    main()
