"""What a process that reads hostile documents may do besides: next to nothing.

No network, no programs, no other processes, no change to any file, no file to read but the libraries' own, no secrets
in its environment: its document comes as an open descriptor. On Linux the kernel holds it to that, without root:
seccomp denies the system calls, Landlock the file system, each as far as the kernel has it; docs/safety.md says what is
lost where it has not. Elsewhere only the limits of `resource` hold.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from perdure.sandbox.system_calls import deny_what_no_parser_needs

_PACKAGE = Path(__file__).resolve().parents[1]
_KEPT = ("PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONHASHSEED",
         "PYTHONDONTWRITEBYTECODE", "TESSDATA_PREFIX")  # fmt: skip
_PR_SET_NO_NEW_PRIVS = 38
# landlock(7): numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_EXECUTE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
"""Of these, "execute" is what mapping a library asks for."""
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights over the file system this version knows of."""
_TCP_FROM_ABI, _ALL_TCP = 4, 0b11
_SCOPES_FROM_ABI, _ALL_SCOPES = 6, 0b11
_CAPABILITY_VERSION = 0x20080522
_OF_THE_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/dev/null",
                  "/dev/zero", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
                  "/sys/devices/system/cpu", "/sys/fs/cgroup")  # fmt: skip
"""What libraries read while they work: other libraries, data such as time zones, the machine's size."""


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment such a process gets: where things are and how to write, no password and no address."""
    return {name: value for name, value in environment.items() if name in _KEPT or name.startswith("LC_")}


def confine() -> None:
    """Give up, for good and for every thread to come, what no parser needs; to be called with one thread running."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    _restrict_files([*_OF_THE_SYSTEM, sys.prefix, sys.base_prefix, str(_PACKAGE), *libraries])
    _give_up_rights_of_root()
    deny_what_no_parser_needs()


def _restrict_files(readable: Iterable[str]) -> bool:
    """Reading only, and only there; no TCP, no signals nor abstract sockets across the border. Whether it is so now."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    abi = call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if abi < 1:
        return False
    rights = _RIGHTS_BY_ABI.get(abi, max(_RIGHTS_BY_ABI.values()))
    wanted = _Ruleset(
        (1 << rights) - 1,
        _ALL_TCP if abi >= _TCP_FROM_ABI else 0,
        _ALL_SCOPES if abi >= _SCOPES_FROM_ABI else 0,
    )
    ruleset = call(_CREATE_RULESET, ctypes.byref(wanted), ctypes.sizeof(wanted), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            with suppress(OSError):  # not every system has all of them
                _allow(call, ruleset, os.open(path, os.O_PATH | os.O_CLOEXEC))
        return bool(call(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(call: Callable[..., int], ruleset: int, place: int) -> None:
    """Have the file, or everything beneath the folder, read."""
    folder = stat.S_ISDIR(os.fstat(place).st_mode)
    rule = _PathBeneath(_EXECUTE | _READ_FILE | (_READ_FOLDER if folder else 0), place)
    call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(place)


def _give_up_rights_of_root() -> None:
    """Of a worker that runs as root: without capabilities nothing can be raised, mounted or looked into again."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())
