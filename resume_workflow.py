"""Bring one run to its end, whatever has become of it: `python resume_workflow.py --workflow-id X`."""

from commands.resumption import main

if __name__ == "__main__":
    main()
