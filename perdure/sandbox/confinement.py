"""Confines a process to its document, its libraries and its answer.

A confined process has no network. A confined process starts no program and no process, changes no file, and reads only
the files of the libraries. The environment of the process holds no secrets. The worker passes the document as an open
descriptor.

On Linux the kernel enforces these bounds, without root: seccomp denies system calls, and Landlock denies access to
files. docs/safety.md describes the bounds of a kernel without seccomp or Landlock. On systems other than Linux, only
the limits of `resource` apply.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from perdure.sandbox.system_calls import deny_system_calls

_PACKAGE = Path(__file__).resolve().parents[1]
_KEPT_VARIABLES = ("PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME",
                   "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "TESSDATA_PREFIX")  # fmt: skip
"""Variables that a confined process keeps: paths of programs and data, the locale, and options of Python."""
_PR_SET_NO_NEW_PRIVS = 38

# landlock(7): the numbers of these system calls are the same on every architecture.
_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_EXECUTE = 1 << 0
"""Right to execute a file, which mapping a library into memory needs too."""
_READ_FILE = 1 << 2
_READ_FOLDER = 1 << 3
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Number of rights over the file system that each version of Landlock knows."""
_TCP_FROM_ABI = 4
"""The first version that restricts TCP."""
_ALL_TCP = 0b11
_SCOPES_FROM_ABI = 6
"""The first version that restricts signals and abstract Unix sockets."""
_ALL_SCOPES = 0b11
_CAPABILITY_VERSION = 0x20080522
_SYSTEM_PATHS = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/dev/null",
                 "/dev/zero", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
                 "/sys/devices/system/cpu", "/sys/fs/cgroup")  # fmt: skip
"""Paths that libraries read at run time: other libraries, time zones, the number of CPUs and the memory size."""


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def filter_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a confined process may see: paths and locale, no secrets."""
    return {name: value for name, value in environment.items() if name in _KEPT_VARIABLES or name.startswith("LC_")}


def confine() -> None:
    """Give up every right that no parser needs, permanently and for every later thread.

    The caller calls this function while the process has one thread. On systems other than Linux, the function has no
    effect.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    _restrict_files([*_SYSTEM_PATHS, sys.prefix, sys.base_prefix, str(_PACKAGE), *libraries])
    _drop_capabilities()
    deny_system_calls()


def _restrict_files(readable: Iterable[str]) -> bool:
    """Allow reading beneath these paths only, and deny TCP.

    Signals and abstract sockets to processes outside the sandbox are denied, too.

    Returns:
        Whether the kernel enforces these restrictions.
    """
    call = ctypes.CDLL(None, use_errno=True).syscall
    abi = call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if abi < 1:
        return False
    rights = _RIGHTS_BY_ABI.get(abi, max(_RIGHTS_BY_ABI.values()))
    rules = _Ruleset(
        (1 << rights) - 1,
        _ALL_TCP if abi >= _TCP_FROM_ABI else 0,
        _ALL_SCOPES if abi >= _SCOPES_FROM_ABI else 0,
    )
    ruleset = call(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            with suppress(OSError):  # some systems lack some of these paths
                _allow_reading(call, ruleset, os.open(path, os.O_PATH | os.O_CLOEXEC))
        return bool(call(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow_reading(call: Callable[..., int], ruleset: int, descriptor: int) -> None:
    """Allow reading of a file, or of every file beneath a folder; close the descriptor."""
    is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    rule = _PathBeneath(_EXECUTE | _READ_FILE | (_READ_FOLDER if is_folder else 0), descriptor)
    call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(descriptor)


def _drop_capabilities() -> None:
    """Drop the capabilities of root, so that a child of a root worker cannot raise its limits."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())
