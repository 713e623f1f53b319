"""The program `perdure` from a checkout: `python starter.py --help` lists the commands."""

from commands.catalogue import main

if __name__ == "__main__":
    main()
