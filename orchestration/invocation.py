"""How the user called this program.

Messages use the functions to show commands that the user can paste unchanged.
"""

import shlex
import shutil
import sys
from pathlib import Path

PROGRAM = "perdure"
_STARTER = "starter.py"
_FROM_STANDARD_INPUT = ("-", "-c", "")


def is_script() -> bool:
    """Return whether the program runs as a script of a checkout, such as `python starter.py`."""
    return sys.argv[0].endswith(".py")


def program_name() -> str:
    """Return the program's name as the user typed it: `perdure`, or `python starter.py`."""
    if sys.argv[0] in _FROM_STANDARD_INPUT:
        return PROGRAM
    name = Path(sys.argv[0]).name
    return f"python {name}" if is_script() else name


def command_line(command: str, *arguments: str) -> str:
    """Return a shell command that runs one command of this program from the current folder.

    Args:
        command: a name of `commands.catalogue.COMMANDS`.
        arguments: arguments after the name; quoted if the shell needs quotes.
    """
    return shlex.join([*_program(), command, *arguments])


def _program() -> list[str]:
    called = Path(sys.argv[0])
    if sys.argv[0] in _FROM_STANDARD_INPUT:  # a program of the user's own imports the package
        return [PROGRAM]
    if not is_script():
        on_path = shutil.which(called.name)
        same = on_path is not None and called.exists() and Path(on_path).samefile(called)
        return [called.name if same else _from_current_folder(called)]
    starter = called.absolute().with_name(_STARTER)
    if not starter.is_file():  # a test or a user's program imports the package
        return [PROGRAM]
    return [_from_current_folder(Path(sys.executable)), _from_current_folder(starter)]


def _from_current_folder(path: Path) -> str:
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
