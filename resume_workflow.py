"""The command `perdure resume` from a checkout: `python resume_workflow.py --workflow-id X`."""

from commands.resumption import main

if __name__ == "__main__":
    main()
