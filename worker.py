"""Run one worker until SIGTERM or Ctrl-C: `python worker.py`; `--supervise` starts a new one whenever it dies.

Configuration is by environment; see docs/configuration.md.
"""

from orchestration.program.launch import main

if __name__ == "__main__":
    main()
